"""Hits in columns, gathered by delivery key: for each key that needs no cut its tally, made from slices of sorted arrays."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from functools import cached_property, partial
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.columns.keys import KeyNames
from app.columns.parts import MAX_BYTE, RANGE_MARKS, Details
from app.domain import windows
from app.domain.key_hits import Key, KeyHits, PlacedPart, in_log_order
from app.domain.tallies import MAX_HITS, UNPROVED, Mark, Part, Tally, tally_from
from app.domain.windows import DAY_S, Rules

__all__ = ["MAX_ROWS", "Groups", "TallyColumns", "TotalColumns", "joined_ranges", "tally_columns"]

_ONE_BY_ONE = UNPROVED & ~Mark.START
"""Marks of hits that no column here gathers: what responses had sent that broke."""
_ROWS_A_GROUP = 30
"""A list of so many rows is made while one group is cut out of columns."""
MAX_ROWS = (1 << 63) // MAX_BYTE
"""Beyond this many hits at once a sum of lengths, or a position beside a group's number, may not fit 64 bits."""

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Groups:
    """What hits of one source are for each key. Where their positions do not rise, hits may come twice: then no tally is made.

    `lo` and `hi` are 0 and -1 where a hit names no range; without `details` all name ranges and nothing else. `factors` are
    those of the short ids of the source, `codes` the number of each
    hit's key, -1 if it does not count. All work on columns is done when it is made; it can be pickled, and objects are made
    where it is gone through.
    """

    def __init__(
        self,
        names: KeyNames,
        codes: Ints,
        times: Floats,
        positions: NDArray[np.uint64],
        lo: Ints,
        hi: Ints,
        factors: tuple[int, int],
        rules: Rules,
        details: Details | None = None,
    ) -> None:
        rows = np.flatnonzero(codes >= 0)
        rows = rows[np.argsort(codes[rows], kind="stable")]
        codes = codes[rows]
        self.counted = len(rows)
        """How many hits count for a delivery."""
        fresh = np.ones(len(rows), np.bool_)
        fresh[1:] = codes[1:] != codes[:-1]
        self._begins = np.flatnonzero(fresh)
        self._keys = names.named(codes[fresh])
        self._times = times[rows]
        self._lo = lo[rows]
        self._hi = hi[rows]
        self._positions = positions[rows]
        self._details = None if details is None else Details(*[column[rows] for column in details])
        self._ids = self._positions * np.uint64(factors[0]) + np.uint64(factors[1])
        is_distinct = bool((positions[1:] > positions[:-1]).all())
        self._tallies: _Tallies | None = None
        if is_distinct and 0 < self.counted <= MAX_ROWS:
            sorted_ids = self._ids[np.lexsort((self._ids, np.cumsum(fresh) - 1))]
            columns = tally_columns(self._begins, self._times, self._lo, self._hi, self._details, rules)
            self._tallies = _Tallies(columns, sorted_ids)

    def __iter__(self) -> Iterator[KeyHits]:
        """In the order of the log."""
        keys = self._keys
        first = self._positions[self._begins]
        tallies: list[Tally | None] = [None] * len(keys) if self._tallies is None else self._tallies.made()
        parts = map(partial, repeat(self.parts), range(len(keys)))
        # past the constructor: they are made by the thousand
        groups = list(map(tuple.__new__, repeat(KeyHits), zip(first.tolist(), keys, tallies, parts, strict=True)))
        return map(groups.__getitem__, np.argsort(first).tolist())

    def beside(self, placed: dict[Key, list[PlacedPart]]) -> Iterable[KeyHits]:
        """In the order of the log, with hits of the same source that were taken one by one; `placed` changes."""
        if not placed:
            return self
        numbers = {key: number for number, key in enumerate(self._keys) if key in placed}
        for key, number in numbers.items():
            placed[key].extend(self.placed_parts(number))
        return in_log_order((group for group in self if group.key not in placed), placed)

    def placed_parts(self, number: int) -> list[PlacedPart]:
        """The hits of a group in the order of the log, each with its position."""
        end = self._begins[number + 1] if number + 1 < len(self._begins) else self.counted
        at = slice(self._begins[number], end)
        lists = self._lists
        columns = [one[at].tolist() for one in self._columns] if lists is None else [one[at] for one in lists]
        if self._details is not None:
            return [(position, Part(*fields)) for position, *fields in zip(*columns, strict=True)]
        return [
            (position, Part(time, hit_id, lo, hi, hi - lo + 1, -1, RANGE_MARKS, -1))
            for position, time, hit_id, lo, hi in zip(*columns, strict=True)
        ]

    @property
    def _columns(self) -> list[NDArray[Any]]:
        return [self._positions, self._times, self._ids, self._lo, self._hi, *(self._details or ())]

    @cached_property
    def _lists(self) -> list[list[Any]] | None:
        """The columns as lists at once, if many groups will be asked for their parts: a piece of a list costs less."""
        asked = len(self._keys) if self._tallies is None else int(np.count_nonzero(~self._tallies.columns.whole))
        return [one.tolist() for one in self._columns] if asked * _ROWS_A_GROUP > self.counted else None

    def parts(self, number: int) -> list[Part]:
        """The same without positions."""
        return [part for _, part in self.placed_parts(number)]


