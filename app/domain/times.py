"""Times as people and scripts write them. Pure: the present is an argument."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

__all__ = ["iso", "parse_time"]

_EPOCH = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,9})?")
_AGO = re.compile(r"-(?=[0-9])(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?")
_UNITS_S = (86400, 3600, 60, 1)


def parse_time(text: str, now: float) -> float:
    """UTC seconds of an ISO 8601 time with its zone, of seconds since 1970, of `now`, or of a span ago as in `-2h30m`.

    Raises ValueError that says what is allowed.

    >>> parse_time("1970-01-01T01:00:00+01:00", 0.0), parse_time("1600000000.5", 0.0), parse_time("-2h30m", 10_000.0)
    (0.0, 1600000000.5, 1000.0)
    """
    text = text.strip()
    if text == "now":
        return now
    if _EPOCH.fullmatch(text):
        return float(text)
    ago = _AGO.fullmatch(text)
    if ago:
        return now - sum(int(number) * unit for number, unit in zip(ago.groups(), _UNITS_S, strict=True) if number)
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            seconds = found.timestamp()
            if math.isfinite(seconds):
                return seconds
    except (ValueError, OverflowError):
        pass
    raise ValueError(
        f"{text[:60]!r} is no time: write ISO 8601 with a zone (2026-07-31T16:00:00Z), seconds since 1970, or a span ago (-2h30m)"
    )


def iso(seconds: float) -> str:
    """UTC, with milliseconds where there are any; seconds with their unit where no calendar holds them.

    >>> iso(1600000000), iso(0.25), iso(1e14)
    ('2020-09-13T12:26:40Z', '1970-01-01T00:00:00.250Z', '1e+14 s')
    """
    try:
        found = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{seconds:g} s"
    return found.isoformat(timespec="milliseconds" if seconds % 1 else "seconds").replace("+00:00", "Z")
