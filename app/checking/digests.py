"""What is compared of a record: a digest of its content, its hour and its partition; and checksums of many records.

Equal records have equal digests in every run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, NamedTuple
from zlib import crc32

from app.domain import byteranges
from app.domain.byteranges import Ranges
from app.domain.deliveries import KEPT_IDS, STAGE_FINAL, STAGE_SUPERSEDED
from app.domain.key_hits import Key
from app.domain.records import Delivery, Hit, Reject
from app.messages.tokens import partition_of

__all__ = [
    "Bucket",
    "Buckets",
    "RecordMark",
    "delivery_bucket",
    "delivery_name",
    "hit_bucket",
    "hit_digest",
    "key_number",
    "mark_of",
    "reject_bucket",
    "reject_digest",
]

HOUR_S = 3600.0
_LAST_HOUR = 1 << 21
"""Times beyond the year 2209 share their hour: the number of buckets is bounded, whatever times a log names."""
Bucket = tuple[int, int]
"""Hours since 1970 and partition."""
_MASK_128, _MASK_64 = (1 << 128) - 1, (1 << 64) - 1
_CONTENT = slice(3, 18)
"""The fields of a Delivery between its key and `final`, which its version tells."""


class RecordMark(NamedTuple):
    """What is remembered of a delivery record instead of the record."""

    version: int
    superseded: bool
    fragmented: bool
    first: float
    last: float
    hits: int
    digest: int
    """64 bits of all that it says of the delivery; of a superseded one, of nothing: it only hides."""
    sound: bool
    """It does not contradict itself: what does was altered by somebody."""
    total: int | None = None
    """The size of the file, as the record has it."""

    @property
    def known(self) -> int:
        """How many hits the version counts."""
        return self.version >> 3

    @property
    def final(self) -> bool:
        return self.version & 7 == STAGE_FINAL


def _hour(time: float) -> int:
    return min(max(int(time // HOUR_S), 0), _LAST_HOUR) if math.isfinite(time) else _LAST_HOUR


def _written(fields: Iterable[Any]) -> str:
    values = tuple(fields)
    try:
        return repr(values)
    except ValueError:  # beyond 4,300 digits Python writes decimals no more
        return repr(tuple(_short(value) for value in values))


def _short(value: Any) -> Any:
    if isinstance(value, int):
        return hex(value)
    return [_short(inner) for inner in value] if isinstance(value, list | tuple) else value


def _digest(fields: Iterable[Any]) -> int:
    return int.from_bytes(blake2b(_written(fields).encode("utf-8", "backslashreplace"), digest_size=8).digest(), "big")


def hit_digest(hit: Hit) -> int:
    """64 bits of a whole hit.

    >>> hit = Hit(1, None, None, None, "GET", 200, None, None, 5, None, 0, {}, "00" * 16, "s", 0)
    >>> hit_digest(hit) == hit_digest(hit._replace(time=1.0)), hit_digest(hit) == hit_digest(hit._replace(bytes_sent=6))
    (True, False)
    """
    extras = hit.extras
    if len(extras) > 1:  # stores give them in orders of their own
        hit = hit._replace(extras=dict(sorted(extras.items())))
    return _digest((hit[0] + 0.0, *hit[1:]))


def reject_digest(reject: Reject) -> int:
    """64 bits of a reject without its time: sent again, a line arrives again."""
    return _digest(reject[:6])


def hit_bucket(hit: Hit, partitions: int) -> Bucket:
    """Event hour and the partition that its key belongs to."""
    return _hour(hit[0]), partition_of(hit[1], hit[2], hit[3], hit.raw_id, partitions)


def reject_bucket(reject: Reject, partitions: int) -> Bucket:
    """Arrival hour; the place that has no key is spread by its source."""
    return _hour(reject[6]), crc32(reject[4].encode("utf-8", "surrogatepass")) % partitions


def delivery_bucket(delivery: Delivery, partitions: int) -> Bucket:
    """The hour of its window's start and the partition of its key."""
    return _hour(delivery[3]), partition_of(delivery[0], delivery[1], delivery[2], "", partitions)


def delivery_name(key: Key, start: float) -> str:
    """As people are told of it; `start`: of its window."""
    return f"{key[0]} {key[1]} {key[2]} from {start:.3f}"


