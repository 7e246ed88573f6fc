"""What hits add to a delivery, as columns: the twin of parts.part_of for hits whose flags say the protocol and what the bytes are."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.domain.records import HitFlag
from app.domain.tallies import Mark

__all__ = ["MAX_BYTE", "RANGE_MARKS", "Details", "added"]

MAX_BYTE = 1 << 44
"""Byte positions and counts below this (17 TB) are gathered as columns: sums over a batch, and a position beside a key, then fit 64 bits."""
RANGE_MARKS = Mark.OFFSETS | Mark.SENT
"""Of a hit that names its range and nothing else."""
_ANNOUNCED, _HEADERS_COUNTED, _HTTP2 = map(int, (HitFlag.ANNOUNCED, HitFlag.HEADERS_COUNTED, HitFlag.HTTP2))
_BROKEN_MARKS = RANGE_MARKS | Mark.CUT | Mark.BROKEN

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
    not count may be among them. `flags` are HTTP2, HEADERS_COUNTED and ANNOUNCED alone. `compressible` tells, if it must be known, whether servers compress what a hit asked for.
    """
    beyond = (total >= 0) & (hi >= total) & (hi >= lo)
    if beyond.any():  # a line that contradicts itself: neither its range nor its size is believed
        lo, hi, total = np.where(beyond, 0, lo), np.where(beyond, -1, hi), np.where(beyond, -1, total)
    named, counted, from_start = hi >= lo, sent >= 0, statuses == 200
    length = hi - lo + 1
    body, with_headers, is_untold = sent, np.False_, np.False_
    if flags is not None:
        with_headers = flags & _HEADERS_COUNTED != 0
        is_untold = (flags & _ANNOUNCED != 0) | (with_headers & (flags & _HTTP2 != 0))
        body = sent - (with_headers & (sent > 0))
    fewer = named & counted & (body < length)
    marks = np.where(named, RANGE_MARKS, np.where(counted, Mark.SENT, Mark.NO_COUNT))
    cut_hi = np.full(len(lo), -1)
    sums = np.where(counted, sent, np.where(named, length, 0))
    if flags is not None or fewer.any() or not named.all():
        may_be_encoded = compressible()
        start = ~named & counted & from_start & ~is_untold
        encoded, short = fewer & may_be_encoded, fewer & ~may_be_encoded
        placeless = ~named & ~from_start
        marks = np.where(short & ~is_untold, _BROKEN_MARKS, np.where(encoded, Mark.SENT | Mark.ENCODED, marks))
        marks |= np.where(start, Mark.START, 0) | np.where(placeless, Mark.BYTES_ONLY, 0)
        marks |= np.where(~named & from_start & ~start, Mark.ANSWERED_WHOLE, 0)
        marks |= np.where((start | placeless) & may_be_encoded, Mark.COMPRESSIBLE, 0)
        if flags is not None:
            marks |= np.where(named & ~encoded & is_untold, Mark.ANSWERED | np.where(short, Mark.CUT, 0), 0)
            marks |= np.where(with_headers, Mark.HEADERS_COUNTED, 0)
        cut_hi = np.where(short, hi, -1)
        lo = np.where(named & ~encoded, lo, 0)
        hi = np.where(short, lo + body - 1, np.where(start, body - 1, np.where(named & ~encoded, hi, -1)))
    return lo, hi, Details(sums, total, marks.astype(np.int64), cut_hi)
