"""Counts downloads in logs: reads them by the product's own parser, gathers what no rule leaves out, and counts it by listener.

Memory is bounded: what is gathered goes to disk when it grows, and is read back one listener and file at a time.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from typing import NamedTuple

from app.domain.windows import DAY_S
from app.downloads.lists import Lists
from app.downloads.rules import CountedRequest, DownloadRules, Episode, Window, windows_of
from app.downloads.sifting import Sifted, Sifting
from app.output.columns import iso_time
from app.process.temporary_database import TemporaryDatabase
from app.reports.facts import Facts
from app.reports.hits import PLAIN_NAMES
from app.reports.kept import KeptStore
from app.reports.reading import Inputs, read_inputs
from app.reports.zones import ZoneOffsets, day_number, zone_named
from app.sources.files.beginning import ReadOptions

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
    with TemporaryDatabase(_TABLE) as database:
        _read(plan, database, found)
        _count(plan, days, database, found)
    return found


def _read(plan: DownloadPlan, database: TemporaryDatabase, found: Count) -> None:
    sifting = Sifting(plan.lists, plan.asked, plan.on_left_out is not None)
    number_of = {path: at for at, path in enumerate(plan.paths)}
    if plan.kept is not None:
        for hits in plan.kept.hits(found.facts):
            _take(sifting.sift_hits(hits), 0, plan, database, found)
        return

    def take(path: str, sifted: Sifted) -> None:
        _take(sifted, number_of[path], plan, database, found)

    inputs = Inputs(plan.paths, plan.read, plan.processes, plan.on_progress)
    read_inputs(inputs, PLAIN_NAMES, sifting.sift_table, lambda: sifting, take, found.facts, _LATEST)


def _take(sifted: Sifted, number: int, plan: DownloadPlan, database: TemporaryDatabase, found: Count) -> None:
    found.facts.add(sifted.facts)
    found.left_out.update(sifted.left_out)
    database.add(_ADD, ((*piece[:-1], number, piece[-1]) for piece in sifted.pieces))
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

    def text(self, time: float) -> str:
        return iso_time(self[time] * DAY_S).partition("T")[0]


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
