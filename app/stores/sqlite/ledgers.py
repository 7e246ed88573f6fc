"""Votes and spending in the embedded store."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from app.domain.events import Sum, Transaction, Vote
from app.stores.ledger_contract import SHORT_DAYS, Named, Top
from app.stores.sqlite.bulk import Insert
from app.stores.sqlite.reader import SqliteReader
from app.stores.sqlite.rows import number, text
from app.stores.sqlite.writer import SqliteWriter

__all__ = ["SqliteLedgers"]

SLICE_ROWS = 5000
_HOUR_S = 3600
_DAY_S = 86400.0
_SUMS = "events, amount, repeats, version, ingested"
_KEY = "resolution, grp, start, partition, share"
_ON_SUM = (
    f"ON CONFLICT ({{key}}) DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in _SUMS.split(', '))} "
    "WHERE excluded.version > version"
)
_INSERT = {
    "votes": Insert("vote_sums", f"{_KEY}, {_SUMS}", _ON_SUM.format(key="resolution, start, grp, partition, share")),
    "spend": Insert("spend_sums", f"{_KEY}, {_SUMS}", _ON_SUM.format(key="grp, resolution, start, partition, share")),
}
_INSERT_VOTES = Insert(
    "votes", "vote_id, candidate_id, time, kiosk_id, user_id, opinion, ingested", "ON CONFLICT DO NOTHING"
)
_INSERT_TRANSACTIONS = Insert(
    "transactions", "transaction_id, user_id, time, cents, ingested", "ON CONFLICT DO NOTHING"
)
_SELECT_SUMS = f"SELECT {_KEY}, events, amount, repeats FROM "
_SELECT_TRANSACTIONS = "SELECT transaction_id, user_id, time, cents FROM transactions "

Record = TypeVar("Record", bound=tuple[Any, ...])
Read = Callable[..., Awaitable[Any]]


class SqliteLedgers:
    """The Ledgers protocol upon the store's reading and writing threads."""

    def __init__(self, read: Read, write: Read, reader: SqliteReader, clock: Callable[[], float]) -> None:
        """`read(work, *args)` calls in the reading thread, `write(work, *args)` with the writer first in the writing one."""
        self._read, self._write, self._reader, self._clock = read, write, reader, clock

    async def write_votes(self, votes: Sequence[Vote]) -> list[tuple[Vote, str]]:
        return await self._write(
            _put, "write votes to", _INSERT_VOTES, votes, [(*vote, self._hour()) for vote in votes]
        )

    async def write_transactions(self, transactions: Sequence[Transaction]) -> list[tuple[Transaction, str]]:
        rows = [(*each, self._hour()) for each in transactions]
        return await self._write(_put, "write transactions to", _INSERT_TRANSACTIONS, transactions, rows)

    async def write_vote_sums(self, sums: Sequence[Sum]) -> list[tuple[Sum, str]]:
        return await self._write(_put, "write votes to", _INSERT["votes"], sums, self._rows_of(sums))

    async def write_spend_sums(self, sums: Sequence[Sum]) -> list[tuple[Sum, str]]:
        return await self._write(_put, "write spending to", _INSERT["spend"], sums, self._rows_of(sums))

    def _hour(self) -> int:
        return int(self._clock()) // _HOUR_S * _HOUR_S

    def _rows_of(self, sums: Sequence[Sum]) -> list[tuple]:
        hour = self._hour()
        return [(*each, each.version, hour) for each in sums]

    async def vote_sums(self, resolution: str, begin: float, end: float) -> list[Sum]:
        return await self._sums("vote_sums WHERE resolution = ? AND start >= ? AND start < ?", resolution, begin, end)

    async def kiosk_sums(self, candidate_id: int, begin: float, end: float) -> list[Sum]:
        condition = "vote_sums WHERE resolution = 'kiosk' AND start >= ? AND start < ? AND grp >= ? AND grp < ?"
        return await self._sums(condition, begin, end, f"{candidate_id}/", f"{candidate_id}0")  # '0' comes after '/'

    async def spend_sums(self, user_id: str, resolution: str, begin: float, end: float) -> list[Sum]:
        return await self._sums(
            "spend_sums WHERE grp = ? AND resolution = ? AND start >= ? AND start < ?", user_id, resolution, begin, end
        )

    async def _sums(self, condition: str, *parameters: object) -> list[Sum]:
        return [_sum_of(row) for row in await self._rows(_SELECT_SUMS + condition, *parameters)]

    async def _rows(self, statement: str, *parameters: object) -> list[tuple]:
        return await self._read(self._reader.rows, statement, parameters)

    async def transactions(self, user_id: str, begin: float, end: float, limit: int) -> list[Transaction]:
        condition = "WHERE user_id = ? AND time >= ? AND time < ? ORDER BY time, transaction_id LIMIT ?"
        return [
            _transaction_of(row)
            for row in await self._rows(_SELECT_TRANSACTIONS + condition, user_id, begin, end, limit)
        ]

    async def spent(self, user_id: str, begin: float, end: float) -> tuple[int, int]:
        statement = (
            "SELECT ifnull(sum(cents), 0), count(*) FROM transactions WHERE user_id = ? AND time >= ? AND time < ?"
        )
        ((cents, count),) = await self._rows(statement, user_id, begin, end)
        return cents, count

    async def top(self, limit: int) -> list[Top]:
        statement = (
            "SELECT grp, sum(amount), sum(events) FROM spend_sums WHERE resolution = 'total' GROUP BY grp "
            "HAVING sum(events) > 0 ORDER BY sum(amount) DESC, grp LIMIT ?"
        )
        return [Top(text(row[0]), row[1], row[2]) for row in await self._rows(statement, limit)]

    async def names(self, kind: Named) -> dict[str, str]:
        return {text(row[0]): text(row[1]) for row in await self._rows(f"SELECT id, name FROM {kind} ORDER BY id")}

    async def put_names(self, kind: Named, names: Mapping[str, str]) -> None:
        insert = Insert(kind, "id, name", "ON CONFLICT (id) DO UPDATE SET name = excluded.name")
        await self._write(_put, f"write {kind} to", insert, list(names.items()), list(names.items()))

    async def all_votes(self) -> AsyncIterator[Vote]:
        statement = "SELECT vote_id, candidate_id, time, kiosk_id, user_id, opinion, vote_no FROM votes WHERE vote_no > ? ORDER BY vote_no"
        async for row in self._walk(statement):
            yield Vote(text(row[0]), row[1], row[2], text(row[3]), text(row[4]), text(row[5]))

    async def all_transactions(self) -> AsyncIterator[Transaction]:
        statement = "SELECT transaction_id, user_id, time, cents, transaction_no FROM transactions WHERE transaction_no > ? ORDER BY transaction_no"
        async for row in self._walk(statement):
            yield _transaction_of(row)

    async def _walk(self, statement: str) -> AsyncIterator[tuple]:
        """All rows in slices; the last column tells where to go on."""
        after = -1
        while rows := await self._rows(f"{statement} LIMIT {SLICE_ROWS}", after):
            for row in rows:
                yield row
            after = rows[-1][-1]

    async def all_sums(self, ledger: str) -> AsyncIterator[Sum]:
        table = {"votes": "vote_sums", "spend": "spend_sums"}[ledger]
        last: tuple = ("", "", -(1 << 62), 0, 0)
        statement = f"{_SELECT_SUMS}{table} WHERE ({_KEY}) > (?, ?, ?, ?, ?) ORDER BY {_KEY} LIMIT {SLICE_ROWS}"
        while rows := await self._rows(statement, *last):
            for row in rows:
                yield _sum_of(row)
            last = rows[-1][:5]

    async def drop(self) -> None:
        for table in ("votes", "vote_sums", "transactions", "spend_sums"):
            while await self._write(_delete, table, "1"):
                pass

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        raw = reduced = 0
        before = int(now - reduced_days * _DAY_S - _HOUR_S)
        while gone := await self._write(_delete, "votes", f"ingested < {int(now - raw_days * _DAY_S - _HOUR_S)}"):
            raw += gone
        short = f"resolution = 'second' AND ingested < {int(now - SHORT_DAYS * _DAY_S)}"
        for table, condition in (
            ("transactions", f"ingested < {before}"),
            ("vote_sums", short),
            ("vote_sums", f"resolution IN ('kiosk', 'window') AND ingested < {before}"),
            ("spend_sums", f"resolution IN ('minute', 'hour', 'day') AND ingested < {before}"),
        ):
            while gone := await self._write(_delete, table, condition):
                reduced += gone
        return raw, reduced


def _put(
    writer: SqliteWriter, doing: str, insert: Insert, records: Sequence[Record], rows: Sequence[tuple]
) -> list[tuple[Record, str]]:
    with writer.transaction(doing) as (connection, _):
        return [(records[index], reason) for index, reason in insert.run(connection, rows)]


_WITHOUT_ROWID = {
    "vote_sums": "resolution, start, grp, partition, share",
    "spend_sums": "grp, resolution, start, partition, share",
}


def _delete(writer: SqliteWriter, table: str, condition: str) -> int:
    """One slice of the rows; how many went."""
    key = _WITHOUT_ROWID.get(table, "rowid")
    statement = f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {condition} LIMIT {SLICE_ROWS})"
    with writer.transaction("delete old records from") as (connection, _):
        found: sqlite3.Cursor = connection.execute(statement)
        return found.rowcount


def _sum_of(row: tuple) -> Sum:
    return Sum(row[0], text(row[1]), row[2], row[3], row[4], row[5], number(row[6]), row[7])


def _transaction_of(row: tuple) -> Transaction:
    return Transaction(text(row[0]), text(row[1]), *row[2:4])
