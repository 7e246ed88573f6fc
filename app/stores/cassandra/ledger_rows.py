"""Tables of counted events in Cassandra, derived from their kinds, and how events and sums are stored in their rows.

Sums are written USING TIMESTAMP from their version: never write or delete there by the clock. A text that begins with NUL is
escaped after a NUL. Times are UTC seconds since 1970, days count from 1970, money is cents. A sum is stored once for each
partition of the topic (and share): add them up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

from app.domain import windows
from app.domain.counted import CountedKind, EventKind, Sum
from app.flows.registry import EVENTS, LEDGERS
from app.stores.cassandra.rows import CqlRow, sized_row
from app.stores.cassandra.values import bigint, boolean, double, int32, text, varint
from app.stores.ledger_contract import SHORT_DAYS

__all__ = [
    "DAY_S",
    "FLOW_END_US",
    "SHARDS",
    "LedgerTable",
    "count_columns",
    "event_encoders",
    "event_row",
    "events_table",
    "ledger_tables",
    "ranking_table",
    "sum_id",
    "sum_rows",
    "sums_tables",
]

SHARDS = 16
"""Partitions that hold the totals of all groups."""
DAY_S = int(windows.DAY_S)
FLOW_END_US = 4_000_000_000_000_000
"""The year 2096: what the flow writes first of an event has the highest timestamp, below this, and stays; what mends is above."""
_FOR_EVER, _SHORT = int32(0), int32(int(SHORT_DAYS * DAY_S))
"""Times to live."""
_TYPES = {"text": "text", "integer": "bigint", "time": "double", "boolean": "boolean"}
_ENCODERS: Mapping[str, Callable[[Any], bytes]] = {"text": text, "integer": bigint, "time": double, "boolean": boolean}

Event = TypeVar("Event", bound=tuple[Any, ...])


class LedgerTable(NamedTuple):
    """One table: what its rows are named by comes first among the columns."""

    name: str
    columns: Mapping[str, str]
    """Name -> CQL type, in order."""
    partition: Sequence[str]
    clustering: Sequence[str]
    comment: str
    stamped: str = ""
    """A column whose time of writing tells the row's; none for tables that are never mended."""

    @property
    def key(self) -> tuple[str, ...]:
        return (*self.partition, *self.clustering)

    @property
    def names(self) -> str:
        """The columns as CQL lists them."""
        return ", ".join(self.columns)

    def create(self, keyspace: str) -> str:
        columns = ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        key = ", ".join((f"({', '.join(self.partition)})", *self.clustering))
        return (
            f"CREATE TABLE IF NOT EXISTS {keyspace}.{self.name} ({columns}, PRIMARY KEY ({key})) "
            f"WITH comment = '{self.comment}'"
        )


@cache
def events_table(kind: EventKind[Any]) -> LedgerTable:
    types = {field.name: _TYPES[field.kind] for field in kind.fields}
    if kind.by_group:
        partition: list[str] = [kind.group_field]
        clustering = ["time", *(name for name in kind.id_fields if name != kind.group_field)]
    else:
        partition, clustering = list(kind.id_fields), []
    key = [*partition, *clustering]
    columns = {name: types[name] for name in (*key, *(name for name in types if name not in key))}
    comment = f"{kind.many.capitalize()}{' that count' if isinstance(kind, CountedKind) else ''}; the first of an id stays: written USING TIMESTAMP that falls as time goes on"
    return LedgerTable(kind.events_table, columns, partition, clustering, comment, list(columns)[len(key)])


def count_columns(kind: CountedKind[Any]) -> dict[str, str]:
    amount = {kind.amount_field: "varint"} if kind.amount_field else {}
    return amount | {kind.many: "bigint", "repeats": "bigint"}


