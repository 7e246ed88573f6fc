"""Records as rows of Cassandra's tables, encoded, and the statements that write them. No driver here.

Columns and types follow from the tables of fields; answers.py has the way back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from app.domain.fields import DELIVERY, HIT, KEY, REJECT, Field, Table
from app.stores.cassandra.values import COLUMNS, text

__all__ = [
    "DELIVERIES",
    "HITS",
    "KEY_COLUMNS",
    "LONG_KEY",
    "REJECTS",
    "SHARDS",
    "STAMPED_COLUMNS",
    "TABLES",
    "VERDICTS",
    "CqlRow",
    "Rows",
    "insert",
    "sized_row",
    "write_statements",
]

SHARDS = 8
"""Partitions that share one hour or day of an index: a busy hour is not one partition."""
VERDICTS = ("complete", "partial", "unknown")
_COLUMN_BYTES = 20
"""What a column takes in a batch beside its value, about as the server counts it."""


class CqlRow(NamedTuple):
    """One statement to be executed."""

    statement: str
    """Name among the prepared ones."""
    values: list[Any]
    """Encoded; None is null."""
    size: int
    """Bytes, about as the server counts them for the size of a batch."""
    record: int
    """Which record of the call it belongs to."""


def sized_row(statement: str, values: list[Any], record: int, unset: Any = None) -> CqlRow:
    """With the size of these values; `unset` is what stands where a column is not written."""
    size = _COLUMN_BYTES * len(values) + sum(
        [len(value) for value in values if value is not None and value is not unset]
    )
    return _make_row(CqlRow, (statement, values, size, record))


_make_row = tuple.__new__
_short_text = lru_cache(maxsize=1024)(text)
"""Of methods and sources, of which there are few."""


_NAMES = {"ranges": "byte_ranges", "covered_bytes": "covered", "total_bytes": "total"}
"""Columns of reduced_weblogs that have another name than their field."""
LONG_KEY = "long_key"


def _encoder(table: Table, own: Sequence[Field]) -> Callable[[Sequence[Any], Any], list[Any]]:
    known = {
        f"encode_{field.name}": _short_text if field.name in ("method", "source") else COLUMNS[field.kind][1]
        for field in own
    }
    values = [
        f"_null if {field.name} is None else encode_{field.name}({field.name})"
        if field.optional
        else f"encode_{field.name}({field.name})"
        for field in own
    ]
    return table.written_out([f"return [{', '.join(values)}]"], ", _null", **known)


class Rows:
    """The rows of one kind of record: columns of the key, then of the other fields in their order, then those of `beside`."""

    def __init__(self, table: Table, names: Mapping[str, str], beside: Mapping[str, str]) -> None:
        self.table = table
        self.keyed = set(KEY) <= table.at.keys()
        self.own = table.without(*KEY) if self.keyed else table.fields
        self.fields = (*(table[name] for name in KEY), *self.own) if self.keyed else self.own
        self.types = {names.get(each.name, each.name): COLUMNS[each.kind][0] for each in self.fields} | dict(beside)
        """CQL type by column."""
        self.columns = ", ".join(self.types)
        self.at = {name: at for at, name in enumerate(self.types)}
        """The index of each column."""
        self.values = _encoder(table, self.own)
        """The fields of a record, encoded, without those of the key; its second argument stands for None.

        Raises what encoding raises for a value that no row can hold.
        """


_LONG_KEY_TYPE = {LONG_KEY: "frozen<tuple<text, text, text>>"}
HITS = Rows(HIT, {}, {"day": "date"} | _LONG_KEY_TYPE)
DELIVERIES = Rows(DELIVERY, _NAMES, _LONG_KEY_TYPE)
REJECTS = Rows(REJECT, {}, {"bucket": "int"})
TABLES = {"raw_weblogs": HITS, "reduced_weblogs": DELIVERIES, "rejects": REJECTS}
KEY_COLUMNS = ", ".join(KEY)
STAMPED_COLUMNS = ", ".join(column for column in DELIVERIES.types if column not in (*KEY, "window_start", LONG_KEY))
"""Those of reduced_weblogs that have a time of writing of their own."""


def insert(table: str, columns: str, using: str) -> str:
    """The statement that writes these columns of a row."""
    marks = ", ".join("?" for _ in columns.split(","))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks}) {using}"


def write_statements(keyspace: str) -> dict[str, str]:
    """Name → CQL."""
    k, ttl = keyspace, "USING TTL ?"
    key_day = f"key_hash, {KEY_COLUMNS}"
    index = f"class, hour, shard, last, delivery_id, {KEY_COLUMNS}, window_start, long_key"
    return {
        "hit": insert(f"{k}.raw_weblogs", HITS.columns, ttl),
        "reject": insert(f"{k}.rejects", REJECTS.columns, ttl),
        "delivery": insert(f"{k}.reduced_weblogs", DELIVERIES.columns, "USING TTL ? AND TIMESTAMP ?"),
        "by_last": insert(f"{k}.deliveries_by_last", index, ttl),
        "by_hash": insert(f"{k}.keys_by_hash", f"{key_day}, day, long_key", ttl),
        "by_day": insert(f"{k}.keys_by_day", f"day, shard, {key_day}, written, long_key", ttl),
        "bucket": insert(f"{k}.buckets", "kind, bucket", ttl),
    }
