"""Votes and spending in Cassandra: reads that name their partitions, writes that may be repeated."""

from __future__ import annotations

import asyncio
import heapq
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from app.domain.events import Sum, Transaction, Vote, added
from app.errors import StoreError
from app.stores.cassandra.batches import Sender
from app.stores.cassandra.connection import Connection
from app.stores.cassandra.ledger_rows import (
    SHARDS,
    bounds,
    count_of,
    days,
    name_row,
    spend_sum_of,
    spend_sum_rows,
    transaction_of,
    transaction_row,
    vote_row,
    vote_sum_of,
    vote_sum_row,
)
from app.stores.cassandra.rows import Row
from app.stores.cassandra.values import bigint, double, int32, text, text_of
from app.stores.ledger_contract import Named, Top

__all__ = ["CassandraLedgers", "create_tables", "statements"]

PAGE_ROWS = 5000
_LATEST_US = 4_000_000_000_000_000
"""The year 2096 in microseconds: what is written first has the highest timestamp, and stays."""
_DDL_S = 60.0
_FILE = Path(__file__).with_name("ledgers.cql")
_TABLE = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+) .*?;$", re.MULTILINE | re.DOTALL)
_UP = "USING TIMESTAMP ? AND TTL ?"
Record = TypeVar("Record")


def create_tables(connection: Connection, keyspace: str) -> None:
    """Those that lack, in a keyspace that is there. Blocks."""
    there = {
        row[0]
        for row in connection.execute(
            "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", (keyspace,)
        )
    }
    lacking = [found for found in _TABLE.finditer(_FILE.read_text(encoding="utf-8")) if found[1] not in there]
    for found in lacking:
        connection.execute(
            found[0].rstrip(";").replace(f"EXISTS {found[1]}", f"EXISTS {keyspace}.{found[1]}"), timeout_s=_DDL_S
        )
    if lacking:
        connection.agree()


def _insert(table: str, columns: str, using: str = _UP) -> str:
    return f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' for _ in columns.split(','))}) {using}"


_COUNTS = "candidate_id, day, window_start, kiosk_id, partition, share, votes, repeats"
_VOTE_SUMS = "resolution, day, start, candidate_id, partition, share, votes, repeats"
_SPEND_SUMS = "user_id, resolution, start, partition, share, cents, transactions, repeats"
_SPEND_USERS = "shard, user_id, partition, share, cents, transactions"
_TRANSACTIONS = "transaction_id, user_id, time, cents"
_VOTES = "vote_id, candidate_id, time, kiosk_id, user_id, opinion"


def statements(keyspace: str, read_only: bool) -> dict[str, str]:
    """Name → CQL."""
    k = keyspace
    reads = {
        "ledger_counts_of": f"SELECT {_COUNTS} FROM {k}.vote_counts WHERE candidate_id = ? AND day = ? AND window_start >= ? AND window_start < ?",
        "ledger_votes_of": f"SELECT {_VOTE_SUMS} FROM {k}.vote_sums WHERE resolution = ? AND day = ? AND start >= ? AND start < ?",
        "ledger_spend_of": f"SELECT {_SPEND_SUMS} FROM {k}.spend_sums WHERE user_id = ? AND resolution = ? AND start >= ? AND start < ?",
        "ledger_users": f"SELECT {_SPEND_USERS} FROM {k}.spend_users WHERE shard = ?",
        "ledger_paid": f"SELECT {_TRANSACTIONS} FROM {k}.transactions WHERE user_id = ? AND time >= ? AND time < ? LIMIT ?",
        "ledger_paid_sum": f"SELECT sum(CAST(cents AS varint)), count(*) FROM {k}.transactions WHERE user_id = ? AND time >= ? AND time < ?",
        "ledger_names": f"SELECT id, name FROM {k}.names WHERE kind = ?",
        "ledger_all_votes": f"SELECT {_VOTES} FROM {k}.votes",
        "ledger_all_paid": f"SELECT {_TRANSACTIONS} FROM {k}.transactions",
        "ledger_all_counts": f"SELECT {_COUNTS} FROM {k}.vote_counts",
        "ledger_all_vote_sums": f"SELECT {_VOTE_SUMS} FROM {k}.vote_sums",
        "ledger_all_spend_sums": f"SELECT {_SPEND_SUMS} FROM {k}.spend_sums",
    }
    writes = {
        "ledger_vote": _insert(f"{k}.votes", _VOTES),
        "ledger_count": _insert(f"{k}.vote_counts", _COUNTS),
        "ledger_vote_sum": _insert(f"{k}.vote_sums", _VOTE_SUMS),
        "ledger_transaction": _insert(f"{k}.transactions", _TRANSACTIONS),
        "ledger_spend_sum": _insert(f"{k}.spend_sums", _SPEND_SUMS),
        "ledger_spend_user": _insert(f"{k}.spend_users", _SPEND_USERS),
        "ledger_name": _insert(f"{k}.names", "kind, id, name", ""),
    }
    return reads if read_only else reads | writes


