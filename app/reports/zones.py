"""The offset from UTC that each line of a log writes beside its time, and offsets of a zone that somebody names."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from app.columns.blocks import Floats, Ints, line_bounds
from app.errors import SettingsError
from app.sources.files.chunks import Chunk

__all__ = ["ZoneOffsets", "day_number", "line_offsets", "offset_text", "zone_named"]

_WRITTEN = re.compile(rb":[0-9]{2}(?:[.,][0-9]{1,9})? ?(?:(Z|UTC)|([+-])([0-9]{2}):?([0-9]{2}))(?![0-9])")
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})")
_QUARTER_S = 900
"""No zone changes its offset within a quarter of an hour."""


def line_offsets(chunk: Chunk, positions: Ints) -> Ints:
    """Seconds east of UTC that the lines at some positions write; 0 if a line writes none, which is read as UTC."""
    first = _WRITTEN.search(chunk.data[: chunk.data.find(b"\n") + 1 or len(chunk.data)])
    # one count of bytes shows nearly always that all lines write the same
    if (
        first is not None
        and chunk.data.count(first[0][first.start(1 if first[1] else 2) - first.start() :] + b"]") == chunk.lines
    ):
        return np.full(len(positions), _seconds(first), np.int64)
    starts, _ = line_bounds(chunk.data)
    found = np.zeros(len(starts), np.int64)
    seen = -1
    for match in _WRITTEN.finditer(chunk.data):
        line = int(np.searchsorted(starts, match.start(), "right")) - 1
        if line != seen:  # what a line writes behind its time is something else
            found[line], seen = _seconds(match), line
    places = starts + chunk.position if chunk.positions is None else np.array(chunk.positions, np.int64)
    offsets: Ints = found[np.searchsorted(places, positions)]
    return offsets


def _seconds(found: re.Match[bytes]) -> int:
    if found[1]:
        return 0
    return (int(found[3]) * 3600 + int(found[4]) * 60) * (-1 if found[2] == b"-" else 1)


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
