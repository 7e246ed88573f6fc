"""Records as rows of Cassandra's tables, encoded, and back. No driver here: statements are named, and prepared elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple
from zlib import crc32

from app.domain.records import Delivery, Hit, Reject, delivery_id
from app.stores.cassandra.values import (
    big,
    bigint,
    day_number,
    double,
    int32,
    key_part,
    long_key,
    pairs,
    text,
    text_of,
    texts,
    varint,
)

__all__ = [
    "COLUMN_BYTES",
    "DELIVERY_COLUMNS",
    "HIDDEN",
    "HIT_COLUMNS",
    "MAX_VERSION",
    "REJECT_COLUMNS",
    "SHARDS",
    "VERDICTS",
    "AnyKey",
    "KeyBytes",
    "Row",
    "class_of",
    "day_bytes",
    "delivery_of_row",
    "delivery_values",
    "hit_of_row",
    "hit_values",
    "hour_of",
    "id_bytes",
    "index_values",
    "key_bytes",
    "reject_of_row",
    "reject_values",
    "stamp",
]

KEY_COLUMNS = "ip_address, user_agent, request"
HIT_COLUMNS = f"{KEY_COLUMNS}, day, time, raw_id, method, status, lo, hi, bytes_sent, total_bytes, flags, source, position, long_key"
DELIVERY_COLUMNS = (
    f"{KEY_COLUMNS}, window_start, byte_ranges, missing, covered, total, size_known, verdict, evidence, reason, hits, "
    "bytes_sent, first, last, flags, hit_ids, final, version, superseded_by, long_key"
)
REJECT_COLUMNS = "reason, bucket, raw_id, detail, line, source, position, time"

SHARDS = 8
"""Partitions that share one hour or day of an index: a busy hour is not one partition."""
BUCKETS = 1024
"""Partitions of the rejects of one reason."""
VERDICTS = ("complete", "partial", "unknown")
HIDDEN = "superseded"
"""The class of superseded deliveries in deliveries_by_last; the others' is their verdict."""
MAX_VERSION = 1 << 42
_VERSION_STEP = 1_000_000
_KNOWN = 500_000
_HOUR_S = 3600.0
_HOURS_END = 1 << 50
_TRUE, _FALSE = b"\1", b"\0"

AnyKey = tuple[str | None, str | None, str | None]
COLUMN_BYTES = 20
"""What a column takes in a batch beside its value, about as the server counts it."""


class Row(NamedTuple):
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
    """Encoded, absent parts told from empty ones; the hash is records.key_hash where all parts are there."""
    parts = [key_part(key[0]), key_part(key[1]), key_part(key[2])]
    joined = "_".join([part or "" for part in key]).encode("utf-8", "surrogatepass")
    digest = blake2b(joined, digest_size=16).digest()
    lengths = b"".join([int32(-1 if part is None else len(part)) for part in key])
    return KeyBytes(parts, long_key(parts, key), digest, digest + lengths)


_short_text = lru_cache(maxsize=1024)(text)
"""Of methods and sources, of which there are few."""


def hit_values(hit: Hit, key: KeyBytes, day: bytes, unset: Any) -> list[Any]:
    """In the order of HIT_COLUMNS. Raises ValueError for what no row can hold; `unset` stands where a column is not written."""
    time, _, _, _, method, status, lo, hi, bytes_sent, total_bytes, flags, raw_id, source, position = hit
    if len(raw_id) != 32 or bytes.fromhex(raw_id).hex() != raw_id:
        raise ValueError(f"raw_id {raw_id[:80]!r} is not 32 hex digits")
    return [
        *key.parts,
        day,
        double(time + 0.0),  # -0.0 is 0.0: they would be two rows
        raw_id.encode(),
        unset if method is None else _short_text(method),
        int32(status),
        unset if lo is None else varint(lo),
        unset if hi is None else varint(hi),
        unset if bytes_sent is None else varint(bytes_sent),
        unset if total_bytes is None else varint(total_bytes),
        int32(flags),
        _short_text(source),
        varint(position),
        unset if key.full is None else key.full,
    ]


def hit_of_row(row: Sequence[Any]) -> Hit:
    """From HIT_COLUMNS. A row that a person wrote with less in it gives zeros and empty texts."""
    full = row[15] or (None, None, None)
    return Hit(
        row[4],
        text_of(row[0], full[0]),
        text_of(row[1], full[1]),
        text_of(row[2], full[2]),
        text_of(row[6]),
        row[7] or 0,
        row[8],
        row[9],
        row[10],
        row[11],
        row[12] or 0,
        row[5],
        text_of(row[13]) or "",
        row[14] or 0,
    )


