"""The algebra of byte ranges: sorted, disjoint, touching ones joined, inclusive ends, integers of any size.

A value is a tuple of (lo, hi) pairs that is always normalised; every function here takes and gives such values. The
empty tuple is no bytes at all.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

__all__ = [
    "Ranges",
    "add",
    "clip",
    "contains",
    "covered",
    "intersect",
    "missing",
    "normalise",
    "parse",
    "to_text",
    "union",
]

Ranges = tuple[tuple[int, int], ...]


def normalise(pairs: Iterable[tuple[int, int]]) -> Ranges:
    """The union of any pairs in any order, by one sort.

    Raises ValueError for a pair that begins below 0 or ends before it begins.

    >>> normalise([(100, 200), (0, 50), (201, 300)])
    ((0, 50), (100, 300))
    """
    joined: list[tuple[int, int]] = []
    for lo, hi in sorted(pairs):
        if lo < 0 or hi < lo:
            raise ValueError(f"no byte range: {lo}-{hi}")
        if joined and lo <= joined[-1][1] + 1:
            if hi > joined[-1][1]:
                joined[-1] = (joined[-1][0], hi)
        else:
            joined.append((lo, hi))
    return tuple(joined)


def add(ranges: Ranges, lo: int, hi: int) -> Ranges:
    """`ranges` with lo..hi in it; the very same object where it was in already.

    Searches by bisection and copies pairs by reference: 10,000 one-byte ranges cost memory moves, not comparisons.

    >>> add(((0, 50), (260, 300)), 51, 259)
    ((0, 300),)
    """
    if not ranges:
        return ((lo, hi),)
    last_lo, last_hi = ranges[-1]
    if lo > last_hi + 1:  # the common case of a file read in order with gaps
        return (*ranges, (lo, hi))
    if lo >= last_lo:
        return ranges if hi <= last_hi else (*ranges[:-1], (last_lo, hi))
    # the first range that ends at lo - 1 or later, and the first that begins after hi + 1: all between are joined
    left = bisect_left(ranges, lo - 1, key=_hi)
    right = bisect_right(ranges, hi + 1, lo=left, key=_lo)
    if left < right:
        lo, hi = min(lo, ranges[left][0]), max(hi, ranges[right - 1][1])
        if right - left == 1 and ranges[left] == (lo, hi):
            return ranges
    return (*ranges[:left], (lo, hi), *ranges[right:])


def _lo(pair: tuple[int, int]) -> int:
    return pair[0]


def _hi(pair: tuple[int, int]) -> int:
    return pair[1]


def union(a: Ranges, b: Ranges) -> Ranges:
    """All bytes of either.

    >>> union(((0, 98),), ((202, 300),))
    ((0, 98), (202, 300))
    """
    if len(a) < len(b):
        a, b = b, a
    if len(b) > 8:
        return normalise((*a, *b))
    for lo, hi in b:
        a = add(a, lo, hi)
    return a


def covered(ranges: Ranges) -> int:
    """How many bytes.

    >>> covered(((0, 1156),))
    1157
    """
    if len(ranges) == 1:  # nearly all
        ((lo, hi),) = ranges
        return hi - lo + 1
    return sum([hi - lo + 1 for lo, hi in ranges])


def missing(ranges: Ranges, lo: int, hi: int) -> Ranges:
    """The bytes of lo..hi that are not in `ranges`; for a file of n bytes ask for 0..n-1.

    >>> missing(((718, 1795),), 0, 1999)
    ((0, 717), (1796, 1999))
    """
    holes = []
    for begin, end in ranges[bisect_left(ranges, lo, key=_hi) :]:
        if begin > hi:
            break
        if begin > lo:
            holes.append((lo, begin - 1))
        lo = end + 1
    if lo <= hi:
        holes.append((lo, hi))
    return tuple(holes)


def contains(ranges: Ranges, lo: int, hi: int) -> bool:
    """Whether every byte of lo..hi is there.

    >>> contains(((718, 1795),), 718, 1795), contains(((718, 1795),), 0, 1795)
    (True, False)
    """
    at = bisect_left(ranges, lo, key=_hi)
    return at < len(ranges) and ranges[at][0] <= lo and hi <= ranges[at][1]


def intersect(a: Ranges, b: Ranges) -> Ranges:
    """The bytes of both.

    >>> intersect(((0, 99), (200, 299)), ((50, 249),))
    ((50, 99), (200, 249))
    """
    shared, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        lo, hi = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if lo <= hi:
            shared.append((lo, hi))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return tuple(shared)


def clip(ranges: Ranges, size_bytes: int) -> Ranges:
    """What lies within a file of `size_bytes`; the very same object where all does.

    >>> clip(((0, 1156),), 1156)
    ((0, 1155),)
    """
    if not ranges or ranges[-1][1] < size_bytes:
        return ranges
    return intersect(ranges, ((0, size_bytes - 1),)) if size_bytes else ()


def parse(text: str) -> Ranges:
    """From text such as `0-499, 1000-1200`, in any order, overlaps allowed; the empty text is no bytes.

    Raises ValueError with the part that is no range.

    >>> parse("1000-1200, 0-499")
    ((0, 499), (1000, 1200))
    """
    pairs = []
    for part in text.split(",") if text.strip() else ():
        lo, dash, hi = part.strip().partition("-")
        if not dash or not (lo.isascii() and lo.isdigit() and hi.isascii() and hi.isdigit()):
            raise ValueError(f"no byte range: {part.strip()!r}")
        pairs.append((int(lo), int(hi)))
    return normalise(pairs)


def to_text(ranges: Iterable[Iterable[int]]) -> str:
    """The text that `parse` reads.

    >>> to_text(((0, 499), (1000, 1200)))
    '0-499, 1000-1200'
    """
    return ", ".join([f"{lo}-{hi}" for lo, hi in ranges])
