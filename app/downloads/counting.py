"""Counts downloads in logs: reads them by the product's own parser, gathers what no rule leaves out, and counts it by listener.

Memory is bounded: what is gathered stands in columns, and goes to disk when it grows; then it is read back one listener and file at a time.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby, repeat
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from app.columns.blocks import Bools, Floats, Ints
from app.domain.windows import DAY_S
from app.downloads.columns import PIECES, WindowColumns, windows_in
from app.downloads.lists import Lists
from app.downloads.prepared import MOST_HELD, windows_in_file
from app.downloads.rules import CountedRequest, DownloadRules, Episode, Window, windows_of
from app.output.columns import iso_time
from app.process.temporary_database import TemporaryDatabase
from app.reports.facts import Facts
from app.reports.hits import PLAIN_NAMES
from app.reports.reading import Inputs, read_inputs
from app.reports.zones import ZoneOffsets, day_number, zone_named
from app.sources.files.read_options import ReadOptions

if TYPE_CHECKING:  # what reads stores or logs takes as long to import as a small report
    from app.downloads.sifting import Sifted
    from app.reports.kept import KeptStore

__all__ = ["BY", "Count", "DownloadPlan", "DownloadRow", "LeftOut", "count", "sorted_rows"]

BY = ("file", "day")
_LATEST = 253_370_764_800.0
"""9999-01-01, in place of the clock: a line that is in the future today must count alike in a year."""
_TABLE = """CREATE TABLE pieces (address TEXT, agent TEXT, file TEXT, time REAL, lo INTEGER, hi INTEGER, sent INTEGER,
answered_hi INTEGER, whole INTEGER, total INTEGER, input INTEGER, position INTEGER)"""
_ADD = "INSERT INTO pieces VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SORTED = "SELECT * FROM pieces ORDER BY address, agent, file, time, lo, hi, sent, input, position"


class LeftOut(NamedTuple):
    """A request that is no part of a download."""

    input: int
    """Number of the input."""
    position: int
    time: float
    rule: str
    address: str | None
    agent: str | None
    file: str | None


class DownloadPlan(NamedTuple):
    """What is counted, and how."""

    paths: Sequence[str]
    read: ReadOptions
    asked: DownloadRules
    lists: Lists
    episodes: Mapping[str, Episode] = {}
    by: str = "file"
    """One of BY."""
    zone: str = "UTC"
    first_day: date | None = None
    last_day: date | None = None
    """Inclusive, in the zone: downloads whose window begins in these days count."""
    processes: int = 0
    on_progress: Callable[[str, int, int | None], object] = lambda path, done, size: None
    on_left_out: Callable[[LeftOut], object] | None = None
    kept: KeptStore | None = None
    """A store, in place of paths."""
    held_requests: int = MOST_HELD
    """So many are counted as columns; more go to disk, and so do all if each request that is left out is told, in order."""


@dataclass
class DownloadRow:
    """One file, or one day."""

    downloads: int = 0
    listeners: int = 0
    """Addresses together with user agents that have a download there."""
    requests: int = 0
    """That are part of these downloads."""


@dataclass
class Count:
    """What came out."""

    facts: Facts = field(default_factory=Facts)
    """What was read; counted there is what is part of downloads."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Requests by rule."""
    rows: defaultdict[str, DownloadRow] = field(default_factory=lambda: defaultdict(DownloadRow))
    downloads: int = 0
    listeners: int = 0


def count(plan: DownloadPlan) -> Count:
    """Downloads in all inputs. What cannot be read (to its end) is noted in `facts.errors`; what was good before counts.

    The clock decides nothing. Raises SettingsError for a zone that there is not.
    """
    found = Count()
    days = _Days(plan)
    inputs = Inputs(plan.paths, plan.read, plan.processes, plan.on_progress, kept=plan.kept)
    if plan.on_left_out is None and not plan.episodes:
        prepared = windows_in_file(inputs, plan.asked, plan.zone, plan.lists)
        if prepared is not None:
            found.facts, found.left_out, windows = prepared
            if windows is not None:
                _count_windows(plan, days, windows, found)
            return found
    with TemporaryDatabase(_TABLE) as database:
        gathered = _Gathered(database, plan.held_requests if plan.on_left_out is None else 0)
        _read(plan, inputs, gathered, found)
        if gathered.held:
            tables = [table for _, table in gathered.held]
            _count_windows(plan, days, windows_in(tables, plan.asked, plan.episodes, days.of), found)
        _count(plan, days, database, found)
    return found


class _Gathered:
    """What no rule of single requests leaves out."""

    def __init__(self, database: TemporaryDatabase, most: int) -> None:
        """`most`: so many requests are held."""
        self._database, self._room = database, most
        self.held: list[tuple[int, pa.Table]] = []
        """Numbers of inputs with tables of their requests; nothing, if all are in the database."""

    def add(self, number: int, tables: Sequence[pa.Table]) -> None:
        self.held.extend((number, table) for table in tables)
        self._room -= sum(table.num_rows for table in tables)
        if self._room < 0:
            for at, table in self.held:
                columns = [table.column(name).to_pylist() for name in PIECES.names]
                self._database.add(_ADD, zip(*columns[:-1], repeat(at), columns[-1]))
            self.held = []


