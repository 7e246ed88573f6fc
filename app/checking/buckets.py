"""Checksums of many records, by hour and partition, whatever order they come in."""

from __future__ import annotations

from app.checking.marks import Bucket

__all__ = ["Buckets"]

_MASK_128, _MASK_64 = (1 << 128) - 1, (1 << 64) - 1


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