class CassandraLedgers:
    """The Ledgers protocol. `ready(write)` opens the store where it is not, and raises StoreError where it may not write."""

    def __init__(
        self,
        connection: Connection,
        sender: Sender,
        keyspace: str,
        ttls_s: tuple[int, int],
        ready: Callable[[bool], Awaitable[object]],
    ) -> None:
        self._connection, self._sender, self._keyspace, self._ready = connection, sender, keyspace, ready
        self._raw_ttl, self._reduced_ttl = (int32(seconds) for seconds in ttls_s)

    # -- writes

    async def _send(
        self, records: Sequence[Record], rows_of: Callable[[Record, int], Iterable[Row]]
    ) -> list[tuple[Record, str]]:
        await self._ready(True)

        def encode() -> list[Row]:
            return [row for number, record in enumerate(records) for row in rows_of(record, number)]

        refused = await self._sender.send(await asyncio.to_thread(encode))
        return [(records[number], reason) for number, reason in sorted(refused.items())]

    async def write_votes(self, votes: Sequence[Vote]) -> list[tuple[Vote, str]]:
        stamp = bigint(_LATEST_US - int(time.time() * 1e6))
        return await self._send(votes, lambda vote, number: [vote_row(vote, stamp, self._raw_ttl, number)])

    async def write_transactions(self, transactions: Sequence[Transaction]) -> list[tuple[Transaction, str]]:
        stamp = bigint(_LATEST_US - int(time.time() * 1e6))
        return await self._send(
            transactions, lambda each, number: [transaction_row(each, stamp, self._reduced_ttl, number)]
        )

    async def write_vote_sums(self, sums: Sequence[Sum]) -> list[tuple[Sum, str]]:
        return await self._send(sums, lambda each, number: [vote_sum_row(each, self._reduced_ttl, number)])

    async def write_spend_sums(self, sums: Sequence[Sum]) -> list[tuple[Sum, str]]:
        return await self._send(sums, lambda each, number: spend_sum_rows(each, self._reduced_ttl, number))

    async def put_names(self, kind: Named, names: Mapping[str, str]) -> None:
        rows = list(names.items())
        refused = await self._send(rows, lambda row, number: [name_row(kind, *row, number)])
        if refused:
            raise StoreError(f"{self._connection.where} refuses {kind}: {refused[0][1]}")

    # -- reads

    async def _pages(self, statement: str, values: Sequence[bytes] = ()) -> AsyncIterator[tuple]:
        await self._ready(False)
        async for page in self._connection.pages(self._connection.bound(statement, values, PAGE_ROWS)):
            for row in page:
                yield row

    async def _rows(self, statement: str, values: Sequence[bytes] = ()) -> list[tuple]:
        return [row async for row in self._pages(statement, values)]

    async def vote_sums(self, resolution: str, begin: float, end: float) -> list[Sum]:
        first, last = bounds(begin, end)
        asked = [(text(resolution), bigint(day), bigint(first), bigint(last)) for day in days(first, last)]
        return [vote_sum_of(row) for rows in await self._each_day("ledger_votes_of", asked) for row in rows]

    async def kiosk_sums(self, candidate_id: int, begin: float, end: float) -> list[Sum]:
        first, last = bounds(begin, end)
        asked = [(bigint(candidate_id), bigint(day), bigint(first), bigint(last)) for day in days(first, last)]
        return [count_of(row) for rows in await self._each_day("ledger_counts_of", asked) for row in rows]

    async def _each_day(self, statement: str, asked: Sequence[tuple[bytes, ...]]) -> list[list[tuple]]:
        """The rows of some partitions, a few asked for at a time."""
        room = asyncio.Semaphore(16)

        async def one(values: tuple[bytes, ...]) -> list[tuple]:
            async with room:
                return await self._rows(statement, values)

        return await asyncio.gather(*map(one, asked))

    async def spend_sums(self, user_id: str, resolution: str, begin: float, end: float) -> list[Sum]:
        first, last = bounds(begin, end)
        rows = await self._rows("ledger_spend_of", [text(user_id), text(resolution), bigint(first), bigint(last)])
        return [spend_sum_of(row) for row in rows]

    async def transactions(self, user_id: str, begin: float, end: float, limit: int) -> list[Transaction]:
        return [
            transaction_of(row)
            for row in await self._rows("ledger_paid", [text(user_id), double(begin), double(end), int32(limit)])
        ]

    async def spent(self, user_id: str, begin: float, end: float) -> tuple[int, int]:
        rows = await self._rows("ledger_paid_sum", [text(user_id), double(begin), double(end)])
        return int(rows[0][0] or 0), rows[0][1]

    async def top(self, limit: int) -> list[Top]:
        best: list[tuple[int, Top]] = []
        for shard in range(SHARDS):  # a user is in one of them
            sums = [
                Sum("total", text_of(user), 0, partition, share, events, int(cents), 0)
                async for _, user, partition, share, cents, events in self._pages("ledger_users", [int32(shard)])
            ]
            found = [Top(user, cents, events) for (user, _), (events, cents, _) in added(sums).items() if events]
            best += [
                (each.cents, each)
                for each in heapq.nsmallest(limit, found, key=lambda each: (-each.cents, each.user_id))
            ]
        return sorted((each for _, each in best), key=lambda each: (-each.cents, each.user_id))[:limit]

    async def names(self, kind: Named) -> dict[str, str]:
        return {text_of(one): text_of(name) for one, name in await self._rows("ledger_names", [text(kind)])}

    async def all_votes(self) -> AsyncIterator[Vote]:
        async for vote_id, candidate_id, cast, kiosk_id, user_id, opinion in self._pages("ledger_all_votes"):
            yield Vote(text_of(vote_id), candidate_id, cast, text_of(kiosk_id), text_of(user_id), text_of(opinion))

    async def all_transactions(self) -> AsyncIterator[Transaction]:
        async for row in self._pages("ledger_all_paid"):
            yield transaction_of(row)

    async def all_sums(self, ledger: str) -> AsyncIterator[Sum]:
        if ledger == "spend":
            async for row in self._pages("ledger_all_spend_sums"):
                yield spend_sum_of(row)
            return
        async for row in self._pages("ledger_all_counts"):
            yield count_of(row)
        async for row in self._pages("ledger_all_vote_sums"):
            yield vote_sum_of(row)

    async def drop(self) -> None:
        await self._ready(True)
        for found in _TABLE.finditer(_FILE.read_text(encoding="utf-8")):
            if found[1] != "names":
                await asyncio.to_thread(self._connection.execute, f"TRUNCATE {self._keyspace}.{found[1]}", None, _DDL_S)

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        """Nothing to do: rows were written with their time to live."""
        return 0, 0
