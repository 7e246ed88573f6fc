"""Hits in columns, gathered by delivery key: for each key that needs no cut its tally, made from slices of sorted arrays."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.domain import windows
from app.domain.merging import Key
from app.domain.tallies import MAX_HITS, Mark, Part, Tally
from app.domain.windows import DAY_S, Rules
from app.kernels.keys import Keys
from app.kernels.merging import Group, PlacedPart
from app.kernels.weblog_tsv import MAX_BYTE, Columns

__all__ = ["MAX_ROWS", "Groups"]

MAX_ROWS = (1 << 63) // MAX_BYTE
"""Beyond so many hits at once a sum of lengths, or a position beside a group's number, may not fit 64 bits."""
_OFFSETS = Mark.OFFSETS | Mark.SENT
_NOTHING = Mark.BYTES_ONLY | Mark.NO_COUNT

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Named(Protocol):
    """Which key each hit has."""

    codes: Ints
    """A number for each hit; -1 where it does not count."""

    def named(self, codes: Ints, /) -> list[Key]:
        """The keys that stand for some codes."""


class Groups:
    """What hits of one source are for each key. Where their positions do not rise, hits may come twice: then no tally is made.

    `lo` and `hi` are 0 and -1 where a hit names no range; `factors` are those of the short ids of the source.
    """

    def __init__(
        self,
        keys: Named,
        times: Floats,
        positions: NDArray[np.uint64],
        lo: Ints,
        hi: Ints,
        factors: tuple[int, int],
        rules: Rules,
    ) -> None:
        self._rules = rules
        self._keys = keys
        codes = keys.codes
        rows = np.flatnonzero(codes >= 0)
        rows = rows[np.argsort(codes[rows], kind="stable")]
        codes = codes[rows]
        self.counted = len(rows)
        """How many hits count for a delivery."""
        fresh = np.ones(len(rows), np.bool_)
        fresh[1:] = codes[1:] != codes[:-1]
        self._codes = codes[fresh]
        self._begins = np.flatnonzero(fresh)
        self._bounds = np.append(self._begins, len(rows)).tolist()
        self._group = np.cumsum(fresh) - 1
        self._times = times[rows]
        self._lo = lo[rows]
        self._hi = hi[rows]
        self._positions = positions[rows]
        self._distinct = bool((positions[1:] > positions[:-1]).all())
        self._ids = self._positions * np.uint64(factors[0]) + np.uint64(factors[1])

    @classmethod
    def of_blocks(cls, blocks: Sequence[Columns], factors: tuple[int, int], rules: Rules) -> Groups:
        """Of blocks of lines with status 200 and 206 alone."""
        times, positions, lo, hi = (np.concatenate(some) for some in zip(*[block[:4] for block in blocks], strict=True))
        return cls(Keys(blocks), times, positions, lo, hi, factors, rules)

    def __iter__(self) -> Iterator[Group]:
        """In the order of the log."""
        keys = self._keys.named(self._codes)
        tallies = self._tallies() if self._distinct and 0 < self.counted <= MAX_ROWS else [None] * len(keys)
        first = self._positions[self._begins]
        groups = list(map(Group, first.tolist(), keys, range(len(keys)), tallies))
        return map(groups.__getitem__, np.argsort(first).tolist())

    def placed_parts(self, number: int) -> list[PlacedPart]:
        """The hits of a group in the order of the log, each with its position."""
        at = slice(self._bounds[number], self._bounds[number + 1])
        columns = (one[at].tolist() for one in (self._positions, self._times, self._ids, self._lo, self._hi))
        return [
            (position, Part(time, hit_id, lo, hi, hi - lo + 1, -1, _OFFSETS if hi >= lo else _NOTHING, -1))
            for position, time, hit_id, lo, hi in zip(*columns, strict=True)
        ]

    def parts(self, number: int) -> list[Part]:
        """The same without positions."""
        return [part for _, part in self.placed_parts(number)]

    def _tallies(self) -> list[Tally | None]:
        begins = self._begins
        first, last = np.minimum.reduceat(self._times, begins), np.maximum.reduceat(self._times, begins)
        lengths = self._hi - self._lo + 1
        named = lengths > 0
        all_named, any_named = np.logical_and.reduceat(named, begins), np.logical_or.reduceat(named, begins)
        marks = np.where(any_named, _OFFSETS, 0) | np.where(all_named, 0, _NOTHING)
        whole = _is_one_window(first, last, self._rules) & (np.diff(self._bounds) <= MAX_HITS)
        starts = _window_starts(first, self._rules.window)
        ids = self._ids[np.lexsort((self._ids, self._group))].tobytes()
        pairs, pair_bounds = self._ranges(named)
        columns = [one.tolist() for one in (whole, starts, first, last, np.add.reduceat(lengths, begins), marks)]
        bounds = [8 * bound for bound in self._bounds]
        id_slices = map(slice, bounds, bounds[1:])
        pair_slices = map(slice, pair_bounds, pair_bounds[1:])
        return [
            _tally(start, earliest, latest, sent, mark, ids[its_ids], tuple(pairs[its_pairs])) if is_whole else None
            for is_whole, start, earliest, latest, sent, mark, its_ids, its_pairs in zip(*columns, id_slices, pair_slices, strict=True)
        ]

    def _ranges(self, named: Bools) -> tuple[list[tuple[int, int]], list[int]]:
        """The joined ranges of all groups, and where among them those of each group begin, with the end of the last."""
        # a group's number above a position: one sort, and a running maximum that starts anew with each group
        base = self._group[named] * MAX_BYTE
        lo, hi = base + self._lo[named], base + self._hi[named]
        order = np.argsort(lo, kind="stable")
        lo, base, reach = lo[order], base[order], np.maximum.accumulate(hi[order])
        fresh = np.ones(len(lo), np.bool_)
        fresh[1:] = (lo[1:] > reach[:-1] + 1) | (base[1:] != base[:-1])
        begins = np.flatnonzero(fresh)
        base = base[begins]
        ends = reach[np.append(begins, len(lo))[1:] - 1]
        pairs = list(zip((lo[begins] - base).tolist(), (ends - base).tolist(), strict=True))
        return pairs, np.searchsorted(base, np.arange(len(self._begins) + 1) * MAX_BYTE).tolist()


def _tally(start: float, first: float, last: float, sent: int, marks: int, ids: bytes, ranges: tuple[tuple[int, int], ...]) -> Tally:
    tally = Tally(start)
    tally.first, tally.last, tally.sent, tally.marks, tally.ranges = first, last, sent, marks, ranges
    tally.ids = array("Q", ids)
    return tally


def _is_one_window(first: Floats, last: Floats, rules: Rules) -> Bools:
    """Whether all between two times surely is one window, whatever else is in it."""
    if rules.window == "last_touch":
        return (last - first < rules.length_s) & (first + rules.length_s > last)
    if rules.window == "day":
        return np.floor(first / DAY_S) == np.floor(last / DAY_S)
    return np.full(len(first), rules.window == "all")


def _window_starts(first: Floats, window: str) -> Floats:
    if window not in ("day", "all"):
        return first
    days, day = np.unique(np.floor(first / DAY_S), return_inverse=True)
    return np.array([windows.bucket_start(window, one * DAY_S) for one in days.tolist()])[day]
