"""What hits add to a delivery, as columns: the twin of tallies.part_of for hits without flags."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.domain.tallies import Mark

__all__ = ["MAX_BYTE", "RANGE_MARKS", "SILENT_MARKS", "Details", "added"]

MAX_BYTE = 1 << 44
"""Byte positions and counts below this (17 TB) are gathered as columns: sums over a batch, and a position beside a key, then fit 64 bits."""
RANGE_MARKS = Mark.OFFSETS | Mark.SENT
"""Of a hit that names its range and nothing else."""
SILENT_MARKS = Mark.BYTES_ONLY | Mark.NO_COUNT
"""Of a hit that names neither range nor bytes."""

Ints = NDArray[np.int64]


class Details(NamedTuple):
    """What else a hit adds to a delivery, a column for each of these fields of Part."""

    sent: Ints
    total: Ints
    marks: Ints
    cut_hi: Ints


def added(lo: Ints, hi: Ints, sent: Ints, total: Ints) -> tuple[Ints, Details]:
    """What hits without flags add, as tallies.part_of says: the last byte that surely was sent, and the rest.

    `lo` and `hi` are what was announced, 0 and -1 for nothing; `sent` and `total` are -1 if they are not named.
    """
    named, counted = hi >= 0, sent >= 0
    length = hi - lo + 1
    kept = np.where(counted, np.minimum(length, sent), length)
    cut = named & (kept < length)
    ranged = np.where(cut, RANGE_MARKS | Mark.CUT, RANGE_MARKS)
    marks = np.where(named, ranged, np.where(counted, Mark.BYTES_ONLY | Mark.SENT, SILENT_MARKS))
    return np.where(named, lo + kept - 1, -1), Details(
        np.where(counted, sent, kept), total, marks.astype(np.int64), np.where(cut, hi, -1)
    )
