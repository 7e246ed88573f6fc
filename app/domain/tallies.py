"""What is kept of the hits of one delivery: a value that absorbs repeats and does not care for order.

Unions of ranges, sums over distinct hits, least and greatest: each is a function of the set of hits added.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, NamedTuple

from app.domain import byteranges
from app.domain.byteranges import Ranges

__all__ = ["ENDED", "MAX_HITS", "UNPROVED", "Mark", "Part", "Tally", "tally_from"]

MAX_HITS = 10_000
"""A delivery takes in no more distinct hits (so no more ranges either): beyond, it is fragmented."""


class Mark:
    """Bits that a tally gathers from its hits. Those from BROKEN on say what the range of a part is, if it is no proof."""

    CUT = 1
    """A response was shorter than announced, or it broke."""
    HEADERS_COUNTED = 2
    OFFSETS = 4
    """A hit names which bytes it is about."""
    BYTES_ONLY = 8
    """A hit tells at most how many bytes it sent."""
    NO_COUNT = 16
    """A hit does not tell how many bytes it sent."""
    SENT = 32
    """A hit adds to the sum of bytes sent."""
    FRAGMENTED = 64
    """More distinct hits came than are kept."""
    BROKEN = 128
    """The range was sent by a response that broke."""
    REACHED = 256
    """All was sent, but the response broke: the last byte announced may have arrived."""
    ANSWERED = 512
    """The range was answered; nothing says that it was sent."""
    START = 1024
    """A 200: the range is what was sent from byte 0 on, to be compared with the size of the file."""
    START_ABORTED = 2048
    """The same of a response that broke."""
    WHOLE = 4096
    """A 200 without a count ended as it should: the file was sent, however large it is."""
    ANSWERED_WHOLE = 8192
    """A 200 of which nothing says what was sent."""
    ANSWERED_BROKEN = 16384
    """The same, and it broke: the last byte of the file did not arrive."""
    COMPRESSIBLE = 32768
    """Servers compress files of this type, and a hit names no encoding: fewer bytes than the size may be all."""
    ENCODED = 65536
    """A hit is about bytes of an encoded file, or perhaps is."""
    START_ENDED = 131072
    """A 200 with a count ended as it should: it is compared with the size of the file as START is."""
    CONTRADICTED = 262144
    """A response ended as it should, but with fewer bytes than its range has."""


ENDED = Mark.WHOLE | Mark.START_ENDED
"""Of 200s that ended as they should."""
UNPROVED = Mark.BROKEN | Mark.REACHED | Mark.ANSWERED | Mark.START | Mark.START_ABORTED
"""Parts whose range is none that surely was sent."""


class Part(NamedTuple):
    """What one hit adds to a delivery."""

    time: float
    hit_id: int
    """The short id, 64 bits."""
    lo: int
    hi: int
    """Bytes that were sent, or were answered: the marks say which; hi < lo is none."""
    sent: int
    """Bytes logged, else the length of the range."""
    total: int
    """Size of the whole file, or -1."""
    marks: int
    cut_hi: int
    """Last byte announced by a response that was cut, or -1."""


_new_tally = object.__new__


class Tally:
    """One window of one key, gathered hit by hit."""

    __slots__ = (
        "answered",
        "before",
        "broken",
        "cut_hi",
        "first",
        "ids",
        "last",
        "marks",
        "ranges",
        "sent",
        "start",
        "start_aborted",
        "start_sent",
        "total_max",
        "total_min",
    )

    def __init__(self, start: float) -> None:
        self.start = start
        """Where the window starts: what a delivery is named by."""
        self.first = self.last = start
        self.ranges: Ranges = ()
        """What surely was sent."""
        self.broken: Ranges = ()
        """What each response that broke had sent: distinct pairs, sorted, not joined."""
        self.answered: Ranges = ()
        """What may have been sent."""
        self.start_sent = self.start_aborted = -1
        """Of all 200s: the most body bytes that were sent from byte 0 on, and the same of those that the server saw break off."""
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
        if marks & UNPROVED:
            self.add_unproved(lo, hi, marks, cut_hi)
        elif hi >= lo:
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

    def add_unproved(self, lo: int, hi: int, marks: int, cut_hi: int) -> None:
        """The range of a part with one of the marks UNPROVED."""
        if marks & Mark.START:
            self.start_sent = max(self.start_sent, hi + 1)
        elif marks & Mark.START_ABORTED:
            self.start_aborted = max(self.start_aborted, hi + 1)
        elif marks & Mark.ANSWERED:
            if hi >= lo:
                self.answered = byteranges.add(self.answered, lo, hi)
        else:
            at = bisect_left(self.broken, (lo, hi))
            if hi >= lo and self.broken[at : at + 1] != ((lo, hi),):
                self.broken = (*self.broken[:at], (lo, hi), *self.broken[at:])
            if marks & Mark.REACHED:
                self.answered = byteranges.add(self.answered, cut_hi, cut_hi)

    def join(self, other: Tally) -> None:
        """Take in all of another tally of the same key; the start stays."""
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.marks |= other.marks
        self.ranges = byteranges.union(self.ranges, other.ranges)
        self.broken = tuple(sorted({*self.broken, *other.broken}))
        self.answered = byteranges.union(self.answered, other.answered)
        self.start_sent = max(self.start_sent, other.start_sent)
        self.start_aborted = max(self.start_aborted, other.start_aborted)
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
        self.ranges, self.answered = self.ranges[:MAX_HITS], self.answered[:MAX_HITS]
        self.broken = self.broken[:MAX_HITS]

    def pack(self) -> tuple[Any, ...]:
        """As plain values, for the changelog; a time equal to the start is None, whole seconds are an integer: both take less."""
        start, first, last, ranges = self.start, self.first, self.last, self.ranges
        unproved = None
        if self.marks & UNPROVED:
            broken, answered = ([end for pair in some for end in pair] for some in (self.broken, self.answered))
            unproved = broken, answered, self.start_sent, self.start_aborted
        return (
            _shortest(start), None if first == start else _shortest(first), None if last == start else _shortest(last),
            [*ranges[0]] if len(ranges) == 1 else [end for pair in ranges for end in pair], self.ids.tobytes(),
            self.sent, self.total_min, self.total_max, self.marks, self.cut_hi, unproved,
        )  # fmt: skip

    @classmethod
    def unpack(cls, values: Iterable[Any]) -> Tally:
        """From what `pack` gave, with times that are floats again."""
        (
            start, first, last, flat, ids,
            sent, total_min, total_max, marks, cut_hi, unproved,
        ) = values  # fmt: skip
        tally = cls(start)
        if first is not None:
            tally.first = first
        if last is not None:
            tally.last = last
        tally.ranges = _pairs(flat)
        if unproved is not None:
            broken, answered, tally.start_sent, tally.start_aborted = unproved
            tally.broken, tally.answered = _pairs(broken), _pairs(answered)
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
    tally.total_min = tally.total_max = tally.cut_hi = tally.start_sent = tally.start_aborted = -1
    tally.broken = tally.answered = ()
    tally.before = 0
    return tally


def _pairs(flat: list[int]) -> Ranges:
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def _shortest(time: float) -> float | int:
    return int(time) if time.is_integer() else time
