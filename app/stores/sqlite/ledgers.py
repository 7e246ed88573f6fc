"""Counted events in the embedded store."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

from app.domain.counted import CountedKind, EventKind, Sum
from app.domain.windows import DAY_S
from app.flows.registry import EVENTS, LEDGERS
from app.stores.ledger_contract import SHORT_DAYS, Named, Top
from app.stores.readable import OnUnreadable, event_reader, readable, sum_reader
from app.stores.refused import all_taken
from app.stores.sqlite.bulk import Insert
from app.stores.sqlite.ledger_schema import SUM_COLUMNS, SUM_KEY, number_column, sum_key
from app.stores.sqlite.reader import SqliteReader
from app.stores.sqlite.rows import number, stored, text
from app.stores.sqlite.writer import SqliteWriter

__all__ = ["SqliteLedgers"]

SLICE_ROWS = 5000
_HOUR_S = 3600
_BOOLEANS = {0: False, 1: True}
_UPDATED = ", ".join(f"{column} = excluded.{column}" for column in SUM_COLUMNS.split(", "))

Event = TypeVar("Event", bound=tuple[Any, ...])
Record = TypeVar("Record", bound=tuple[Any, ...])
Read = Callable[..., Awaitable[Any]]


class _Statements(NamedTuple):
    """What is done with the events, or the sums, of one kind."""

    insert: Insert
    select: str


@cache
def _of_events(kind: EventKind[Any]) -> _Statements:
    columns = ", ".join(field.name for field in kind.fields)
    return _Statements(
        Insert(kind.events_table, f"{columns}, ingested", "ON CONFLICT DO NOTHING"),
        f"SELECT {columns}, {number_column(kind)} FROM {kind.events_table}",
    )


@cache
def _of_sums(kind: CountedKind[Any]) -> _Statements:
    upsert = f"ON CONFLICT ({sum_key(kind)}) DO UPDATE SET {_UPDATED} WHERE excluded.version > version"
    return _Statements(
        Insert(kind.sums_table, f"{SUM_KEY}, {SUM_COLUMNS}", upsert),
        f"SELECT {SUM_KEY}, events, amount, repeats FROM {kind.sums_table}",
    )


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


class SqliteLedgers:
    """The Ledgers protocol upon the store's reading and writing threads."""

    def __init__(self, read: Read, write: Read, reader: SqliteReader, clock: Callable[[], float]) -> None:
        """`read(work, *args)` calls in the reading thread, `write(work, *args)` with the writer first in the writing one."""
        self._read, self._write, self._reader, self._clock = read, write, reader, clock
        self.on_unreadable: OnUnreadable | None = None

    # -- writes

    async def write_events(self, kind: EventKind[Event], events: Sequence[Event]) -> list[tuple[Event, str]]:
        insert = _of_events(kind).insert
        return await self._write(_put, f"write {kind.many} to", insert, events, self._event_rows(events))

    async def write_sums(self, kind: CountedKind[Any], sums: Sequence[Sum]) -> list[tuple[Sum, str]]:
        insert = _of_sums(kind).insert
        return await self._write(_put, f"write {kind.many} to", insert, sums, self._sum_rows(sums))

    def _hour(self) -> int:
        return int(self._clock()) // _HOUR_S * _HOUR_S

    def _event_rows(self, events: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        hour = self._hour()
        return [(*each, hour) for each in events]

    def _sum_rows(self, sums: Sequence[Sum]) -> list[tuple[Any, ...]]:
        hour = self._hour()
        return [(*each, each.version, hour) for each in sums]

    async def put_names(self, kind: Named, names: Mapping[str, str]) -> None:
        insert = Insert(kind, "id, name", "ON CONFLICT (id) DO UPDATE SET name = excluded.name")
        await self._write(_put, f"write {kind} to", insert, list(names.items()), list(names.items()))

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
        statement = f"{_of_sums(kind).select} WHERE {condition}"
        return list(map(_sum_reader(kind), await self._rows(statement, *parameters)))

    async def _rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = await self._read(self._reader.rows, statement, parameters)
        return rows

    async def events(self, kind: EventKind[Event], group: str, begin: float, end: float, limit: int) -> list[Event]:
        order = ", ".join(name for name in ("time", *kind.id_fields) if name != kind.group_field)
        condition = f"WHERE {kind.group_field} = ? AND time >= ? AND time < ? ORDER BY {order} LIMIT ?"
        rows = await self._rows(f"{_of_events(kind).select} {condition}", group, begin, end, limit)
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
        statement = f"{_of_events(kind).select} WHERE {column} > ? ORDER BY {column} LIMIT {SLICE_ROWS}"
        after = -1
        while rows := await self._rows(statement, after):
            for event in readable(event_of, rows, self.on_unreadable):
                yield event
            after = rows[-1][-1]

    async def all_sums(self, kind: CountedKind[Any]) -> AsyncIterator[Sum]:
        last: tuple[Any, ...] = ("", "", -(1 << 62), 0, 0)
        statement = f"{_of_sums(kind).select} WHERE ({SUM_KEY}) > (?, ?, ?, ?, ?) ORDER BY {SUM_KEY} LIMIT {SLICE_ROWS}"
        while rows := await self._rows(statement, *last):
            for each in readable(_sum_reader(kind), rows, self.on_unreadable):
                yield each
            last = rows[-1][:5]

    # -- mending

    async def mend_events(self, kind: EventKind[Event], events: Sequence[Event]) -> None:
        insert, rows = _of_events(kind).insert, self._event_rows(events)
        await self._write(_replace, kind.events_table, kind.id_fields, list(map(kind.id_of, events)), insert, rows)

    async def mend_sums(self, kind: CountedKind[Any], sums: Sequence[Sum]) -> None:
        insert, rows = _of_sums(kind).insert, self._sum_rows(sums)
        await self._write(_replace, kind.sums_table, SUM_KEY.split(", "), [each[:5] for each in sums], insert, rows)

    async def remove_events(self, kind: EventKind[Event], events: Sequence[Event]) -> None:
        await self._write(_replace, kind.events_table, kind.id_fields, list(map(kind.id_of, events)))

    async def remove_sums(self, kind: CountedKind[Any], sums: Sequence[Sum]) -> None:
        await self._write(_replace, kind.sums_table, SUM_KEY.split(", "), [each[:5] for each in sums])

    # -- retention

    async def drop(self) -> None:
        tables = [(kind.events_table, "rowid") for kind in EVENTS]
        for table, key in [*tables, *((kind.sums_table, sum_key(kind)) for kind in LEDGERS)]:
            while await self._write(_delete, table, key, "1"):
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
            while deleted := await self._write(_delete, table, key, condition):
                gone[keeps] += deleted
        return gone["raw"], gone["reduced"] + gone["short"]


def _put(
    writer: SqliteWriter, doing: str, insert: Insert, records: Sequence[Record], rows: Sequence[tuple[Any, ...]]
) -> list[tuple[Record, str]]:
    with writer.transaction(doing) as (connection, _):
        return [(records[index], reason) for index, reason in insert.run(connection, rows)]


def _replace(
    writer: SqliteWriter,
    table: str,
    columns: Sequence[str],
    keys: Sequence[tuple[Any, ...]],
    insert: Insert | None = None,
    rows: Sequence[tuple[Any, ...]] = (),
) -> None:
    """Deletes every copy of these keys, then inserts; all or nothing."""
    with writer.transaction("mend") as (connection, _):
        # a person may have written a text as a blob: the schema takes that for another key
        statement = f"DELETE FROM {table} WHERE {' AND '.join(f'{column} IN (?, ?)' for column in columns)}"
        for key in keys:
            connection.execute(statement, [form for value in key for form in _forms(value)])
        if insert is not None:
            all_taken([(rows[index], reason) for index, reason in insert.run(connection, rows)])


def _forms(value: Any) -> tuple[Any, Any]:
    if isinstance(value, str):
        return stored(value), value.encode("utf-8", "surrogatepass")
    return value, value


def _delete(writer: SqliteWriter, table: str, key: str, condition: str) -> int:
    """One slice of the rows; how many went."""
    statement = f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {condition} LIMIT {SLICE_ROWS})"
    with writer.transaction("delete old records from") as (connection, _):
        found: sqlite3.Cursor = connection.execute(statement)
        return found.rowcount


def _sum_of(row: tuple[Any, ...]) -> Sum:
    return Sum(row[0], text(row[1]), row[2], row[3], row[4], row[5], number(row[6]), row[7])
