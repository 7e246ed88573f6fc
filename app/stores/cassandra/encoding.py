"""The rows that a batch of records becomes. Runs in a thread: it is the part that takes time."""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Hashable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple
from zlib import crc32

from app.domain.fields import HIT, KEY, REJECT
from app.domain.records import Delivery, Hit, Reject
from app.stores.cassandra.memory import Written
from app.stores.cassandra.rows import DELIVERIES, HITS, REJECTS, SHARDS, STAMPED_COLUMNS, VERDICTS, CqlRow, sized_row
from app.stores.cassandra.values import bigint, date, double, int32, key_part, long_key
from app.stores.identities import AnyKey, key_name

__all__ = [
    "Encoder",
    "WriteWork",
    "class_of",
    "delivery_values",
    "hit_values",
    "key_bytes",
    "refusals",
    "reject_values",
    "stamp",
    "ttl_s",
]

_LONGEST_TTL_S = 10 * 365 * 86400
"""Longer ones are written without TTL: the server refuses what would expire beyond 2038."""
_time_and_id = itemgetter(HIT.at["time"], HIT.at["raw_id"])
_WINDOW_START = DELIVERIES.at["window_start"]
_BUCKETS = 1024
"""Partitions of the rejects of one reason."""
_HIDDEN = "superseded"
"""The class of superseded deliveries in deliveries_by_last; the others' is their verdict."""
_VERSION_STEP = 1_000_000
_KNOWN = 500_000
_HOUR_S = 3600.0
_HOURS_END = 1 << 50

_STAMPED = [DELIVERIES.at[column] for column in STAMPED_COLUMNS.split(", ")]
_REASON = REJECT.at["reason"]
_key_of_hit = HIT.picker(tuple(HIT[name] for name in KEY))
_UNKEPT = (struct.error, ValueError, OverflowError, TypeError, AttributeError)
"""What encoding raises for a value that no column can hold."""


def ttl_s(days: float) -> int:
    """Seconds to live; 0 is for ever.

    >>> ttl_s(7), ttl_s(0), ttl_s(float("inf"))
    (604800, 1, 0)
    """
    seconds = days * 86400.0
    return 0 if not seconds <= _LONGEST_TTL_S else max(1, math.ceil(seconds))


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


class WriteWork:
    """Rows to send, what was refused before, and what to remember once they are written."""

    def __init__(self) -> None:
        self.records: list[CqlRow] = []
        self.others: dict[tuple[str, bytes], list[CqlRow]] = {}
        """Rows of index and lookup tables, by table and partition."""
        self.refused: dict[int, str] = {}
        self.names: dict[Hashable, None] = {}
        """Rows to remember once all is written."""

    @property
    def rows(self) -> list[CqlRow]:
        """In the order they are sent: rows of one partition side by side, because the server takes them in one step."""
        return self.records + [row for name in sorted(self.others) for row in self.others[name]]


