"""The offset from UTC that each line of a log writes beside its time, and offsets of a zone that somebody names."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from app.columns.blocks import Floats, Ints, line_bounds
from app.domain.byteranges import Ranges, contains, normalise, union
from app.errors import SettingsError
from app.sources.files.chunks import Chunk

__all__ = ["LogClock", "ZoneOffsets", "day_number", "line_offsets", "offset_text", "zone_named"]

_WRITTEN = re.compile(
    rb"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]{1,9})?)? ?(?:(Z|UTC)|([+-])([0-9]{2}):?([0-9]{2}))(?![0-9])"
)
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})")
_QUARTER_S = 900
"""No zone changes its offset within a quarter of an hour."""
_FAR = 1 << 40
"""Quarters of an hour: millions of years."""
_DAY_S = 86400
_FEW = 8
"""Where fewer than one line in so many is asked for, each is looked at by itself."""
_SAME_S = 120
"""A time of a line that is written twice may differ by this: when it was rounded, or a leap second."""


def line_offsets(chunk: Chunk, positions: Ints, times: Floats, lines: int) -> Ints:
    """Seconds east of UTC that the lines at some positions write beside their times; 0 if a line writes none, which is read as UTC.

    `times`: UTC seconds of the hits there, by which a time in a query or an agent is known to be another one. `lines`: how many the
    chunk has.
    """
    if not len(positions):
        return np.zeros(0, np.int64)
    if len(positions) * _FEW < lines and chunk.positions is None:
        return _offsets_of(chunk, positions, times)
    starts, _ = line_bounds(chunk.data)
    places = starts + chunk.position if chunk.positions is None else np.array(chunk.positions, np.int64)
    which = np.searchsorted(places, positions)
    begin = int(starts[which[0]])
    end = chunk.data.find(b"\n", begin) + 1 or len(chunk.data)
    first = next((one for one in _WRITTEN.finditer(chunk.data, begin, end) if _is_of(one, float(times[0]))), None)
    # one count of bytes shows nearly always that all lines write the same
    if (
        first is not None
        and chunk.data.count(first[0][first.start(4 if first[4] else 5) - first.start() :] + b"]") == lines
    ):
        return np.full(len(positions), _seconds(first), np.int64)
    found = np.zeros(len(starts), np.int64)
    time_of = np.full(len(starts), np.nan)
    time_of[which] = times
    seen = -1
    for match in _WRITTEN.finditer(chunk.data):
        line = int(np.searchsorted(starts, match.start(), "right")) - 1
        if line != seen and _is_of(match, time_of[line]):
            found[line], seen = _seconds(match), line
    offsets: Ints = found[which]
    return offsets


def _offsets_of(chunk: Chunk, positions: Ints, times: Floats) -> Ints:
    """Line by line, where they are few."""
    found = np.zeros(len(positions), np.int64)
    for at, (position, time) in enumerate(zip(positions.tolist(), times.tolist(), strict=True)):
        begin = position - chunk.position
        end = chunk.data.find(b"\n", begin) + 1 or len(chunk.data)
        match = next((one for one in _WRITTEN.finditer(chunk.data, begin, end) if _is_of(one, time)), None)
        found[at] = 0 if match is None else _seconds(match)
    return found


def _is_of(found: re.Match[bytes], time: float) -> bool:
    """Whether it is the time of a hit, on the clock that it names."""
    clock_s = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3] or 0)
    away_s = (clock_s - _seconds(found) - time) % _DAY_S
    return min(away_s, _DAY_S - away_s) <= (_SAME_S if found[3] else _SAME_S + 60)


def _seconds(found: re.Match[bytes]) -> int:
    if found[4]:
        return 0
    return (int(found[6]) * 3600 + int(found[7]) * 60) * (-1 if found[5] == b"-" else 1)


def _quarters(times: Floats) -> Ints:
    """Numbers of quarters of an hour; ranges have none below 0, and times before 1970 are times, too."""
    found: Ints = np.clip(np.floor(times / _QUARTER_S), -_FAR, _FAR).astype(np.int64) + _FAR
    return found


class LogClock:
    """The offsets from UTC that lines write, by quarters of an hour: on which clock a time in such a log is told."""

    def __init__(self) -> None:
        self.hits: Counter[int] = Counter()
        """By offset."""
        self._quarters: dict[int, Ranges] = {}

    def note(self, times: Floats, offsets: Ints) -> None:
        """Some hits, and what their lines write."""
        quarters = _quarters(times)
        # a log is nearly in order: few rows differ from the one before
        fresh = np.append(True, (quarters[1:] != quarters[:-1]) | (offsets[1:] != offsets[:-1]))[: len(times)]
        begins = np.flatnonzero(fresh)
        hits = np.diff(np.append(begins, len(times)))
        quarters, offsets = quarters[begins], offsets[begins]
        for offset in np.unique(offsets).tolist():
            there = np.unique(quarters[offsets == offset]).tolist()
            self._add(offset, int(hits[offsets == offset].sum()), normalise(zip(there, there, strict=True)))

    @property
    def as_rows(self) -> list[tuple[int, int, Ranges]]:
        """Offsets, their hits, and their quarters of an hour."""
        return [(offset, self.hits[offset], quarters) for offset, quarters in self._quarters.items()]

    def add(self, rows: Iterable[tuple[int, int, Ranges]]) -> None:
        """What another one has as rows."""
        for offset, hits, quarters in rows:
            self._add(offset, hits, quarters)

    def _add(self, offset: int, hits: int, quarters: Ranges) -> None:
        self.hits[offset] += hits
        self._quarters[offset] = union(self._quarters.get(offset, ()), quarters)

    def at(self, time: float) -> int:
        """The offset of the lines of this time; of several the commonest one, of none that of the whole log."""
        if len(self.hits) < 2:
            return next(iter(self.hits), 0)
        quarter = int(_quarters(np.array(time)))
        there = [offset for offset, some in self._quarters.items() if contains(some, quarter, quarter)]
        return max(there or self.hits, key=lambda offset: (self.hits[offset], offset))

    def of(self, times: Floats) -> Ints:
        """The same of many."""
        if len(self.hits) < 2:
            return np.full(len(times), self.at(0.0), np.int64)
        _, first, which = np.unique(_quarters(times), return_index=True, return_inverse=True)
        found: Ints = np.array([self.at(time) for time in times[first].tolist()], np.int64)[which]
        return found


def offset_text(seconds: int) -> str:
    """An offset as ISO 8601 writes it.

    >>> offset_text(0), offset_text(-14400), offset_text(19800)
    ('+00:00', '-04:00', '+05:30')
    """
    hours, rest = divmod(abs(seconds), 3600)
    return f"{'-' if seconds < 0 else '+'}{hours:02}:{rest // 60:02}"


def zone_named(text: str) -> tzinfo:
    """`Europe/Berlin`, `UTC`, or an offset as `+05:30`. Raises SettingsError."""
    if text == "UTC":
        return UTC
    found = _OFFSET.fullmatch(text)
    if found and int(found[2]) < 24 and int(found[3]) < 60:
        return timezone(timedelta(seconds=_seconds_of(found)))
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(f"there is no time zone {text[:60]!r}; write one as Europe/Berlin, UTC or +05:30") from None


def _seconds_of(found: re.Match[str]) -> int:
    return (int(found[2]) * 3600 + int(found[3]) * 60) * (-1 if found[1] == "-" else 1)


class ZoneOffsets:
    """Offsets of one zone, each quarter of an hour asked once."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._known: dict[float, int] = {}

    def of(self, times: Floats) -> Ints:
        """Seconds east of UTC at each of some times."""
        quarters, which = np.unique(np.floor(times / _QUARTER_S), return_inverse=True)
        found: Ints = np.array([self.at(quarter * _QUARTER_S) for quarter in quarters.tolist()], np.int64)[which]
        return found

    def at(self, time: float) -> int:
        quarter = math.floor(time / _QUARTER_S)
        if quarter not in self._known:
            # years that datetime cannot hold are no log's; they get the offset of 1970
            at = datetime.fromtimestamp(min(max(quarter * _QUARTER_S, -(1 << 35)), 1 << 37), UTC)
            offset = self._zone.utcoffset(at.astimezone(self._zone))
            self._known[quarter] = int(offset.total_seconds()) if offset else 0
        return self._known[quarter]


def day_number(day: date) -> int:
    """Days since 1970-01-01.

    >>> day_number(date(1970, 1, 2))
    1
    """
    return day.toordinal() - date(1970, 1, 1).toordinal()
