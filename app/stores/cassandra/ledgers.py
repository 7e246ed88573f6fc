"""Counted events in Cassandra: reads that name their partitions."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cache, partial
from typing import Any, TypeVar

from app.domain.counted import CountedKind, EventKind, Sum, added
from app.flows.registry import EVENTS, LEDGERS
from app.stores.cassandra.answers import event_of, sum_of, text_of
from app.stores.cassandra.ledger_mending import CassandraLedgerMending, LedgerPlace
from app.stores.cassandra.ledger_rows import DAY_S, SHARDS, events_table, ledger_tables, ranking_table, sums_tables
from app.stores.cassandra.values import bigint, double, int32, text
from app.stores.cassandra.writes import CassandraWrites
from app.stores.ledger_contract import Named, Top
from app.stores.readable import OnUnreadable, event_reader, readable, sum_reader

__all__ = ["CassandraLedgers", "bounds", "days"]

PAGE_ROWS = 5000
_DDL_S = 60.0
_FIRST, _LAST = -(1 << 62), (1 << 62)
Event = TypeVar("Event", bound=tuple[Any, ...])


def _statements(keyspace: str) -> dict[str, str]:
    reads = {f"all {table.name}": f"SELECT {table.names} FROM {keyspace}.{table.name}" for table in ledger_tables()}
    for kind in LEDGERS:
        for resolution, table in sums_tables(kind).items():
            within = " AND ".join(f"{name} = ?" for name in table.partition)
            start = "window_start" if resolution else "start"
            reads[f"some {table.name}"] = (
                f"SELECT {table.names} FROM {keyspace}.{table.name} WHERE {within} AND {start} >= ? AND {start} < ?"
            )
        if kind.by_group:
            table, ranking = events_table(kind), ranking_table(kind)
            amount = f"sum(CAST({kind.amount_field} AS varint))"
            reads[f"spent {table.name}"] = f"SELECT {amount}, count(*) {_of_group(keyspace, kind)}"
            reads[f"some {ranking.name}"] = f"SELECT {ranking.names} FROM {keyspace}.{ranking.name} WHERE shard = ?"
    for each in EVENTS:
        if each.by_group:
            table = events_table(each)
            reads[f"some {table.name}"] = f"SELECT {table.names} {_of_group(keyspace, each)} LIMIT ?"
    reads["some names"] = f"SELECT id, name FROM {keyspace}.names WHERE kind = ?"
    return reads


def _of_group(keyspace: str, kind: EventKind[Any]) -> str:
    return f"FROM {keyspace}.{kind.events_table} WHERE {kind.group_field} = ? AND time >= ? AND time < ?"


@cache
def _event_reader(kind: EventKind[Any]) -> Callable[[tuple[Any, ...]], Any]:
    place = lambda row: LedgerPlace(kind, events_table(kind), "", row)  # noqa: E731
    return event_reader("cassandra", kind, partial(event_of, kind), place)


@cache
def _sum_reader(kind: CountedKind[Any], resolution: str) -> Callable[[tuple[Any, ...]], Sum]:
    place = lambda row: LedgerPlace(kind, sums_tables(kind)[resolution], resolution, row)  # noqa: E731
    return sum_reader("cassandra", kind, partial(sum_of, kind, resolution), place)


class CassandraLedgers(CassandraLedgerMending):
    """The Ledgers protocol."""

    def __init__(self, writes: CassandraWrites) -> None:
        super().__init__(writes)
        self.on_unreadable: OnUnreadable | None = None
        self._connection.statements |= _statements(self._connection.keyspace)

    async def _pages(self, statement: str, values: Sequence[bytes] = ()) -> AsyncIterator[list[tuple[Any, ...]]]:
        await self._writes.opened()
        async for rows in self._connection.pages(self._connection.bound(statement, values, PAGE_ROWS)):
            yield rows

    async def _rows(self, statement: str, values: Sequence[bytes] = ()) -> list[tuple[Any, ...]]:
        return [row async for rows in self._pages(statement, values) for row in rows]

    async def sums(
        self, kind: CountedKind[Any], group: str | None, resolution: str, begin: float, end: float
    ) -> list[Sum]:
        first, last = bounds(begin, end)
        own = resolution if kind.resolution[resolution].within else ""
        table = sums_tables(kind)[own]
        if kind.by_group:
            asked = [[text(group or ""), text(resolution)]]
        else:
            integer = table.columns[kind.group_field] == "bigint"
            head = (bigint(int(group or "0")) if integer else text(group or "")) if own else text(resolution)
            asked = [[head, bigint(day)] for day in days(first, last)]
        room = asyncio.Semaphore(16)

        async def read(values: list[bytes]) -> list[tuple[Any, ...]]:
            async with room:
                return await self._rows(f"some {table.name}", [*values, bigint(first), bigint(last)])

        found = [_sum_reader(kind, own)(row) for rows in await asyncio.gather(*map(read, asked)) for row in rows]
        return found if own or kind.by_group or group is None else [each for each in found if each.group == group]

    async def events(self, kind: EventKind[Event], group: str, begin: float, end: float, limit: int) -> list[Event]:
        values = [text(group), double(begin), double(end), int32(limit)]
        read = _event_reader(kind)
        return [read(row) for row in await self._rows(f"some {kind.events_table}", values)]

    async def spent(self, kind: CountedKind[Any], group: str, begin: float, end: float) -> tuple[int, int]:
        rows = await self._rows(f"spent {kind.events_table}", [text(group), double(begin), double(end)])
        return int(rows[0][0] or 0), rows[0][1]

    async def top(self, kind: CountedKind[Any], limit: int) -> list[Top]:
        best: list[Top] = []
        read = sum_reader("cassandra", kind, _ranked_sum_of)
        for shard in range(SHARDS):  # a group is in one of them
            sums = [
                read(row) async for rows in self._pages(f"some {kind.ranking_table}", [int32(shard)]) for row in rows
            ]
            found = [Top(group, amount, events) for (group, _), (events, amount, _) in added(sums).items() if events]
            best = heapq.nsmallest(limit, [*best, *found], key=lambda each: (-each.amount, each.group))
        return best

    async def names(self, kind: Named) -> dict[str, str]:
        return {text_of(one): text_of(name) for one, name in await self._rows("some names", [text(kind)])}

    async def all_events(self, kind: EventKind[Event]) -> AsyncIterator[Event]:
        async for rows in self._pages(f"all {kind.events_table}"):
            for event in readable(_event_reader(kind), rows, self.on_unreadable):
                yield event

    async def all_sums(self, kind: CountedKind[Any]) -> AsyncIterator[Sum]:
        for resolution, table in sums_tables(kind).items():
            async for rows in self._pages(f"all {table.name}"):
                for each in readable(_sum_reader(kind, resolution), rows, self.on_unreadable):
                    yield each

    # -- retention

    async def drop(self) -> None:
        await self._writes.encoder()
        for table in ledger_tables():
            if table.name != "names":
                await asyncio.to_thread(
                    self._connection.execute, f"TRUNCATE {self._connection.keyspace}.{table.name}", None, _DDL_S
                )
        self._floors.forget()

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        """Nothing to do: rows were written with their time to live."""
        return 0, 0


def _ranked_sum_of(row: tuple[Any, ...]) -> Sum:
    _, group, partition, share, amount, events = row
    return Sum("total", text_of(group), 0, partition, share, events, int(amount), 0)


def bounds(begin: float, end: float) -> tuple[int, int]:
    """As whole seconds that a bucket may start at."""
    return max(_FIRST, math.ceil(begin)), min(_LAST, math.ceil(end))


def days(first: int, last: int) -> range:
    return range(first // DAY_S, (last - 1) // DAY_S + 1) if first < last else range(0)
