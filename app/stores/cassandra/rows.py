"""Records as rows of Cassandra's tables, encoded, and the statements that write them. No driver here.

Columns and types follow from the tables of fields; answers.py has the way back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from zlib import crc32

from app.domain.fields import DELIVERY, HIT, KEY, REJECT, Field, Table
from app.domain.records import Delivery, Hit, Reject
from app.stores.cassandra.values import COLUMNS, big, bigint, day_number, double, int32, key_part, long_key, text
from app.stores.identities import AnyKey, key_name

__all__ = [
    "COLUMN_BYTES",
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
    "KeyBytes",
    "Rows",
    "class_of",
    "day_bytes",
    "delivery_values",
    "hit_values",
    "hour_of",
    "index_values",
    "insert",
    "key_bytes",
    "reject_values",
    "stamp",
    "write_statements",
]

SHARDS = 8
"""Partitions that share one hour or day of an index: a busy hour is not one partition."""
_BUCKETS = 1024
"""Partitions of the rejects of one reason."""
VERDICTS = ("complete", "partial", "unknown")
_HIDDEN = "superseded"
"""The class of superseded deliveries in deliveries_by_last; the others' is their verdict."""
_VERSION_STEP = 1_000_000
_KNOWN = 500_000
_HOUR_S = 3600.0
_HOURS_END = 1 << 50

COLUMN_BYTES = 20
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


class KeyBytes(NamedTuple):
    """One key, encoded once for all its rows."""

    parts: list[bytes]
    full: bytes | None
    """long_key"""
    digest: bytes
    """16 bytes, the key_hash of the joined text."""
    name: bytes
    """Tells keys apart that join alike."""


def key_bytes(key: AnyKey) -> KeyBytes:
    """Encoded, absent parts told from empty ones."""
    parts = [key_part(key[0]), key_part(key[1]), key_part(key[2])]
    name = key_name(*key)
    return KeyBytes(parts, long_key(parts, key), name[:16], name)


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
_STAMPED = [DELIVERIES.at[column] for column in STAMPED_COLUMNS.split(", ")]
_REASON = REJECT.at["reason"]


def hit_values(hit: Hit, key: KeyBytes, day: bytes, unset: Any) -> list[Any]:
    """In the order of HITS.columns. Raises ValueError for what no row can hold; `unset` stands where a column is not written."""
    return [*key.parts, *HITS.values(hit, unset), day, unset if key.full is None else key.full]


def reject_values(reject: Reject) -> list[Any]:
    """In the order of REJECTS.columns. Raises ValueError for what no row can hold."""
    values = REJECTS.values(reject, None)
    name = values[_REASON] = key_part(reject.reason)
    if name[:2] == b"\0h":
        raise ValueError(f"reason of {len(reject.reason)} characters is too long")
    values.append(int32(int(reject.raw_id[:8], 16) % _BUCKETS))
    return values


def delivery_values(delivery: Delivery, key: KeyBytes, unset: Any) -> list[Any]:
    """In the order of DELIVERIES.columns: every column, so that no two versions mix. Raises ValueError for what no row can hold."""
    if delivery.verdict not in VERDICTS:
        raise ValueError(f"verdict {delivery.verdict[:80]!r} is none of {', '.join(VERDICTS)}")
    return [*key.parts, *DELIVERIES.values(delivery, None), unset if key.full is None else key.full]


def stamp(delivery: Delivery, values: Sequence[Any]) -> int:
    """The timestamp of a delivery's row: its version in millions, then below a million what tells two contents of one version apart.

    Cassandra compares cell by cell: of two contents with one timestamp it would mix a third. One version has two contents when
    the sizes file changed between two replays: then the one that knows the size wins, whole, whatever the order.
    """
    content = crc32(b"\xff".join([b"\xfe" if values[at] is None else values[at] for at in _STAMPED])) % _KNOWN
    return delivery.version * _VERSION_STEP + (_KNOWN if delivery.size_known else 0) + content


def class_of(delivery: Delivery) -> str:
    """Under which name deliveries_by_last has it."""
    return _HIDDEN if delivery.superseded_by is not None else delivery.verdict


def hour_of(time_s: float) -> int:
    """Whole hours since 1970; times beyond some hundred billion years count to the last.

    >>> hour_of(7199.0), hour_of(-1.0), hour_of(float("inf"))
    (1, -1, 1125899906842624)
    """
    hour = time_s / _HOUR_S
    return math.floor(hour) if -_HOURS_END < hour < _HOURS_END else int(math.copysign(_HOURS_END, hour))


def index_values(delivery: Delivery, key: KeyBytes, name: bytes, unset: Any) -> list[Any]:
    """class, hour, shard, last, delivery_id, the key, window_start, long_key"""
    return [
        class_of(delivery).encode(),
        bigint(hour_of(delivery.last)),
        int32(name[0] % SHARDS),
        double(delivery.last),
        name,
        *key.parts,
        double(delivery.window_start + 0.0),
        unset if key.full is None else key.full,
    ]


def day_bytes(time_s: float) -> bytes:
    """The `date` of a time. Raises ValueError where it is no number."""
    if math.isnan(time_s):
        raise ValueError("time is no number")
    return big(day_number(time_s))


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
