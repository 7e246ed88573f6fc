"""What hits add to a delivery, as columns: the twin of parts.part_of for hits."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.domain.parts import part_of
from app.domain.records import HitFlag
from app.domain.tallies import Mark

__all__ = ["MAX_BYTE", "RANGE_MARKS", "Details", "added"]

MAX_BYTE = 1 << 44
"""Byte positions and counts below this (17 TB) are gathered as columns: sums over a batch, and a position beside a key, then fit 64 bits."""
RANGE_MARKS = Mark.OFFSETS | Mark.SENT
"""Of a hit that names its range and nothing else."""
_ABORTED, _HTTP2, _ENCODED, _HEADERS_COUNTED = map(
    int, (HitFlag.ABORTED, HitFlag.HTTP2, HitFlag.ENCODED, HitFlag.HEADERS_COUNTED)
)
_ALL_FLAGS = int(~HitFlag(0))

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Details(NamedTuple):
    """What else a hit adds to a delivery, a column for each of these fields of Part."""

    sent: Ints
    total: Ints
    marks: Ints
    cut_hi: Ints


def added(
    lo: Ints,
    hi: Ints,
    sent: Ints,
    total: Ints,
    statuses: Ints,
    flags: Ints | None,
    compressible: Callable[[], Bools],
) -> tuple[Ints, Ints, Details]:
    """What hits add, as parts.part_of says: first and last byte, and the rest.

    `lo` and `hi` are what was announced, 0 and -1 for nothing; `sent` and `total` are -1 if they are not named. Statuses that do
    not count may be among them. `compressible` tells, if it must be known, whether servers compress what a hit asked for.
    """
    beyond = (total >= 0) & (hi >= total) & (hi >= lo)
    if beyond.any():  # a line that contradicts itself: neither its range nor its size is believed
        lo, hi, total = np.where(beyond, 0, lo), np.where(beyond, -1, hi), np.where(beyond, -1, total)
    named, counted = hi >= lo, sent >= 0
    length = hi - lo + 1
    body = sent if flags is None else sent - ((flags & _HEADERS_COUNTED != 0) & (sent > 0))
    fewer = named & counted & (body < length)
    if flags is None and not fewer.any() and named.all():
        sums = np.where(counted, sent, length)
        return lo, hi, Details(sums, total, np.full(len(lo), RANGE_MARKS), np.full(len(lo), -1))
    shape = np.where(named, np.where(counted, 2 - fewer, 0), np.where(statuses == 200, 3, 5) + counted)
    marks = _marks_by(flags)[0 if flags is None else flags & _ALL_FLAGS, shape, compressible().astype(np.intp)]
    ranged, cut = marks & Mark.OFFSETS != 0, marks & Mark.BROKEN != 0
    reach = np.where(counted, np.minimum(body, length), length)
    last = np.where(cut, lo + reach - 1 - (reach >= length), np.where(ranged, hi, -1))
    last = np.where(marks & (Mark.START | Mark.START_ABORTED), body - 1, last)
    if flags is not None:
        answered = marks & Mark.ANSWERED != 0
        if answered.any():
            # over HTTP/2 servers call whole responses aborted, too
            is_broken = flags & (_ABORTED | _HTTP2) == _ABORTED
            last = np.where(answered, np.minimum(hi - is_broken, lo + reach - 1), last)
            cut = cut | (answered & (last < hi))
        total = np.where(flags & _ENCODED, -1, total)
    sums = np.where(counted, sent, np.where(ranged, length, 0))
    return np.where(ranged, lo, 0), last, Details(sums, total, marks, np.where(cut, hi, -1))


_SHAPES = (
    (206, 0, 99, None),
    (206, 0, 99, 50),
    (206, 0, 99, 200),
    (200, None, None, None),
    (200, None, None, 50),
    (206, None, None, None),
    (206, None, None, 50),
)
"""Status, first and last byte and bytes sent of a hit for each way in which they compare: its marks depend on nothing else of them."""


def _marks_by(flags: Ints | None) -> Ints:
    """The marks of the part that parts.part_of makes of a hit, by its flags, its shape, and whether servers compress what it asked for.

    Only those flags have marks that are among `flags`; 0 is, if there are none.
    """
    there = [0] if flags is None else np.flatnonzero(np.bincount(flags & _ALL_FLAGS)).tolist()
    found = np.zeros((max(there, default=0) + 1, len(_SHAPES), 2), np.int64)
    for one in there:
        found[one] = _marks_of(one)
    return found


@cache
def _marks_of(flags: int) -> list[list[int]]:
    def marks_of(shape: tuple[int | None, ...], request: str) -> int:
        status, *numbers = shape
        part = part_of((0.0, "", "", request, "GET", status, *numbers, None, flags), 0)
        assert part is not None, "a GET with 200 or 206 and a key"
        return part.marks

    return [[marks_of(shape, request) for request in ("GET /a.mp4", "GET /a.html")] for shape in _SHAPES]