def key_number(key: tuple[str, str, str]) -> int:
    """32 bits by which keys are shared out, apart from those that name a partition."""
    return crc32(f"{key[2]}\t{key[1]}\t{key[0]}".encode("utf-8", "surrogatepass"))


def mark_of(delivery: Delivery) -> RecordMark:
    """The mark of a record."""
    d = delivery
    superseded = d.superseded_by is not None
    content: Iterable[Any] = () if superseded else [_plain(value) for value in tuple(d)[_CONTENT]]
    return RecordMark(
        d.version,
        superseded,
        d.reason == "fragmented",
        d.first,
        d.last,
        d.hits,
        _digest(content),
        _is_sound(d, superseded),
        d.total_bytes,
    )


def _plain(value: Any) -> Any:
    """A value without what differs from store to store: lists of pairs or tuples, whole floats or integers."""
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value + 0.0 if isinstance(value, float) else value


def _is_sound(d: Delivery, superseded: bool) -> bool:
    stage = d.version & 7
    if superseded or stage == STAGE_SUPERSEDED:
        return superseded and stage == STAGE_SUPERSEDED
    return (
        bool(d.final) == (stage == STAGE_FINAL)
        and d.hits <= d.version >> 3
        and len(d.hit_ids) == min(d.hits, KEPT_IDS)
        and d.first <= d.last
        and d.covered_bytes == sum(hi - lo + 1 for lo, hi in d.ranges)
        and byteranges.intersect(_pairs(d.missing), _lacking(d)) == _pairs(d.missing)
        and (d.verdict == "complete" or d.is_counted or d.reason == "fragmented" or _names_what_lacks(d))
    )


def _lacking(d: Delivery) -> Ranges:
    """What is not in the ranges: missing, or doubtful."""
    end = d.missing[-1][1] if d.total_bytes is None and d.missing else (d.total_bytes or 0) - 1
    return byteranges.missing(_pairs(d.ranges), 0, end)


def _names_what_lacks(d: Delivery) -> bool:
    """A partial delivery misses something; an unknown one nothing that may have arrived."""
    return bool(d.missing) == (d.verdict == "partial") or d.total_bytes is None


def _pairs(ranges: Iterable[Any]) -> Ranges:
    return tuple((lo, hi) for lo, hi in ranges)


class Buckets:
    """For each bucket: how many records, the sum of their ids and the sum of their digests. Sums, because a doubled record shows in them."""

    def __init__(self) -> None:
        self._of: dict[Bucket, list[int]] = {}
        self.records = 0

    def add(self, bucket: Bucket, name: int, digest: int) -> None:
        """Take in one record: `name` is its id as a number of up to 128 bits."""
        held = self._of.get(bucket)
        if held is None:
            held = self._of[bucket] = [0, 0, 0]
        held[0] += 1
        held[1] = (held[1] + name) & _MASK_128
        held[2] = (held[2] + digest) & _MASK_64
        self.records += 1

    def take(self, other: Buckets) -> None:
        """Take in all of others."""
        for bucket, (count, names, digests) in other._of.items():
            held = self._of.setdefault(bucket, [0, 0, 0])
            held[0] += count
            held[1] = (held[1] + names) & _MASK_128
            held[2] = (held[2] + digests) & _MASK_64
        self.records += other.records

    def differing(self, other: Buckets) -> set[Bucket]:
        """The buckets that are not equal in both.

        >>> one, two = Buckets(), Buckets()
        >>> one.add((1, 0), 7, 70); one.add((2, 0), 8, 80); two.add((2, 0), 8, 80)
        >>> one.differing(two)
        {(1, 0)}
        """
        return {
            bucket for bucket in self._of.keys() | other._of.keys() if self._of.get(bucket) != other._of.get(bucket)
        }

    def count(self, bucket: Bucket) -> int:
        return self._of.get(bucket, (0,))[0]

    @property
    def checksum(self) -> str:
        """48 hex digits of all: equal for equal records, however they are spread."""
        names = sum(held[1] for held in self._of.values()) & _MASK_128
        return f"{names:032x}{sum(held[2] for held in self._of.values()) & _MASK_64:016x}"
