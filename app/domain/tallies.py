"""What is kept of the hits of one delivery: a value that absorbs repeats and does not care for order.

Unions of ranges, sums over distinct hits, least and greatest: each is a function of the set of hits added.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple

from app.domain import byteranges
from app.domain.byteranges import Ranges
from app.domain.proof import Claim, Measure, may_be_compressed, row_of
from app.domain.records import HitFlag

__all__ = ["MAX_HITS", "UNPROVED", "Mark", "Part", "Tally", "part_of", "tally_from"]

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
    """A 200 ended as it should: the file was sent, however large it is."""
    ANSWERED_WHOLE = 8192
    """A 200 of which nothing says what was sent."""
    ANSWERED_BROKEN = 16384
    """The same, and it broke: the last byte of the file did not arrive."""
    COMPRESSIBLE = 32768
    """Servers compress files of this type, and a hit names no encoding: fewer bytes than the size may be all."""
    ENCODED = 65536
    """A hit is about bytes of an encoded file, or perhaps is."""


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


_ABORTED, _ENDED, _HTTP2, _PLAIN = map(int, (HitFlag.ABORTED, HitFlag.ENDED, HitFlag.HTTP2, HitFlag.PLAIN))
_ENCODED, _MULTIPART, _HEADERS_COUNTED = map(int, (HitFlag.ENCODED, HitFlag.MULTIPART, HitFlag.HEADERS_COUNTED))
_WHOLE_RANGE = Mark.OFFSETS | Mark.SENT
_make = tuple.__new__  # a named tuple's own constructor takes twice as long
_new_tally = object.__new__


def part_of(hit: tuple, hit_id: int) -> Part | None:
    """What a hit (a tuple in the order of Parsed, more fields may follow) adds; None for one that does not count.

    Only GET with 200 or 206 and all three parts of the key count. What of it counts says the table proof.ROWS.
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
            return _make(Part, (time, hit_id, lo, hi, length if sent is None else sent, total, _WHOLE_RANGE, -1))
        fields = _ranged(request, lo, hi, sent, flags)
    elif status == 200:
        if not flags and sent is not None:
            marks = Mark.START | Mark.SENT | (Mark.COMPRESSIBLE if may_be_compressed(request) else 0)
            return _make(Part, (time, hit_id, 0, sent - 1, sent, total, marks, -1))
        fields = _from_start(request, sent, flags)
    else:
        fields = _without_positions(request, sent, flags, bool(flags & _ENCODED))
    first, last, bytes_sent, marks, cut_hi = fields
    if flags & _HEADERS_COUNTED:
        marks |= Mark.HEADERS_COUNTED
    if flags & _ENCODED:  # the size that it names may be that of the encoded file
        total = -1
    return _make(Part, (time, hit_id, first, last, bytes_sent, total, marks, cut_hi))


def _may_be_encoded(request: str, flags: int) -> bool:
    return not flags & _PLAIN and may_be_compressed(request)


def _body(sent: int, flags: int) -> int:
    """Bytes of the body at most: response heads are never 0 bytes."""
    return sent - 1 if flags & _HEADERS_COUNTED and sent else sent


def _ranged(request: str, lo: int, hi: int, sent: int | None, flags: int) -> tuple[int, int, int, int, int]:
    """First and last byte, bytes sent, marks and cut_hi of a hit that names its range."""
    length = hi - lo + 1
    body = length if sent is None else min(length, _body(sent, flags))
    measure = Measure.NO_COUNT if sent is None else Measure.ENOUGH if body >= length else Measure.FEWER
    claim = row_of(flags, measure, measure == Measure.FEWER and _may_be_encoded(request, flags)).claim
    bytes_sent = length if sent is None else sent
    if claim == Claim.ALL:
        return lo, hi, bytes_sent, _WHOLE_RANGE, -1
    if claim == Claim.SENT:
        if body >= length:
            return lo, hi - 1, bytes_sent, _WHOLE_RANGE | Mark.CUT | Mark.BROKEN | Mark.REACHED, hi
        return lo, lo + body - 1, bytes_sent, _WHOLE_RANGE | Mark.CUT | Mark.BROKEN, hi
    if claim == Claim.ANSWERED:
        # over HTTP/2 servers call whole responses aborted, too
        last = hi - 1 if flags & (_ABORTED | _HTTP2) == _ABORTED else hi
        last = min(last, lo + body - 1)
        cut = flags & _ABORTED or last < hi
        marks = _WHOLE_RANGE | Mark.ANSWERED | (Mark.CUT if cut else 0)
        return lo, last, bytes_sent, marks, hi if last < hi else -1
    return _without_positions(request, sent, flags, not flags & _MULTIPART)


def _without_positions(request: str, sent: int | None, flags: int, is_encoded: bool) -> tuple[int, int, int, int, int]:
    marks = Mark.NO_COUNT if sent is None else Mark.SENT
    if flags & _ABORTED:
        marks |= Mark.CUT
    if is_encoded:
        marks |= Mark.ENCODED
    else:
        marks |= Mark.BYTES_ONLY | (Mark.COMPRESSIBLE if _may_be_encoded(request, flags) else 0)
    return 0, -1, sent or 0, marks, -1


def _from_start(request: str, sent: int | None, flags: int) -> tuple[int, int, int, int, int]:
    """The same of a 200 that names no range: bytes 0 to the last of the file, which is known later."""
    claim = row_of(flags, Measure.NO_LENGTH_NO_COUNT if sent is None else Measure.NO_LENGTH, False).claim
    if claim == Claim.NO_POSITIONS:
        return _without_positions(request, sent, flags, bool(flags & _ENCODED))
    marks = (Mark.NO_COUNT if sent is None else Mark.SENT) | (Mark.CUT if flags & _ABORTED else 0)
    if claim == Claim.ANSWERED:
        is_broken = flags & (_ABORTED | _HTTP2) == _ABORTED
        return 0, -1, sent or 0, marks | (Mark.ANSWERED_BROKEN if is_broken else Mark.ANSWERED_WHOLE), -1
    if sent is None:
        return 0, -1, 0, marks | Mark.WHOLE, -1
    if _may_be_encoded(request, flags):
        marks |= Mark.COMPRESSIBLE
    elif claim == Claim.ALL:
        marks |= Mark.WHOLE
    marks |= Mark.START_ABORTED if flags & _ABORTED and not flags & _ENDED else Mark.START
    return 0, _body(sent, flags) - 1, sent, marks, -1


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

    def pack(self) -> tuple:
        """As plain values, for the changelog; a time equal to the start is None, whole seconds are an integer: both take less."""
        start, first, last = self.start, self.first, self.last
        unproved = None
        if self.marks & UNPROVED:
            broken, answered = ([end for pair in some for end in pair] for some in (self.broken, self.answered))
            unproved = broken, answered, self.start_sent, self.start_aborted
        return (
            _shortest(start), None if first == start else _shortest(first), None if last == start else _shortest(last),
            [end for pair in self.ranges for end in pair], self.ids.tobytes(),
            self.sent, self.total_min, self.total_max, self.marks, self.cut_hi, unproved,
        )  # fmt: skip

    @classmethod
    def unpack(cls, values: Iterable) -> Tally:
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
