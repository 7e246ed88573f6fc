"""Counted events in the embedded store."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

from app.domain.counted import CountedKind, EventKind, Sum
from app.domain.windows import DAY_S
from app.flows.registry import EVENTS, LEDGERS
from app.stores.ledger_contract import SHORT_DAYS, Named, Top
from app.stores.readable import OnUnreadable, event_reader, readable, sum_reader
from app.stores.refused import all_taken
from app.stores.sqlite.bulk import Insert
from app.stores.sqlite.ledger_writes import (
    SUM_KEY,
    SqliteLedgerWrites,
    event_columns,
    insert_events,
    insert_sums,
    number_column,
    sum_key,
)
from app.stores.sqlite.reads import SqliteReads
from app.stores.sqlite.rows import number, stored, text
from app.stores.sqlite.thread import in_thread
from app.stores.sqlite.writes import SqliteWrites

__all__ = ["SqliteLedgers"]

SLICE_ROWS = 5000
_HOUR_S = 3600
_BOOLEANS = {0: False, 1: True}

Event = TypeVar("Event", bound=tuple[Any, ...])


def _select_events(kind: EventKind[Any]) -> str:
    return f"SELECT {event_columns(kind)}, {number_column(kind)} FROM {kind.events_table}"


def _select_sums(kind: CountedKind[Any]) -> str:
    return f"SELECT {SUM_KEY}, events, amount, repeats FROM {kind.sums_table}"


@cache
def _event_of(kind: EventKind[Event]) -> Callable[[tuple[Any, ...]], Event]:
    texts = [at for at, field in enumerate(kind.fields) if field.kind == "text"]
    booleans = [at for at, field in enumerate(kind.fields) if field.kind == "boolean"]
    make, width = kind.event._make, len(kind.fields)  # type: ignore[attr-defined]

    def event_of(row: tuple[Any, ...]) -> Event:
        values = list(row[:width])
        for at in texts:
            values[at] = text(values[at])
        for at in booleans:
            values[at] = _BOOLEANS.get(values[at], values[at])
        made: Event = make(values)
        return made

    return event_of


@cache
def _event_reader(kind: EventKind[Event]) -> Callable[[tuple[Any, ...]], Event]:
    column = number_column(kind)
    return event_reader(
        "sqlite", kind, _event_of(kind), lambda row: (kind.events_table, {column: row[len(kind.fields)]})
    )


@cache
def _sum_reader(kind: CountedKind[Any]) -> Callable[[tuple[Any, ...]], Sum]:
    key = SUM_KEY.split(", ")
    return sum_reader("sqlite", kind, _sum_of, lambda row: (kind.sums_table, dict(zip(key, row[:5], strict=True))))


class SqliteLedgers(SqliteLedgerWrites):
    """The Ledgers protocol. `reads` has the thread that reads."""

    def __init__(self, writes: SqliteWrites, reads: SqliteReads) -> None:
        super().__init__(writes)
        self._reads = reads
        self.on_unreadable: OnUnreadable | None = None

    # -- reads

    async def sums(
        self, kind: CountedKind[Any], group: str | None, resolution: str, begin: float, end: float
    ) -> list[Sum]:
        condition, parameters = "resolution = ? AND start >= ? AND start < ?", [resolution, begin, end]
        if kind.resolution[resolution].within:
            condition += " AND grp >= ? AND grp < ?"
            parameters += [f"{group}/", f"{group}0"]  # '0' comes after '/'
        elif group is not None:
            condition += " AND grp = ?"
            parameters.append(group)
        statement = f"{_select_sums(kind)} WHERE {condition}"
        return list(map(_sum_reader(kind), await self._rows(statement, *parameters)))

    async def _rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        return await self._reads.thread.call(self._reads.reader.rows, statement, parameters)

    async def events(self, kind: EventKind[Event], group: str, begin: float, end: float, limit: int) -> list[Event]:
        order = ", ".join(name for name in ("time", *kind.id_fields) if name != kind.group_field)
        condition = f"WHERE {kind.group_field} = ? AND time >= ? AND time < ? ORDER BY {order} LIMIT ?"
        rows = await self._rows(f"{_select_events(kind)} {condition}", group, begin, end, limit)
        return list(map(_event_reader(kind), rows))

    async def spent(self, kind: CountedKind[Any], group: str, begin: float, end: float) -> tuple[int, int]:
        statement = (
            f"SELECT ifnull(sum({kind.amount_field}), 0), count(*) FROM {kind.events_table} "
            f"WHERE {kind.group_field} = ? AND time >= ? AND time < ?"
        )
        ((amount, count),) = await self._rows(statement, group, begin, end)
        return amount, count

    async def top(self, kind: CountedKind[Any], limit: int) -> list[Top]:
        statement = (
            f"SELECT grp, sum(amount), sum(events) FROM {kind.sums_table} WHERE resolution = 'total' GROUP BY grp "
            "HAVING sum(events) > 0 ORDER BY sum(amount) DESC, grp LIMIT ?"
        )
        return [Top(text(row[0]), row[1], row[2]) for row in await self._rows(statement, limit)]

    async def names(self, kind: Named) -> dict[str, str]:
        return {text(row[0]): text(row[1]) for row in await self._rows(f"SELECT id, name FROM {kind} ORDER BY id")}

    async def all_events(self, kind: EventKind[Event]) -> AsyncIterator[Event]:
        column, event_of = number_column(kind), _event_reader(kind)
        statement = f"{_select_events(kind)} WHERE {column} > ? ORDER BY {column} LIMIT {SLICE_ROWS}"
        after = -1
        while rows := await self._rows(statement, after):
            for event in readable(event_of, rows, self.on_unreadable):
                yield event
            after = rows[-1][-1]

    async def all_sums(self, kind: CountedKind[Any]) -> AsyncIterator[Sum]:
        last: tuple[Any, ...] = ("", "", -(1 << 62), 0, 0)
        statement = f"{_select_sums(kind)} WHERE ({SUM_KEY}) > (?, ?, ?, ?, ?) ORDER BY {SUM_KEY} LIMIT {SLICE_ROWS}"
        while rows := await self._rows(statement, *last):
            for each in readable(_sum_reader(kind), rows, self.on_unreadable):
                yield each
            last = rows[-1][:5]

    # -- mending

    @in_thread
    def mend_events(self, kind: EventKind[Event], events: Sequence[Event]) -> None:
        self._replace_events(kind, events, self._event_rows(events))

    @in_thread
    def mend_sums(self, kind: CountedKind[Any], sums: Sequence[Sum]) -> None:
        self._replace_sums(kind, sums, self._sum_rows(sums))

    @in_thread
    def remove_events(self, kind: EventKind[Event], events: Sequence[Event]) -> None:
        self._replace_events(kind, events, [])

    @in_thread
    def remove_sums(self, kind: CountedKind[Any], sums: Sequence[Sum]) -> None:
        self._replace_sums(kind, sums, [])

    def _replace_events(self, kind: EventKind[Event], events: Sequence[Event], rows: list[tuple[Any, ...]]) -> None:
        self._replace(insert_events(kind), rows, kind.events_table, kind.id_fields, map(kind.id_of, events))

    def _replace_sums(self, kind: CountedKind[Any], sums: Sequence[Sum], rows: list[tuple[Any, ...]]) -> None:
        self._replace(insert_sums(kind), rows, kind.sums_table, SUM_KEY.split(", "), (each[:5] for each in sums))

    def _replace(
        self,
        insert: Insert,
        rows: Sequence[tuple[Any, ...]],
        table: str,
        columns: Sequence[str],
        keys: Iterable[tuple[Any, ...]],
    ) -> None:
        """Deletes every copy of these keys, then inserts; all or nothing."""
        with self._writer.transaction("mend") as (connection, _):
            # a person may have written a text as a blob: the schema takes that for another key
            statement = f"DELETE FROM {table} WHERE {' AND '.join(f'{column} IN (?, ?)' for column in columns)}"
            for key in keys:
                connection.execute(statement, [form for value in key for form in _forms(value)])
            all_taken([(rows[index], reason) for index, reason in insert.run(connection, rows)])

    # -- retention

    async def drop(self) -> None:
        tables = [(kind.events_table, "rowid") for kind in EVENTS]
        for table, key in [*tables, *((kind.sums_table, sum_key(kind)) for kind in LEDGERS)]:
            while await self._delete(table, key, "1"):
                pass

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        before = {
            "raw": int(now - raw_days * DAY_S - _HOUR_S),
            "reduced": int(now - reduced_days * DAY_S - _HOUR_S),
            "short": int(now - SHORT_DAYS * DAY_S),
        }
        gone = {"raw": 0, "reduced": 0, "short": 0}
        old: list[tuple[str, str, str, str]] = [
            (kind.keeps_events, kind.events_table, "rowid", f"ingested < {before[kind.keeps_events]}")
            for kind in EVENTS
        ]
        for kind in LEDGERS:
            for keeps in ("reduced", "short"):
                named = ", ".join(f"'{each.name}'" for each in kind.resolutions if each.keeps == keeps)
                condition = f"resolution IN ({named}) AND ingested < {before[keeps]}"
                old.append((keeps, kind.sums_table, sum_key(kind), condition))
        for keeps, table, key, condition in old:
            while deleted := await self._delete(table, key, condition):
                gone[keeps] += deleted
        return gone["raw"], gone["reduced"] + gone["short"]

    @in_thread
    def _delete(self, table: str, key: str, condition: str) -> int:
        """One slice of the rows; how many went."""
        chosen = f"SELECT {key} FROM {table} WHERE {condition} LIMIT {SLICE_ROWS}"
        with self._writer.transaction("delete old records from") as (connection, _):
            found: sqlite3.Cursor = connection.execute(f"DELETE FROM {table} WHERE ({key}) IN ({chosen})")
            return found.rowcount


def _forms(value: Any) -> tuple[Any, Any]:
    if isinstance(value, str):
        return stored(value), value.encode("utf-8", "surrogatepass")
    return value, value


def _sum_of(row: tuple[Any, ...]) -> Sum:
    return Sum(row[0], text(row[1]), row[2], row[3], row[4], row[5], number(row[6]), row[7])