def tally_columns(
    begins: Ints, times: Floats, lo: Ints, hi: Ints, details: Details | None, rules: Rules
) -> TallyColumns:
    """What a tally of each group is, of distinct hits that stand group by group, at most MAX_ROWS. `begins`: where each group begins."""
    bounds = np.append(begins, len(times))
    first, last = np.minimum.reduceat(times, begins), np.maximum.reduceat(times, begins)
    lengths = hi - lo + 1
    proved = lengths > 0
    if details is None:
        sent, marks, totals = lengths, np.full(len(begins), RANGE_MARKS), None
    else:
        proved &= details.marks & UNPROVED == 0
        sent, marks = details.sent, np.bitwise_or.reduceat(details.marks, begins)
        from_start = np.where(details.marks & Mark.START, hi + 1, -1)
        # the least of the totals that are named: none is -1, which as an unsigned number is the greatest
        least = np.minimum.reduceat(details.total.view(np.uint64), begins).view(np.int64)
        totals = TotalColumns(
            least,
            np.maximum.reduceat(details.total, begins),
            np.maximum.reduceat(details.cut_hi, begins),
            np.maximum.reduceat(from_start, begins),
        )
    return TallyColumns(
        _is_one_window(first, last, rules) & (np.diff(bounds) <= MAX_HITS) & (marks & _ONE_BY_ONE == 0),
        _window_starts(first, rules.window),
        first,
        last,
        np.add.reduceat(sent, begins),
        marks,
        bounds,
        *joined_ranges(bounds, lo, hi, proved),
        totals,
    )


def joined_ranges(bounds: Ints, lo: Ints, hi: Ints, proved: Bools) -> tuple[Ints, Ints, Ints]:
    """The joined ranges of all groups, first and last bytes, and where those of each group begin, with the end of the last."""
    # a group's number above a position: one sort, and a running maximum that starts anew with each group
    base = np.repeat(np.arange(len(bounds) - 1) * MAX_BYTE, np.diff(bounds))
    if not proved.all():
        base, lo, hi = base[proved], lo[proved], hi[proved]
    lo, hi = base + lo, base + hi
    order = np.argsort(lo, kind="stable")
    lo, base, reach = lo[order], base[order], np.maximum.accumulate(hi[order])
    fresh = np.ones(len(lo), np.bool_)
    fresh[1:] = (lo[1:] > reach[:-1] + 1) | (base[1:] != base[:-1])
    begins = np.flatnonzero(fresh)
    base = base[begins]
    ends = reach[np.append(begins, len(lo))[1:] - 1]
    return lo[begins] - base, ends - base, np.searchsorted(base, np.arange(len(bounds)) * MAX_BYTE)


class TotalColumns(NamedTuple):
    """Of each group."""

    least: Ints
    greatest: Ints
    cut_hi: Ints
    start_sent: Ints


class TallyColumns(NamedTuple):
    """A tally for each group, as columns."""

    whole: Bools
    """Whether the group needs no cut; no tally where it may."""
    starts: Floats
    first: Floats
    last: Floats
    sent: Ints
    marks: Ints
    bounds: Ints
    """Where the hits of each group begin, with the end of the last."""
    lo: Ints
    hi: Ints
    """Joined ranges of all groups, sorted in each."""
    range_bounds: Ints
    totals: TotalColumns | None
    """None where all hits name ranges and nothing else."""


class _Tallies(NamedTuple):
    columns: TallyColumns
    ids: NDArray[np.uint64]
    """Of all groups, sorted in each."""

    def made(self) -> list[Tally | None]:
        of = self.columns
        ids, pairs = self.ids.tobytes(), list(zip(of.lo.tolist(), of.hi.tolist(), strict=True))
        bounds, range_bounds = (8 * of.bounds).tolist(), of.range_bounds.tolist()
        columns = [one.tolist() for one in of[:6]]
        id_slices = map(slice, bounds, bounds[1:])
        pair_slices = map(slice, range_bounds, range_bounds[1:])
        tallies = [
            tally_from(start, earliest, latest, tuple(pairs[its_pairs]), array("Q", ids[its_ids]), sent, marks)
            if is_whole
            else None
            for is_whole, start, earliest, latest, sent, marks, its_ids, its_pairs in zip(
                *columns, id_slices, pair_slices, strict=True
            )
        ]
        if of.totals is not None:
            of_each = zip(tallies, *[one.tolist() for one in of.totals], strict=True)
            for tally, least, greatest, cut_hi, start_sent in of_each:
                if tally is not None:
                    tally.total_min, tally.total_max, tally.cut_hi, tally.start_sent = (
                        least,
                        greatest,
                        cut_hi,
                        start_sent,
                    )
        return tallies


def _is_one_window(first: Floats, last: Floats, rules: Rules) -> Bools:
    """Whether all between two times surely is one window, whatever else is in it."""
    if rules.window == "last_touch":
        one: Bools = (last - first < rules.length_s) & (first + rules.length_s > last)
    elif rules.window == "day":
        one = np.floor(first / DAY_S) == np.floor(last / DAY_S)
    else:
        one = np.full(len(first), rules.window == "all")
    return one


def _window_starts(first: Floats, window: str) -> Floats:
    if window not in ("day", "all"):
        return first
    days, day = np.unique(np.floor(first / DAY_S), return_inverse=True)
    return np.array([windows.bucket_start(window, one * DAY_S) for one in days.tolist()])[day]
