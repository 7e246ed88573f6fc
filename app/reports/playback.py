"""How playback of HLS and DASH probably went: estimated from the times and bytes of segments, measured where CMCD is logged."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import ceil, prod
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from app.columns.blocks import Floats, Ints
from app.output.reports.report import Column, Report
from app.reports.counting import Counted, GroupSums, HitGroups, Plan, PlanWork
from app.reports.facts import Facts
from app.reports.filters import Filters
from app.reports.prepared import answer_in
from app.reports.questions import BYTES, Asked, report_of, share
from app.reports.reading import Inputs, count
from app.reports.titles import SEGMENT, TITLE, Titles, only_media, segment_of

__all__ = ["QOE_FORM", "PreparedQoe", "qoe"]

_PAUSE_S = 60.0
QOE_FORM = 1
"""Rises with each change of what is a segment, a title or a playback, of what is told of it, or of how that is written."""
_MOST_PREPARED = 1 << 20
"""Of more segments of clients no answer is prepared: their rows stand in memory."""
_QOE_KEYS = ("ip_address", "user_agent", "path", "time", "duration_s", "cmcd_sid", "cmcd_d", "cmcd_mtp", "cmcd_bs")


class _Playback(NamedTuple):
    """One playback, or what looks like one."""

    title: str
    kbit: float | None
    stalls: int
    stalled_s: float
    measured_kbit: float | None
    measured_stalls: int | None
    requests: int


def qoe(asked: Asked, bit_rate_kbit: float) -> Report:
    """How playback went, by title: estimated from the times and bytes of segments, measured where CMCD is logged."""
    plan = Plan(_QOE_KEYS, only_media(asked).filters)
    by = _qoe_by(bit_rate_kbit) if asked.filters == Filters() else ""
    prepared = answer_in(asked.inputs, "qoe", by, plan.columns)
    if prepared is None:
        counted = count(asked.inputs, plan)
        rows = _rows(counted.groups, bit_rate_kbit)
    else:
        counted = Counted(HitGroups.none(()), prepared.facts)
        counted.facts.counted, first, last, rows = json.loads(prepared.data.to_pybytes())
        counted.facts.span(first and tuple(first), last and tuple(last))
    asked = asked._replace(filters=plan.filters)
    *rows, every = map(tuple, rows)
    columns = (
        Column("title", "text"), Column("playbacks"), Column("requests"), Column("estimated_kbit_per_s"), Column("estimated_stalls"),
        Column("stalled_playbacks", "share"), Column("estimated_stalled_s", "seconds"), Column("measured_playbacks"),
        Column("measured_kbit_per_s"), Column("measured_stalls"),
    )  # fmt: skip
    return report_of(
        asked, counted, "qoe", f"How playback went, estimated for {bit_rate_kbit:g} kbit/s", columns, rows[: asked.top or 20],
        [
            SEGMENT, TITLE,
            "A playback is one `sid` of CMCD; without, all that a client (address and user agent) fetched of a title without a pause of 60 s.",
            "Estimated are columns with that word: from the log's times and bytes, not from the player. A log knows of no seek, of no pause and of"
            " nothing that another server sent.",
            "Estimated throughput: bytes of a segment by the time that its response took; the middle one of all requests with both, and of playbacks.",
            f"Estimated stalls: the player begins with the first segment, and each holds `d` of CMCD or else its bytes at {bit_rate_kbit:g} kbit/s."
            " Whenever the next one is logged later than all before are played, it stalls until then. Of several tracks at once all bytes count.",
            "Measured is what players say in CMCD: `mtp`, the middle one; stalls are requests with `bs`, the buffer ran empty. None: nothing was logged.",
            "A time is that of the line; servers write it when the response ends, or when the request came.", BYTES,
        ],
        totals=list(zip([column.name for column in columns[1:]], every[1:], strict=True)), drawn="playbacks",
    )  # fmt: skip


def _qoe_by(bit_rate_kbit: float) -> str:
    return f"{QOE_FORM} {float(bit_rate_kbit)!r}"


class PreparedQoe:
    """Prepares the answer to `qoe` without filters."""

    def __init__(self, bit_rate_kbit: float) -> None:
        plan = Plan(_QOE_KEYS, only_media(Asked(Inputs(()))).filters)
        self.by, self.columns = _qoe_by(bit_rate_kbit), plan.columns
        self._bit_rate_kbit, self._facts = bit_rate_kbit, Facts()
        self._work, self._sums = PlanWork(plan), GroupSums(plan.keys)

    def take(self, table: pa.Table) -> None:
        if self._sums.rows <= _MOST_PREPARED:
            counted = self._work.count(table)
            self._sums.add(counted.groups)
            self._facts.add(counted.facts)

    def data(self) -> pa.Buffer | None:
        if self._sums.rows > _MOST_PREPARED:
            return None
        rows, facts = _rows(self._sums.table(), self._bit_rate_kbit), self._facts
        return pa.py_buffer(json.dumps((facts.counted, facts.first, facts.last, rows)).encode())


def _rows(groups: HitGroups, bit_rate_kbit: float) -> list[tuple[Any, ...]]:
    """Of each title, and of all playbacks the last."""
    found = list(_playbacks(groups, bit_rate_kbit))
    by_title: dict[str, list[_Playback]] = defaultdict(list)
    for playback in found:
        by_title[playback.title].append(playback)
    ordered = sorted(by_title.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    return [_row(name, some) for name, some in (*ordered, ("", found))]


def _row(title: str, some: Sequence[_Playback]) -> tuple[Any, ...]:
    measured = [one for one in some if one.measured_stalls is not None]
    return (
        title, len(some), sum(one.requests for one in some), _middle(one.kbit for one in some), sum(one.stalls for one in some),
        share(sum(one.stalls > 0 for one in some), len(some)), round(sum(one.stalled_s for one in some), 3), len(measured),
        _middle(one.measured_kbit for one in measured), sum(one.measured_stalls or 0 for one in measured) if measured else None,
    )  # fmt: skip


def _middle(values: Iterable[float | None]) -> int | None:
    """The median, of two the smaller.

    >>> _middle([3.0, None, 1.0, 2.0]), _middle([])
    (2, None)
    """
    known = sorted(value for value in values if value is not None)
    return round(known[ceil(len(known) / 2) - 1]) if known else None


class _Texts:
    """A column of texts as numbers, which are in the order of the texts; a missing one is empty."""

    def __init__(self, groups: HitGroups, key: str) -> None:
        texts = [text or "" for text in groups.values[key]]
        self.texts = sorted({"", *texts})
        place = {text: at for at, text in enumerate(self.texts)}
        self.codes: Ints = np.array([place[text] for text in texts], np.int64)[groups.codes[key]]

    def numbers(self, rows: Ints) -> Floats:
        """Those that some rows name; NaN for none."""
        return np.array([np.nan, *map(float, self.texts[1:])])[self.codes[rows]]


def _middles(values: Floats, bounds: Ints) -> list[int | None]:
    """The median of the values between bounds, of two the smaller; those that are NaN are none.

    >>> _middles(np.array([3.0, np.nan, 1.0, 2.0, np.nan]), np.array([0, 4, 5]))
    [2, None]
    """
    if np.isnan(values).all():
        return [None] * (len(bounds) - 1)
    counts = np.add.reduceat((~np.isnan(values)).astype(np.int64), bounds[:-1])
    ordered = values[np.lexsort((values, np.repeat(np.arange(len(counts)), np.diff(bounds))))]  # NaN are last
    middle = ordered[bounds[:-1] + (counts - 1) // 2 * (counts > 0)].tolist()
    return [round(value) if count else None for value, count in zip(middle, counts.tolist(), strict=True)]


def _playbacks(groups: HitGroups, bit_rate_kbit: float) -> Iterator[_Playback]:
    """By title, client and time."""
    address, agent, path, duration, sid, length, kbit, ran_empty = (
        _Texts(groups, name) for name in _QOE_KEYS if name != "time"
    )
    known = Titles(path.texts)
    segments = map(segment_of, path.texts)
    title_of = ["" if one is None else known.of(one.track) for one in segments]
    titles = sorted({"", *title_of})
    numbers = {name: at for at, name in enumerate(titles)}
    title = np.array([numbers[name] for name in title_of], np.int64)[path.codes]
    rows = np.flatnonzero(title)
    times = np.array(groups.values["time"], np.float64)[groups.codes["time"]]
    sent = (groups.bytes // groups.requests).astype(np.int64)
    rows = np.repeat(rows, groups.requests[rows])
    has_sid = sid.codes > 0
    keys = [title, np.where(has_sid, 0, address.codes), np.where(has_sid, 0, agent.codes), sid.codes]
    sizes = [len(some) for some in (titles, address.texts, agent.texts, sid.texts)]
    if prod(sizes) < 1 << 62:  # one key of the same order is sorted faster
        keys = [np.ravel_multi_index(keys, sizes)]
    rows = rows[np.lexsort([column[rows] for column in (sent, times, *reversed(keys))])]
    if not len(rows):
        return
    fresh = np.append(True, ~has_sid[rows[1:]] & (np.diff(times[rows]) > _PAUSE_S))
    for column in keys:
        fresh[1:] |= np.diff(column[rows]) != 0
    begins = np.flatnonzero(fresh)
    said = np.logical_or.reduce([one.codes[rows] > 0 for one in (sid, length, kbit, ran_empty)])
    told = np.logical_or.reduceat(said, begins)
    empty = np.add.reduceat(
        np.array([text == "true" for text in ran_empty.texts])[ran_empty.codes[rows]].astype(np.int64), begins
    )
    bounds = np.append(begins, len(rows))
    kbits = np.array([size / 125 for size in sent[rows].tolist()])
    took, length_s = duration.numbers(rows), length.numbers(rows) / 1000
    took[(took == 0) | (kbits == 0)] = np.nan
    held_s = np.where(np.isnan(length_s), kbits / bit_rate_kbit, length_s)
    held = list(zip(times[rows].tolist(), held_s.tolist(), strict=True))
    stalled = (estimated_stalls(held[begin:end]) for begin, end in pairwise(bounds.tolist()))
    found = (
        (titles[number] for number in title[rows[begins]].tolist()), _middles(kbits / took, bounds), stalled,
        _middles(kbit.numbers(rows), bounds), told.tolist(), empty.tolist(), np.diff(bounds).tolist(),
    )  # fmt: skip
    for name, rate, (stalls, stalled_s), measured, is_told, times_empty, count_of in zip(*found, strict=True):
        yield _Playback(name, rate, stalls, stalled_s, measured, times_empty if is_told else None, count_of)


def estimated_stalls(segments: Sequence[tuple[float, float]]) -> tuple[int, float]:
    """How many times a player ran out, and for how many seconds: of segments by their time, and the seconds that each holds.

    >>> estimated_stalls([(0.0, 4.0), (2.0, 4.0), (10.0, 4.0)]), estimated_stalls([])
    ((1, 2.0), (0, 0.0))
    """
    stalls, stalled_s = 0, 0.0
    played_at = segments[0][0] if segments else 0.0
    for time, length_s in segments:
        if time > played_at:
            stalls += 1
            stalled_s += time - played_at
        played_at = max(time, played_at) + length_s
    return stalls, stalled_s