def reject_values(reject: Reject) -> list[Any]:
    """In the order of REJECT_COLUMNS. Raises ValueError for what no row can hold."""
    reason, detail, line, raw_id, source, position, time = reject
    if len(raw_id) != 32 or bytes.fromhex(raw_id).hex() != raw_id:
        raise ValueError(f"raw_id {raw_id[:80]!r} is not 32 hex digits")
    name = key_part(reason)
    if name[:2] == b"\0h":
        raise ValueError(f"reason of {len(reason)} characters is too long")
    if math.isnan(time):
        raise ValueError("time is no number")
    bucket = int(raw_id[:8], 16) % BUCKETS
    return [
        name,
        int32(bucket),
        raw_id.encode(),
        text(detail),
        text(line),
        text(source),
        varint(position),
        double(time),
    ]


def reject_of_row(row: Sequence[Any]) -> Reject:
    """From REJECT_COLUMNS."""
    return Reject(
        text_of(row[0]),
        text_of(row[3]) or "",
        text_of(row[4]) or "",
        row[2],
        text_of(row[5]) or "",
        row[6] or 0,
        row[7] or 0.0,
    )


def delivery_values(delivery: Delivery, key: KeyBytes, unset: Any) -> list[Any]:
    """In the order of DELIVERY_COLUMNS: every column, so that no two versions mix. Raises ValueError for what no row can hold."""
    d = delivery
    if d.verdict not in VERDICTS:
        raise ValueError(f"verdict {d.verdict[:80]!r} is none of {', '.join(VERDICTS)}")
    if not 0 <= d.version <= MAX_VERSION:
        raise ValueError(f"version is not within 0..{MAX_VERSION}: it is the timestamp of the row")
    if math.isnan(d.window_start) or math.isnan(d.first) or math.isnan(d.last):
        raise ValueError("window_start, first or last is no number")
    joined = "".join(d.hit_ids)
    packed = bytes.fromhex(joined)
    if packed.hex() != joined or not set(map(len, d.hit_ids)) <= {16}:
        raise ValueError("hit_ids are not 16 hex digits each")
    return [
        *key.parts,
        double(d.window_start + 0.0),  # -0.0 is 0.0: they would be two rows
        pairs(d.ranges),
        pairs(d.missing),
        varint(d.covered_bytes),
        None if d.total_bytes is None else varint(d.total_bytes),
        _TRUE if d.size_known else _FALSE,
        d.verdict.encode(),
        text(d.evidence),
        None if d.reason is None else text(d.reason),
        varint(d.hits),
        None if d.bytes_sent is None else varint(d.bytes_sent),
        double(d.first),
        double(d.last),
        texts(d.flags),
        packed,
        _TRUE if d.final else _FALSE,
        bigint(d.version),
        None if d.superseded_by is None else double(d.superseded_by),
        unset if key.full is None else key.full,
    ]


def stamp(delivery: Delivery, values: Sequence[Any]) -> int:
    """The timestamp of a delivery's row: its version in millions, then below a million what tells two contents of one version apart.

    Cassandra compares cell by cell: of two contents with one timestamp it would mix a third. One version has two contents when
    the sizes file changed between two replays: then the one that knows the size wins, whole, whatever the order.
    """
    content = crc32(b"\xff".join([b"\xfe" if value is None else value for value in values[4:21]])) % _KNOWN
    return delivery.version * _VERSION_STEP + (_KNOWN if delivery.size_known else 0) + content


def delivery_of_row(row: Sequence[Any]) -> Delivery:
    """From DELIVERY_COLUMNS. A row that a person wrote with less in it gives zeros and empty texts."""
    full = row[21] or (None, None, None)
    packed = row[17] or b""
    return Delivery(
        text_of(row[0], full[0]),
        text_of(row[1], full[1]),
        text_of(row[2], full[2]),
        row[3],
        row[14] or 0.0,
        row[15] or 0.0,
        [[lo, hi] for lo, hi in row[4] or ()],
        [[lo, hi] for lo, hi in row[5] or ()],
        row[6] or 0,
        row[7],
        bool(row[8]),
        row[9] or "",
        text_of(row[10]) or "",
        text_of(row[11]),
        row[12] or 0,
        row[13],
        [text_of(flag) for flag in row[16] or ()],
        [packed[at : at + 8].hex() for at in range(0, len(packed), 8)],
        bool(row[18]),
        row[19] or 0,
        row[20],
    )


def class_of(delivery: Delivery) -> str:
    """Under which name deliveries_by_last has it."""
    return HIDDEN if delivery.superseded_by is not None else delivery.verdict


def hour_of(time_s: float) -> int:
    """Whole hours since 1970; times beyond some hundred billion years count to the last.

    >>> hour_of(7199.0), hour_of(-1.0), hour_of(float("inf"))
    (1, -1, 1125899906842624)
    """
    hour = time_s / _HOUR_S
    return math.floor(hour) if -_HOURS_END < hour < _HOURS_END else int(math.copysign(_HOURS_END, hour))


def id_bytes(delivery: Delivery) -> bytes:
    """16 bytes that name the delivery in every store."""
    return bytes.fromhex(delivery_id(delivery[0], delivery[1], delivery[2], delivery[3] + 0.0))


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
