"""What hits add to a delivery, as columns: the twin of parts.part_of for hits."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.domain.proof import Claim, Measure, row_of
from app.domain.records import HitFlag
from app.domain.tallies import Mark

__all__ = ["MAX_BYTE", "RANGE_MARKS", "Details", "added"]

MAX_BYTE = 1 << 44
"""Byte positions and counts below this (17 TB) are gathered as columns: sums over a batch, and a position beside a key, then fit 64 bits."""
RANGE_MARKS = Mark.OFFSETS | Mark.SENT
"""Of a hit that names its range and nothing else."""
_ABORTED, _ENDED, _HTTP2, _PLAIN = map(int, (HitFlag.ABORTED, HitFlag.ENDED, HitFlag.HTTP2, HitFlag.PLAIN))
_ENCODED, _MULTIPART, _HEADERS_COUNTED = map(int, (HitFlag.ENCODED, HitFlag.MULTIPART, HitFlag.HEADERS_COUNTED))

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
    named, counted, from_start = hi >= lo, sent >= 0, statuses == 200
    length = hi - lo + 1
    with_headers = np.False_ if flags is None else flags & _HEADERS_COUNTED != 0
    body = sent - (with_headers & (sent > 0))
    fewer = named & counted & (body < length)
    sums = np.where(counted, sent, np.where(named, length, 0))
    if flags is None and not fewer.any() and named.all():
        return lo, hi, Details(sums, total, np.full(len(lo), RANGE_MARKS), np.full(len(lo), -1))
    if flags is None:
        flags = np.zeros(len(lo), np.int64)
    aborted, encoded = flags & _ABORTED != 0, flags & _ENCODED != 0
    may_be_encoded = compressible() & (flags & _PLAIN == 0)
    measure = np.where(
        named,
        np.where(counted, np.where(fewer, Measure.FEWER, Measure.ENOUGH), Measure.NO_COUNT),
        np.where(from_start, np.where(counted, Measure.NO_LENGTH, Measure.NO_LENGTH_NO_COUNT), Measure.NO_RANGE),
    )
    claim = _claims()[flags, measure, (fewer & may_be_encoded).astype(np.intp)]
    placeless, answered, all_counts = (claim == each for each in (Claim.NO_POSITIONS, Claim.ANSWERED, Claim.ALL))
    # over HTTP/2 servers call whole responses aborted, too
    is_broken = flags & (_ABORTED | _HTTP2) == _ABORTED
    ranged, plain = named & ~placeless, ~named & ~placeless & ~answered
    start = plain & counted
    reach = np.where(counted, np.minimum(body, length), length)
    last = np.minimum(hi - is_broken, lo + reach - 1)
    cut, unsent = ranged & (claim == Claim.SENT), ranged & answered

    marks = np.where(ranged, RANGE_MARKS, np.where(counted, Mark.SENT, Mark.NO_COUNT))
    marks |= np.where(cut, Mark.CUT | Mark.BROKEN | np.where(reach >= length, Mark.REACHED, 0), 0)
    marks |= np.where(unsent, Mark.ANSWERED | np.where(aborted | (last < hi), Mark.CUT, 0), 0)
    marks |= np.where(aborted & ~ranged, Mark.CUT, 0)
    without_place = np.where(may_be_encoded, Mark.BYTES_ONLY | Mark.COMPRESSIBLE, Mark.BYTES_ONLY)
    is_encoded = np.where(named, flags & _MULTIPART == 0, encoded)
    marks |= np.where(placeless, np.where(is_encoded, Mark.ENCODED, without_place), 0)
    marks |= np.where(~named & answered, np.where(is_broken, Mark.ANSWERED_BROKEN, Mark.ANSWERED_WHOLE), 0)
    marks |= np.where(start & may_be_encoded, Mark.COMPRESSIBLE, 0)
    marks |= np.where(plain & ~(start & may_be_encoded) & (all_counts | ~counted), Mark.WHOLE, 0)
    marks |= np.where(start, np.where(aborted & (flags & _ENDED == 0), Mark.START_ABORTED, Mark.START), 0)
    marks |= np.where(with_headers, Mark.HEADERS_COUNTED, 0)
    cut_hi = np.where(cut | (unsent & (last < hi)), hi, -1)
    hi = np.where(cut, lo + reach - 1 - (reach >= length), np.where(unsent, last, hi))
    hi = np.where(start, body - 1, np.where(ranged, hi, -1))
    sums = np.where(placeless & ~counted, 0, sums)
    return np.where(ranged, lo, 0), hi, Details(sums, np.where(encoded, -1, total), marks.astype(np.int64), cut_hi)


@cache
def _claims() -> NDArray[np.int8]:
    """The claim of the row that proof.row_of finds, by flags, measure, and whether fewer bytes may be an encoded file."""
    return np.array(
        [
            [[row_of(flags, measure, may_be_encoded).claim for may_be_encoded in (False, True)] for measure in Measure]
            for flags in range(int(~HitFlag(0)) + 1)
        ],
        np.int8,
    )
