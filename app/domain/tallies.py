"""What is kept of the hits of one delivery: a value that absorbs repeats and does not care for order.

Union of ranges, sums over distinct hits, least and greatest: each is a function of the set of hits added.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple

from app.domain import byteranges
from app.domain.byteranges import Ranges
from app.domain.records import HitFlag

__all__ = ["HEADER_ALLOWANCE_BYTES", "MAX_HITS", "Mark", "Part", "Tally", "part_of", "tally_from"]

MAX_HITS = 10_000
"""A delivery takes in no more distinct hits (so no more ranges either): beyond, it is fragmented."""
HEADER_ALLOWANCE_BYTES = 8 << 10
"""How much of a sent-bytes column may be response headers, where the column counts them."""


class Mark:
    """Bits that a tally gathers from its hits."""

    CUT = 1
    """A response was shorter than announced, or the client went away."""
    HEADERS_COUNTED = 2
    OFFSETS = 4
    """A hit names which bytes it sent."""
    BYTES_ONLY = 8
    """A hit tells at most how many bytes it sent."""
    NO_COUNT = 16
    """A hit tells neither."""
    SENT = 32
    """A hit adds to the sum of bytes sent."""
    FRAGMENTED = 64
    """More distinct hits came than are kept."""


class Part(NamedTuple):
    """What one hit adds to a delivery."""

    time: float
    hit_id: int
    """The short id, 64 bits."""
    lo: int
    hi: int
    """The bytes that surely were sent; hi < lo is none."""
    sent: int
    """Body bytes logged, else the length of the range."""
    total: int
    """Size of the whole file, or -1."""
    marks: int
    cut_hi: int
    """Last byte announced by a response that was cut, or -1."""


_ABORTED = int(HitFlag.ABORTED)
_HEADERS_COUNTED = int(HitFlag.HEADERS_COUNTED)
_WHOLE = Mark.OFFSETS | Mark.SENT
_make = tuple.__new__  # a named tuple's own constructor takes twice as long
_new_tally = object.__new__


def part_of(hit: tuple, hit_id: int) -> Part | None:
    """What a hit (a tuple in the order of Parsed, more fields may follow) adds; None for one that does not count.

    Only GET with 200 or 206 and all three parts of the key count. Announced is not delivered: a range is cut to the
    body bytes sent. Where the column counts headers, too, or the client went away, what falls short of the
    announcement is cut by HEADER_ALLOWANCE_BYTES more.
    """
    time, ip_address, user_agent, request, method, status, lo, hi, sent, total, flags = hit[:11]
    if (
        (status != 206 and status != 200)
        or method != "GET"
        or request is None
        or ip_address is None
        or user_agent is None
    ):
        return None
    if total is None:
        total = -1
    if lo is not None and hi is not None:
        length = hi - lo + 1
        if not flags and (sent is None or sent >= length):
            return _make(Part, (time, hit_id, lo, hi, length if sent is None else sent, total, _WHOLE, -1))
        return _cut_part(time, hit_id, lo, length, sent, total, flags)
    marks = (
        Mark.BYTES_ONLY
        | (Mark.CUT if flags & _ABORTED else 0)
        | (Mark.HEADERS_COUNTED if flags & _HEADERS_COUNTED else 0)
    )
    if sent is None:
        return _make(Part, (time, hit_id, 0, -1, 0, total, marks | Mark.NO_COUNT, -1))
    return _make(Part, (time, hit_id, 0, -1, sent, total, marks | Mark.SENT, -1))


def _cut_part(time: float, hit_id: int, lo: int, length: int, sent: int | None, total: int, flags: int) -> Part:
    """A range with bytes or flags that may tell that less was sent than announced."""
    marks = _WHOLE | (Mark.HEADERS_COUNTED if flags & _HEADERS_COUNTED else 0)
    kept = length if sent is None else min(length, sent)
    if flags & _ABORTED or (kept < length and flags & _HEADERS_COUNTED):
        kept = max(0, kept - HEADER_ALLOWANCE_BYTES)
    if flags & _ABORTED or kept < length:
        return _make(
            Part,
            (time, hit_id, lo, lo + kept - 1, kept if sent is None else sent, total, marks | Mark.CUT, lo + length - 1),
        )
    return _make(Part, (time, hit_id, lo, lo + length - 1, length if sent is None else sent, total, marks, -1))


class Tally:
    """One window of one key, gathered hit by hit."""

    __slots__ = (
        "before",
        "cut_hi",
        "first",
        "ids",
        "last",
        "marks",
        "ranges",
        "sent",
        "start",
        "total_max",
        "total_min",
    )

    def __init__(self, start: float) -> None:
        self.start = start
        """Where the window starts: what a delivery is named by."""
        self.first = self.last = start
        self.ranges: Ranges = ()
        self.ids = array("Q")
        """Short ids of the distinct hits, sorted."""
        self.sent = 0
        self.total_min = self.total_max = -1
        self.marks = 0
        self.cut_hi = -1
        self.before = 0
        """first_touch only: how many hits before the window decided where it starts."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def known(self) -> int:
        """What the version of the window's record counts: it grows with every hit that can change the record."""
        return self.before + len(self.ids) + bool(self.marks & Mark.FRAGMENTED)

    def add(self, part: Part) -> bool:
        """Take in one hit; False where it was in already, or where no more is taken in."""
        time, hit_id, lo, hi, sent, total, marks, cut_hi = part
        ids = self.ids
        if not ids:
            self.first = self.last = time
        else:
            if time < self.first:
                self.first = time
            elif time > self.last:
                self.last = time
            at = bisect_left(ids, hit_id)
            if at < len(ids):
                if ids[at] == hit_id:
                    return False
                if self.marks & Mark.FRAGMENTED:
                    return False
                ids.insert(at, hit_id)
                hit_id = -1
            elif self.marks & Mark.FRAGMENTED:
                return False
        if hit_id >= 0:
            ids.append(hit_id)
        if hi >= lo:
            ranges = self.ranges
            if len(ranges) == 1 and ranges[0][0] <= lo <= ranges[0][1] + 1:  # a file read in order
                if hi > ranges[0][1]:
                    self.ranges = ((ranges[0][0], hi),)
            else:
                self.ranges = byteranges.add(ranges, lo, hi)
        self.sent += sent
        self.marks |= marks
        if total >= 0:
            self._name_total(total, total)
        if cut_hi > self.cut_hi:
            self.cut_hi = cut_hi
        if len(ids) > MAX_HITS:
            self._stop_growing()
        return True

    def join(self, other: Tally) -> None:
        """Take in all of another tally of the same key; the start stays."""
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.marks |= other.marks
        self.ranges = byteranges.union(self.ranges, other.ranges)
        self.ids = array("Q", sorted({*self.ids, *other.ids}))
        self.sent += other.sent
        if other.total_min >= 0:
            self._name_total(other.total_min, other.total_max)
        self.cut_hi = max(self.cut_hi, other.cut_hi)
        if len(self.ids) > MAX_HITS:
            self._stop_growing()

    def _name_total(self, least: int, greatest: int) -> None:
        if self.total_min < 0:
            self.total_min, self.total_max = least, greatest
        else:
            self.total_min, self.total_max = min(self.total_min, least), max(self.total_max, greatest)

    def _stop_growing(self) -> None:
        self.marks |= Mark.FRAGMENTED
        del self.ids[MAX_HITS:]
        self.ranges = self.ranges[:MAX_HITS]

    def pack(self) -> tuple:
        """As plain values, for the changelog; a time equal to the start is None, whole seconds are an integer: both take less."""
        start, first, last = self.start, self.first, self.last
        return (
            _shortest(start), None if first == start else _shortest(first), None if last == start else _shortest(last),
            [end for pair in self.ranges for end in pair], self.ids.tobytes(),
            self.sent, self.total_min, self.total_max, self.marks, self.cut_hi,
        )  # fmt: skip

    @classmethod
    def unpack(cls, values: Iterable) -> Tally:
        """From what `pack` gave, with times that are floats again."""
        (
            start, first, last, flat, ids,
            sent, total_min, total_max, marks, cut_hi,
        ) = values  # fmt: skip
        tally = cls(start)
        if first is not None:
            tally.first = first
        if last is not None:
            tally.last = last
        tally.ranges = tuple(zip(flat[::2], flat[1::2], strict=True))
        tally.ids.frombytes(ids)
        tally.sent, tally.total_min, tally.total_max, tally.marks, tally.cut_hi = (
            sent,
            total_min,
            total_max,
            marks,
            cut_hi,
        )
        return tally


def tally_from(
    start: float, first: float, last: float, ranges: Ranges, ids: array[int], sent: int, marks: int
) -> Tally:
    """Of hits that name no total and were not cut, gathered already: ranges joined, ids distinct and sorted."""
    tally = _new_tally(Tally)  # past the constructor: they are made by the thousand
    tally.start, tally.first, tally.last, tally.ranges, tally.ids, tally.sent, tally.marks = (
        start,
        first,
        last,
        ranges,
        ids,
        sent,
        marks,
    )
    tally.total_min = tally.total_max = tally.cut_hi = -1
    tally.before = 0
    return tally


def _shortest(time: float) -> float | int:
    return int(time) if time.is_integer() else time
