"""Windows of requests that stand in columns: cut and judged many at once; what columns cannot tell is judged by rules.rule_of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from app.columns.blocks import Bools, Floats, Ints
from app.columns.groups import MAX_ROWS, joined_ranges
from app.columns.parts import MAX_BYTE
from app.domain.windows import DAY_S, cut_first_touch
from app.downloads.rules import UNBOUNDED, CountedRequest, DownloadRules, Episode, needed_bytes, rule_of
from app.reports.hits import TEXT, put_together, texts_of

__all__ = ["PIECES", "WindowColumns", "piece_table", "windows_in"]

PIECES = pa.schema(
    [
        *((name, TEXT) for name in ("address", "agent", "file")),
        ("time", pa.float64()),
        *((name, pa.int64()) for name in ("lo", "hi", "sent", "answered_hi")),
        ("whole", pa.bool_()),
        ("total", pa.int64()),
        ("position", pa.uint64()),
    ]
)
"""A listener and its file, the fields of CountedRequest, and where the line stands."""
_NUMBERS = CountedRequest._fields[:-1]
_UNKNOWN = -1
"""In place of a size, or of the bytes that are needed."""


class WindowColumns(NamedTuple):
    """Windows, a value each."""

    listener: Ints
    """A number for each that differs."""
    file: Ints
    """Places in `files`."""
    first: Floats
    last: Floats
    """Times."""
    requests: Ints
    rule: Ints
    """Places in `rules`."""
    files: list[str]
    rules: list[str]
    """The first is empty: a download."""


def piece_table(rows: Iterable[tuple[Any, ...]]) -> pa.Table:
    """Of rows with the fields of PIECES."""
    columns = list(zip(*rows, strict=True)) or [()] * len(PIECES)
    made = (
        pa.array(column, pa.string()).dictionary_encode() if field.type == TEXT else pa.array(column, field.type)
        for field, column in zip(PIECES, columns, strict=True)
    )
    return pa.Table.from_arrays(list(made), schema=PIECES)


def windows_in(
    tables: list[pa.Table], asked: DownloadRules, episodes: Mapping[str, Episode], days_of: Callable[[Floats], Ints]
) -> WindowColumns:
    """What rules.windows_of says of each listener and file. `tables`: of PIECES, not empty; `days_of` numbers the days of times."""
    table = put_together(tables)
    address, agent, file = (table.column(name).chunk(0) for name in PIECES.names[:3])
    listener = _numbered(_codes(address) * len(agent.dictionary) + _codes(agent))
    group = _numbered(listener * len(file.dictionary) + _codes(file))
    times = table.column("time").to_numpy()
    order = np.lexsort((times, group))
    group, listener, which = group[order], listener[order], _codes(file)[order]
    numbers = {name: table.column(name).to_numpy()[order] for name in _NUMBERS}
    is_new = np.append(True, group[1:] != group[:-1])
    groups = np.flatnonzero(is_new)
    begins = np.flatnonzero(is_new | _cuts(numbers["time"], groups, asked.window, days_of))
    files = texts_of(file)
    sized, kind = _sized(files, which[groups], np.maximum.reduceat(numbers["total"], groups), episodes)
    rules = _Rules(asked, numbers, np.append(begins, len(group)), sized, kind[np.cumsum(is_new)[begins] - 1])
    last = np.append(begins[1:], len(group)) - 1
    times = numbers["time"]
    return WindowColumns(
        listener[begins], which[begins], times[begins], times[last], last + 1 - begins, rules.rule, files, rules.names
    )


def _codes(column: pa.DictionaryArray) -> Ints:
    codes: Ints = column.indices.to_numpy().astype(np.int64)
    return codes


def _numbered(values: Ints) -> Ints:
    """Small numbers, in place of large ones."""
    return _codes(pa.array(values).dictionary_encode())


def _cuts(times: Floats, groups: Ints, window: str, days_of: Callable[[Floats], Ints]) -> Bools:
    """Where a window begins, as rules.windows_of cuts them, beside where a group does; each is sorted by time."""
    cut = np.zeros(len(times), np.bool_)
    if window == "day":
        days = days_of(times)
        cut[1:] = days[1:] != days[:-1]
    elif window == "last_touch":
        cut[1:] = times[1:] >= times[:-1] + DAY_S
    else:
        ends = np.append(groups[1:], len(times))
        for at in np.flatnonzero(times[ends - 1] - times[groups] >= DAY_S - 1).tolist():
            its = times[groups[at] : ends[at]]
            cut[groups[at] + np.searchsorted(its, cut_first_touch(its.tolist(), DAY_S))] = True
    return cut


def _sized(files: list[str], which: Ints, totals: Ints, episodes: Mapping[str, Episode]) -> tuple[list[Episode], Ints]:
    """The episodes of groups with the sizes that are known, each that differs once, and the place of each group's."""
    sizes, size = np.unique(np.maximum(totals, _UNKNOWN), return_inverse=True)
    pairs, kind = np.unique(which * len(sizes) + size, return_inverse=True)
    found = []
    for file, at in zip(*(part.tolist() for part in np.divmod(pairs, len(sizes))), strict=True):
        episode, total = episodes.get(files[file], Episode()), int(sizes[at])
        if episode.size_bytes is None and total >= 0:
            episode = episode._replace(size_bytes=total)
        found.append(episode)
    return found, kind