class Encoder:
    """Makes rows. `raw_s` and `reduced_s` are the seconds to live (0 for ever) of raw and reduced rows.

    `nulls`: what a hit lacks is written as null.
    """

    def __init__(
        self, raw_s: int, reduced_s: int, written: Written, age_s: float, unset: Any, *, nulls: bool = False
    ) -> None:
        self._raw, self._reduced = int32(raw_s), int32(reduced_s)
        # what is remembered as written is not written again for twice `age_s`, and must outlive the records that need it
        lookup = 0 if 0 in (raw_s, reduced_s) else max(raw_s, reduced_s) + math.ceil(2 * age_s)
        self._lookup = int32(lookup)
        self._written = written
        self._unset, self._absent = unset, None if nulls else unset

    def hits(self, hits: Sequence[Hit]) -> WriteWork:
        """Rows of raw_weblogs by partition, and the lookup rows they need."""
        work = WriteWork()
        partitions: dict[tuple[AnyKey, bytes], list[CqlRow]] = {}
        keys: dict[AnyKey, KeyBytes] = {}
        seen: set[tuple[Any, ...]] = set()
        for index, hit in enumerate(hits):
            key = _key_of_hit(hit)
            time_s, raw_id = _time_and_id(hit)
            try:
                name = (raw_id, time_s, key)
                if name in seen:
                    continue
                seen.add(name)
                encoded = keys.get(key)
                if encoded is None:
                    encoded = keys[key] = key_bytes(key)
                day = date(time_s)
                values = hit_values(hit, encoded, day, self._absent)
            except _UNKEPT as error:
                work.refused[index] = _reason(error)
                continue
            values.append(self._raw)
            rows = partitions.get((key, day))
            if rows is None:
                rows = partitions[key, day] = []
            rows.append(sized_row("hit", values, index, self._unset))
        for (key, day), rows in partitions.items():
            work.records += rows
            self._lookups(work, keys[key], day, rows[-1].record)
        return work

    def rejects(self, rejects: Sequence[Reject]) -> WriteWork:
        """Rows of rejects; of several with one raw id and reason the first."""
        work = WriteWork()
        seen: set[tuple[str, str]] = set()
        for index, reject in enumerate(rejects):
            name = (reject.reason, reject.raw_id)
            if name in seen:
                continue
            seen.add(name)
            try:
                work.records.append(sized_row("reject", [*reject_values(reject), self._raw], index))
            except _UNKEPT as error:
                work.refused[index] = _reason(error)
        return work

    def deliveries(self, deliveries: Sequence[Delivery], floors: dict[bytes, int]) -> WriteWork:
        """The highest version of each delivery as rows of reduced_weblogs, of its index, and the lookup rows they need."""
        work = WriteWork()
        best: dict[tuple[Any, ...], tuple[int, int, list[Any], KeyBytes, bytes]] = {}
        keys: dict[AnyKey, KeyBytes] = {}
        for index, delivery in enumerate(deliveries):
            try:
                key = delivery.key
                encoded = keys.get(key)
                if encoded is None:
                    encoded = keys[key] = key_bytes(key)
                values = delivery_values(delivery, encoded, self._unset)
                at = stamp(delivery, values)
                day = date(delivery.last)
            except _UNKEPT as error:
                work.refused[index] = _reason(error)
                continue
            name = (key, values[_WINDOW_START])
            other = best.get(name)
            if other is None or other[0] < at:
                best[name] = (at, index, values, encoded, day)
        for at, index, values, encoded, day in best.values():
            delivery = deliveries[index]
            name_id = bytes.fromhex(delivery.id)
            if floors:
                at += floors.get(name_id, 0)
            work.records.append(sized_row("delivery", [*values, self._reduced, bigint(at)], index, self._unset))
            group, hour = class_of(delivery), hour_of(delivery.last)
            partition = [group.encode(), bigint(hour), int32(name_id[0] % SHARDS)]
            found_by = [double(delivery.last), name_id, *encoded.parts, values[_WINDOW_START], values[-1]]
            self._beside(work, "by_last", [*partition, *found_by, self._reduced], index, b"".join(partition))
            self._bucket(work, group, hour, index)
            self._lookups(work, encoded, day, index)
        return work

    def _lookups(self, work: WriteWork, key: KeyBytes, day: bytes, index: int) -> None:
        name = (key.name, day)
        if name in work.names or name in self._written:
            return
        work.names[name] = None
        key_hash = key.digest.hex().encode()
        full = self._unset if key.full is None else key.full
        written = bigint(int(time.time() * 1000))
        shard = int32(key.digest[0] % SHARDS)
        self._beside(work, "by_hash", [key_hash, *key.parts, day, full, self._lookup], index, b"")
        self._beside(
            work, "by_day", [day, shard, key_hash, *key.parts, written, full, self._lookup], index, day + shard
        )
        self._bucket(work, "keys", int.from_bytes(day, "big"), index)

    def _bucket(self, work: WriteWork, kind: str, bucket: int, index: int) -> None:
        name = (kind, bucket)
        if name in work.names or name in self._written:
            return
        work.names[name] = None
        self._beside(work, "bucket", [kind.encode(), bigint(bucket), self._lookup], index, kind.encode())

    def _beside(self, work: WriteWork, statement: str, values: list[Any], index: int, partition: bytes) -> None:
        work.others.setdefault((statement, partition), []).append(sized_row(statement, values, index, self._unset))


def refusals(records: Sequence[Any], reasons: dict[int, str]) -> list[tuple[Any, str]]:
    """The refused records in their order, each with its reason."""
    return [(records[index], reasons[index]) for index in sorted(reasons)]


def _reason(error: BaseException) -> str:
    return (
        f"a value does not fit its column: {error}" if isinstance(error, (struct.error, OverflowError)) else str(error)
    )