def _read(plan: DownloadPlan, inputs: Inputs, gathered: _Gathered, found: Count) -> None:
    from app.downloads.sifting import Sifting

    sifting = Sifting(plan.lists, plan.asked, plan.on_left_out is not None)
    number_of = {path: at for at, path in enumerate(plan.paths)}
    if plan.kept is not None:
        for hits in plan.kept.hits(found.facts):
            _take(sifting.sift_hits(hits), 0, plan, gathered, found)
        return

    def take(path: str, sifted: Sifted) -> None:
        _take(sifted, number_of[path], plan, gathered, found)

    read_inputs(inputs.with_fields(""), PLAIN_NAMES, sifting.sift_table, lambda: sifting, take, found.facts, _LATEST)


def _take(sifted: Sifted, number: int, plan: DownloadPlan, gathered: _Gathered, found: Count) -> None:
    found.facts.add(sifted.facts)
    found.left_out.update(sifted.left_out)
    gathered.add(number, sifted.pieces)
    if plan.on_left_out is not None:
        for told in sifted.told:
            plan.on_left_out(LeftOut(number, *told))


class _Days(dict[float, int]):
    """Time -> number of its day in the zone of the plan."""

    def __init__(self, plan: DownloadPlan) -> None:
        self._zone = ZoneOffsets(zone_named(plan.zone))
        self._first = -math.inf if plan.first_day is None else day_number(plan.first_day)
        self._last = math.inf if plan.last_day is None else day_number(plan.last_day)

    def __missing__(self, time: float) -> int:
        return math.floor((time + self._zone.at(time)) / DAY_S)

    def offset_s(self, time: float) -> int:
        return int(self._zone.at(time))

    def is_in_period(self, time: float) -> bool:
        return self._first <= self[time] <= self._last

    def of(self, times: Floats) -> Ints:
        """The numbers of the days of some times."""
        days: Ints = np.floor((times + self._zone.of(times)) / DAY_S).astype(np.int64)
        return days

    def are_in_period(self, times: Floats) -> Bools:
        days = self.of(times)
        return (days >= self._first) & (days <= self._last)

    def text(self, time: float) -> str:
        return day_text(self[time])


def day_text(day: int) -> str:
    """
    >>> day_text(1)
    '1970-01-02'
    """
    return iso_time(day * DAY_S).partition("T")[0]


def _count_windows(plan: DownloadPlan, days: _Days, windows: WindowColumns, found: Count) -> None:
    is_in = days.are_in_period(windows.first)
    of_rule = np.bincount(windows.rule[is_in], windows.requests[is_in], len(windows.rules)).tolist()
    left_out = {"period": windows.requests[~is_in].sum(), **dict(zip(windows.rules[1:], of_rule[1:], strict=True))}
    found.left_out.update({rule: int(requests) for rule, requests in left_out.items() if requests})
    chosen = np.flatnonzero(is_in & (windows.rule == 0))
    if not len(chosen):
        return
    found.downloads, found.facts.counted = len(chosen), int(windows.requests[chosen].sum())
    listeners = windows.listener[chosen]
    found.listeners = len(np.unique(listeners))
    keys, key = np.unique(
        windows.file[chosen] if plan.by == "file" else days.of(windows.first[chosen]), return_inverse=True
    )
    columns = (
        np.bincount(key), np.bincount(np.unique(listeners * len(keys) + key) % len(keys)), np.bincount(key, windows.requests[chosen]),
    )  # fmt: skip
    for number, *counts in zip(keys.tolist(), *(column.tolist() for column in columns), strict=True):
        name = windows.files[number] if plan.by == "file" else day_text(number)
        found.rows[name] = DownloadRow(*map(int, counts))
    first, last = float(windows.first[chosen].min()), float(windows.last[chosen].max())
    found.facts.span((first, days.offset_s(first)), (last, days.offset_s(last)))


def _count(plan: DownloadPlan, days: _Days, database: TemporaryDatabase, found: Count) -> None:
    for _, rows in groupby(database.rows(_SORTED), lambda row: row[:2]):
        keys: set[str] = set()
        for (address, agent, file), some in groupby(rows, lambda row: row[:3]):
            pieces = [CountedRequest._make((*row[3:10], row[10:12])) for row in some]
            for window in windows_of(pieces, plan.episodes.get(file, Episode()), plan.asked, days):
                rule = window.rule if days.is_in_period(window.first) else "period"
                if rule:
                    _leave_out(window, rule, (address, agent, file), plan, found)
                    continue
                key = file if plan.by == "file" else days.text(window.first)
                keys.add(key)
                found.downloads += 1
                found.rows[key].downloads += 1
                found.rows[key].requests += len(window.pieces)
                found.facts.counted += len(window.pieces)
                for piece in (window.pieces[0], window.pieces[-1]):
                    moment = piece.time, days.offset_s(piece.time)
                    found.facts.span(moment, moment)
        found.listeners += bool(keys)
        for key in keys:
            found.rows[key].listeners += 1


def _leave_out(window: Window, rule: str, key: tuple[str, str, str], plan: DownloadPlan, found: Count) -> None:
    found.left_out[rule] += len(window.pieces)
    if plan.on_left_out is not None:
        for piece in window.pieces:
            plan.on_left_out(LeftOut(*piece.place, piece.time, rule, *key))


def sorted_rows(found: Count, by: str) -> Iterator[tuple[str, DownloadRow]]:
    """Days in order; files by downloads, then by name."""
    return iter(sorted(found.rows.items(), key=lambda row: (row[0],) if by == "day" else (-row[1].downloads, row[0])))
