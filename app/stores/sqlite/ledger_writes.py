"""Writing counted events to the embedded store, and the tables that they stand in, which derive from their kinds.

Times are UTC seconds since 1970, money is cents. A sum is stored once for each partition of the topic (and share): add them up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from app.domain.counted import CountedKind, EventKind, Sum
from app.flows.registry import EVENTS, LEDGERS
from app.stores.ledger_contract import Named
from app.stores.sqlite.bulk import Insert
from app.stores.sqlite.thread import in_thread
from app.stores.sqlite.writes import SqliteWrites

__all__ = [
    "SUM_KEY",
    "SqliteLedgerWrites",
    "event_columns",
    "insert_events",
    "insert_sums",
    "number_column",
    "sum_key",
]

SUM_KEY = "resolution, grp, start, partition, share"
SUM_COLUMNS = "events, amount, repeats, version, ingested"
_TYPES = {"text": "", "integer": " INTEGER", "time": " REAL", "boolean": " INTEGER"}
_FILE = Path(__file__).with_name("ledgers.sql")
_NAMED = re.compile(r"^CREATE (?:TABLE|VIEW) IF NOT EXISTS (\w+)[^;]+", re.MULTILINE)
_HOUR_S = 3600
_UPDATED = ", ".join(f"{column} = excluded.{column}" for column in SUM_COLUMNS.split(", "))
Event = TypeVar("Event", bound=tuple[Any, ...])
Record = TypeVar("Record", bound=tuple[Any, ...])


def event_columns(kind: EventKind[Any]) -> str:
    return ", ".join(field.name for field in kind.fields)


def number_column(kind: EventKind[Any]) -> str:
    """The rowid of the table of events: vote_no."""
    return f"{kind.one}_no"


def sum_key(kind: CountedKind[Any]) -> str:
    """The primary key of the sums, in the order in which they are read."""
    return "grp, resolution, start, partition, share" if kind.by_group else "resolution, start, grp, partition, share"


def ledger_tables() -> dict[str, str]:
    """Name of a table, index or view -> the statement that makes it if it is missing."""
    found = {each[1]: each[0] for each in _NAMED.finditer(_FILE.read_text(encoding="utf-8"))}

    def index(name: str, rows: str) -> None:
        found[name] = f"CREATE INDEX IF NOT EXISTS {name} ON {rows}"

    for kind in EVENTS:
        events = kind.events_table
        columns = [f"{each.name}{_TYPES[each.kind]}{'' if each.optional else ' NOT NULL'}" for each in kind.fields]
        found[events] = (
            f"CREATE TABLE IF NOT EXISTS {events} ({number_column(kind)} INTEGER PRIMARY KEY, {', '.join(columns)}, "
            f"ingested INTEGER NOT NULL, UNIQUE ({', '.join(kind.id_fields)}))"
        )
        index(f"{events}_by_ingest", f"{events} (ingested)")
        if kind.by_group:
            order = ", ".join(dict.fromkeys((kind.group_field, "time", *kind.id_fields)))
            index(f"{events}_by_{kind.group_field.removesuffix('_id')}", f"{events} ({order})")
    for kind in LEDGERS:
        sums = kind.sums_table
        found[sums] = (
            f"CREATE TABLE IF NOT EXISTS {sums} (resolution NOT NULL, start INTEGER NOT NULL, grp NOT NULL, "
            "partition INTEGER NOT NULL, share INTEGER NOT NULL, events INTEGER NOT NULL, amount NOT NULL, "
            "repeats INTEGER NOT NULL, version INTEGER NOT NULL, ingested INTEGER NOT NULL, "
            f"PRIMARY KEY ({sum_key(kind)})) WITHOUT ROWID"
        )
        index(f"{sums}_by_ingest", f"{sums} (resolution, ingested) WHERE resolution <> 'total'")
        if kind.by_group:
            index(f"{sums}_in_total", f"{sums} (grp, amount, events) WHERE resolution = 'total'")
    return found


@cache
def insert_events(kind: EventKind[Any]) -> Insert:
    return Insert(kind.events_table, f"{event_columns(kind)}, ingested", "ON CONFLICT DO NOTHING")


@cache
def insert_sums(kind: CountedKind[Any]) -> Insert:
    upsert = f"ON CONFLICT ({sum_key(kind)}) DO UPDATE SET {_UPDATED} WHERE excluded.version > version"
    return Insert(kind.sums_table, f"{SUM_KEY}, {SUM_COLUMNS}", upsert)


class SqliteLedgerWrites:
    """The LedgerWrites protocol, in the thread of `writes`."""

    def __init__(self, writes: SqliteWrites) -> None:
        self.thread, self._writer = writes.thread, writes.writer
        self._writer.more |= ledger_tables()

    @in_thread
    def write_events(self, kind: EventKind[Event], events: Sequence[Event]) -> list[tuple[Event, str]]:
        return self._put(kind.many, insert_events(kind), events, self._event_rows(events))

    @in_thread
    def write_sums(self, kind: CountedKind[Any], sums: Sequence[Sum]) -> list[tuple[Sum, str]]:
        return self._put(kind.many, insert_sums(kind), sums, self._sum_rows(sums))

    @in_thread
    def put_names(self, kind: Named, names: Mapping[str, str]) -> None:
        insert = Insert(kind, "id, name", "ON CONFLICT (id) DO UPDATE SET name = excluded.name")
        self._put(kind, insert, list(names.items()), list(names.items()))

    def _event_rows(self, events: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        hour = self._hour()
        return [(*each, hour) for each in events]

    def _sum_rows(self, sums: Sequence[Sum]) -> list[tuple[Any, ...]]:
        hour = self._hour()
        return [(*each, each.version, hour) for each in sums]

    def _hour(self) -> int:
        return int(self._writer.clock()) // _HOUR_S * _HOUR_S

    def _put(
        self, what: str, insert: Insert, records: Sequence[Record], rows: Sequence[tuple[Any, ...]]
    ) -> list[tuple[Record, str]]:
        with self._writer.transaction(f"write {what} to") as (connection, _):
            return [(records[index], reason) for index, reason in insert.run(connection, rows)]