class _Rules:
    """The rule of each window, as rules.rule_of gives it."""

    def __init__(
        self, asked: DownloadRules, numbers: dict[str, Any], bounds: Ints, sized: list[Episode], kind: Ints
    ) -> None:
        """`bounds`: where each window begins, with the end of the last; `kind`: its place in `sized`."""
        self.names = [""]
        self._asked, self._numbers, self._bounds = asked, numbers, bounds
        self.rule = np.full(len(kind), self._place("below_threshold"))
        begins = bounds[:-1]
        limits = np.array([_limits(episode, asked) for episode in sized], np.int64)
        needed, head, last = (column[kind] for column in limits.T)
        is_small = np.logical_and.reduceat(np.maximum(numbers["lo"], numbers["hi"]) < MAX_BYTE, begins)
        sent = np.maximum.reduceat(numbers["sent"], begins)
        is_download = is_small & (self._proven(is_small, head, last) >= needed) | (sent >= head + needed)
        is_clear = is_small & (sent == 0) & ~np.logical_or.reduceat(numbers["answered_hi"] >= numbers["lo"], begins)
        is_odd = ~is_download & ~is_clear
        self.rule[is_download] = 0
        for unknown in (needed == _UNKNOWN, np.logical_or.reduceat(numbers["whole"], begins)):
            is_odd &= ~unknown
        self.rule[needed == _UNKNOWN] = self._place("size_unknown")
        self.rule[np.logical_or.reduceat(numbers["whole"], begins)] = 0
        for at in np.flatnonzero(is_odd).tolist():
            self.rule[at] = self._place(rule_of(self._pieces(at), sized[kind[at]], asked))

    def _place(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def _pieces(self, at: int) -> list[CountedRequest]:
        its = slice(self._bounds[at], self._bounds[at + 1])
        return list(map(CountedRequest, *(self._numbers[name][its].tolist() for name in _NUMBERS)))

    def _proven(self, is_small: Bools, head: Ints, last: Ints) -> Ints:
        """Bytes behind the head that were sent for sure, of windows whose numbers are small."""
        found = []
        rows = np.repeat(is_small, np.diff(self._bounds)) & (self._numbers["hi"] >= self._numbers["lo"])
        for start in range(0, len(is_small), MAX_ROWS):
            bounds = self._bounds[start : start + MAX_ROWS + 1]
            some = slice(bounds[0], bounds[-1])
            lo, hi, ends = joined_ranges(
                bounds - bounds[0], self._numbers["lo"][some], self._numbers["hi"][some], rows[some]
            )
            counts = np.diff(ends)
            its_head, its_last = (np.repeat(column[start : start + MAX_ROWS], counts) for column in (head, last))
            sound = np.maximum(0, np.minimum(hi, its_last) - np.maximum(lo, its_head) + 1)
            found.append(np.diff(np.append(0, np.cumsum(sound))[ends]))
        return np.concatenate(found)


def _limits(episode: Episode, asked: DownloadRules) -> tuple[int, int, int]:
    """Needed bytes, bytes of the head, last byte; no response has more than UNBOUNDED, so that what needs more has no download."""
    needed = needed_bytes(episode, asked)
    last = UNBOUNDED if episode.size_bytes is None else min(episode.size_bytes - 1, UNBOUNDED)
    return _UNKNOWN if needed is None else min(needed, UNBOUNDED + 1), min(episode.head_bytes, UNBOUNDED), last