@cache
def sums_tables(kind: CountedKind[Any]) -> dict[str, LedgerTable]:
    """By resolution; empty for those of the common table."""
    group, place = kind.group_field, {"partition": "int", "share": "bigint"}
    if kind.by_group:
        columns = {group: "text", "resolution": "text", "start": "bigint"} | place | count_columns(kind)
        common = ([group, "resolution"], ["start", *place])
    else:
        columns = (
            {"resolution": "text", "day": "bigint", "start": "bigint", group: "text"} | place | count_columns(kind)
        )
        common = (["resolution", "day"], ["start", group, *place])
    resolutions = ", ".join(each.name for each in kind.resolutions if not each.within)
    found = {
        "": LedgerTable(kind.sums_table, columns, *common, f"{kind.many.capitalize()} by {resolutions}", kind.many)
    }
    types = {field.name: _TYPES[field.kind] for field in kind.fields}
    for each in kind.resolutions:
        if each.within:
            columns = {group: types[group], "day": "bigint", "window_start": "bigint", each.within: "text"}
            own = ([group, "day"], ["window_start", each.within, *place])
            comment = f"{kind.many.capitalize()} by {each.name} and window; {each.within} is empty where none is named"
            found[each.name] = LedgerTable(each.table, columns | place | count_columns(kind), *own, comment, kind.many)
    return found


@cache
def ranking_table(kind: CountedKind[Any]) -> LedgerTable:
    """The totals of all groups, in some partitions."""
    totals = {name: kind_of for name, kind_of in count_columns(kind).items() if name != "repeats"}
    columns = {"shard": "int", kind.group_field: "text", "partition": "int", "share": "bigint"} | totals
    clustering = [kind.group_field, "partition", "share"]
    return LedgerTable(
        kind.ranking_table, columns, ["shard"], clustering, "Totals of all groups in some partitions", kind.many
    )


@cache
def ledger_tables() -> tuple[LedgerTable, ...]:
    """All of them, names and floors among them."""
    found: list[LedgerTable] = []
    found += map(events_table, EVENTS)
    for kind in LEDGERS:
        found += sums_tables(kind).values()
        if kind.ranking_table:
            found.append(ranking_table(kind))
    floors = {"sum_id": "blob", "floor": "bigint"}
    names = {"kind": "text", "id": "text", "name": "text"}
    return (
        *found,
        LedgerTable("sum_floors", floors, ["sum_id"], [], "Mended sums: what is added to the timestamp of every write"),
        LedgerTable("names", names, ["kind"], ["id"], "Candidates and users"),
    )


@cache
def event_encoders(kind: EventKind[Any]) -> list[tuple[int, Callable[[Any], bytes]]]:
    places = {field.name: at for at, field in enumerate(kind.fields)}
    order = [places[name] for name in events_table(kind).columns]
    return [(at, _ENCODERS[kind.fields[at].kind]) for at in order]


def event_row(kind: EventKind[Event], event: Event, stamp: bytes, ttl: bytes, number: int) -> CqlRow:
    values = [None if event[at] is None else encode(event[at]) for at, encode in event_encoders(kind)]
    return _row(kind.events_table, [*values, stamp, ttl], number)


def sum_rows(kind: CountedKind[Any], each: Sum, ttl: bytes, number: int, floor: int = 0) -> list[CqlRow]:
    """Totals live for ever, counts by second for two days; a total of a kind that is ranked is stored in two tables."""
    resolution = kind.resolution[each.resolution]
    ttl = {"ever": _FOR_EVER, "short": _SHORT}.get(resolution.keeps, ttl)
    place = [int32(each.partition), bigint(each.share)]
    known = [*([varint(each.amount)] if kind.amount_field else ()), bigint(each.events)]
    end = [bigint(each.version + floor), ttl]
    day, start = bigint(each.start // DAY_S), bigint(each.start)
    if resolution.within:
        first, _, second = each.group.partition("/")
        integer = sums_tables(kind)[resolution.name].columns[kind.group_field] == "bigint"
        head = [bigint(int(first)) if integer else text(first), day, start, text(second)]
        return [_row(resolution.table, [*head, *place, *known, bigint(each.repeats), *end], number)]
    group = text(each.group)
    head = [group, text(each.resolution), start] if kind.by_group else [text(each.resolution), day, start, group]
    rows = [_row(kind.sums_table, [*head, *place, *known, bigint(each.repeats), *end], number)]
    if kind.ranking_table and each.resolution == "total":
        shard = int32(crc32(each.group.encode("utf-8", "surrogatepass")) % SHARDS)
        rows.append(_row(kind.ranking_table, [shard, group, *place, *known, *end], number))
    return rows


def sum_id(kind: CountedKind[Any], each: Sum) -> bytes:
    """Names a sum among the floors."""
    return blake2b("\0".join((kind.name, *map(repr, each[:5]))).encode(), digest_size=16).digest()


def _row(table: str, values: list[Any], record: int) -> CqlRow:
    return sized_row(f"insert {table}", values, record)
