"""Verdicts of many deliveries at once: the twin of deliveries.describe for plain ranges, and for 200s that name none."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.columns.groups import TallyColumns
from app.domain.deliveries import NO_RANGES, PROBE_HI, UNSURE
from app.domain.proof import most_sent
from app.domain.tallies import Mark

__all__ = ["VERDICTS", "JudgedColumns", "are_plain", "judged"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

VERDICTS: tuple[tuple[str, str | None], ...] = (
    ("complete", None),
    ("unknown", "size_unknown"),
    ("partial", "probe_only"),
    ("partial", "cut_off"),
    ("partial", "start_missing"),
    ("partial", "gap"),
    ("partial", "end_missing"),
)
"""Those that columns come to, with their reasons; a column holds places in it."""
_COMPLETE, _SIZE_UNKNOWN, _PROBE_ONLY, _CUT_OFF, _START_MISSING, _GAP, _END_MISSING = range(len(VERDICTS))


class JudgedColumns(NamedTuple):
    """What is known of each delivery."""

    verdict: Ints
    """A place in VERDICTS, -1 where describe must judge."""
    total: Ints
    """Size of the file, or -1."""
    covered: Ints
    lo: Ints
    hi: Ints
    """What arrived, ranges of all deliveries."""
    range_bounds: Ints
    """Where those of each begin, with the end of the last."""


def are_plain(tallies: TallyColumns) -> Bools:
    """Which tallies may be judged as columns, with whatever size; others never will, whatever hits they take in."""
    ranged: Bools = tallies.marks & UNSURE == 0
    plain = tallies.whole & (ranged | (tallies.marks & ~NO_RANGES == 0))
    return plain if tallies.totals is None else plain & (tallies.totals.least == tallies.totals.greatest)


def judged(tallies: TallyColumns, sizes: Ints, in_flight_bytes: int) -> JudgedColumns:
    """Of tallies that are plain. `sizes`: of the files, from elsewhere, -1 where none is known; what the log names goes first."""
    none = np.full(len(tallies.starts), -1)
    _, total, cut_hi, body = tallies.totals or (none, none, none, none)
    total = np.where(total >= 0, total, sizes)
    bounds = tallies.range_bounds
    count = np.diff(bounds)
    lo, hi = np.append(tallies.lo, -1), np.append(tallies.hi, -1)  # one more: the place behind the last
    begin, end = lo[bounds[:-1]], hi[bounds[1:] - 1]
    sized, from_0 = total >= 0, (count == 1) & (begin == 0)
    is_ranged = tallies.marks & UNSURE == 0
    cut = (cut_hi >= 0) & ~(from_0 & (end >= cut_hi))
    whole = from_0 & np.where(sized, end == total - 1, (end > PROBE_HI) & (end >= cut_hi))
    ranged = np.select(
        [whole, cut, end <= PROBE_HI, np.where(sized, begin > 0, count == 1), count > 1],
        [_COMPLETE, _CUT_OFF, _PROBE_ONLY, _START_MISSING, _GAP],
        _END_MISSING,
    )
    ranged[(count == 0) | (tallies.marks & Mark.OFFSETS == 0) | (sized & (end >= total))] = -1
    is_whole = (body >= total) & (total > 0) & (body <= most_sent(total))
    from_start = np.where(sized, np.where(is_whole, _COMPLETE, -1), _SIZE_UNKNOWN)
    from_start[count > 0] = -1
    verdict = np.where(is_ranged, ranged, from_start)
    # a 200 that names no range: what arrived is its file, or what surely was received of it
    surely = np.where(tallies.marks & Mark.COMPRESSIBLE, 0, np.maximum(0, body - in_flight_bytes))
    arrived = np.where(is_ranged | (verdict < 0), 0, np.where(sized, total, surely))
    places = np.flatnonzero(arrived > 0)
    lengths = np.append(np.int64(0), np.cumsum(tallies.hi - tallies.lo + 1))
    covered = np.where(arrived > 0, arrived, lengths[bounds[1:]] - lengths[bounds[:-1]])
    new_bounds = bounds.copy()
    new_bounds[1:] += np.cumsum(arrived > 0)
    return JudgedColumns(
        verdict, total, covered, np.insert(tallies.lo, bounds[places], 0), np.insert(tallies.hi, bounds[places], arrived[places] - 1), new_bounds
    )  # fmt: skip
