"""Times of log lines to UTC seconds: `31/Jul/2020:16:46:07 +0000`, ISO 8601 and epochs.

A time is read in two parts, the date with the minute and the rest, and each part is remembered: within a day there are
1,440 of the first and some hundred of the second, so that almost every line costs two look-ups and an addition.
Raises BadLine("bad_time") for what is no date, or outside the years 1900 to 9998 (any zone then stays within what
datetime can show).
"""

from __future__ import annotations

import re
from datetime import date

from app.domain.formats.base import BadLine
from app.domain.formats.remembered import Remembered
from app.domain.formats.values import shown

__all__ = [
    "CLF_MINUTES",
    "CLF_SECONDS",
    "ISO_MINUTES",
    "ISO_SECONDS",
    "MONTHS",
    "clf_of_rfc_1123",
    "clf_time",
    "epoch_time",
    "iso_time",
]

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: at for at, name in enumerate(MONTHS, 1)}
_YEARS = range(1900, 9999)
_EARLIEST_S = -2_208_988_800.0
_LATEST_S = 253_370_764_800.0
_ORDINAL_1970 = date(1970, 1, 1).toordinal()

_CLF_MINUTE = re.compile(r"([0-9]{2})/([A-Z][a-z]{2})/([0-9]{4})[: ]([0-9]{2}):([0-9]{2})")
_CLF_SECOND = re.compile(r":([0-9]{2}(?:\.[0-9]{1,9})?) (?:([+-])([0-9]{2})([0-9]{2})|UTC|GMT)")
_ISO_MINUTE_AND_COLON = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:")
_ISO_SECOND_WITH_ZONE = re.compile(r"[0-9]{2}(?:[.,][0-9]{1,9})? ?(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2})")
_ISO_MINUTE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})[ T]([0-9]{2}):([0-9]{2})")
_ISO_SECOND = re.compile(r":([0-9]{2}(?:[.,][0-9]{1,9})?) ?(?:Z|UTC|([+-])([0-9]{2}):?([0-9]{2})?)?")
_RFC_1123 = re.compile(r"[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9:]{8}) (?:GMT|UTC|([+-][0-9]{4}))")
"""As HTTP writes a date."""
_EPOCH = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,12})?(?:[eE]\+?[0-9]{1,2})?")


def _bad(text: str) -> BadLine:
    return BadLine("bad_time", f"no date and time: {shown(text)}")


def _minute(year: int, month: int, day: int, hour: int, minute: int, text: str) -> float:
    if year not in _YEARS or hour > 23 or minute > 59:
        raise _bad(text)
    try:
        days = date(year, month, day).toordinal() - _ORDINAL_1970
    except ValueError:
        raise _bad(text) from None
    return float(days * 86400 + hour * 3600 + minute * 60)


def _second(found: re.Match[str], text: str) -> float:
    """Seconds since the minute, less the zone's offset from UTC. 60 is a leap second: the next minute's first."""
    seconds, sign, hours, minutes = found.groups()
    value = float(seconds.replace(",", "."))
    zone_minutes = int(hours or 0) * 60 + int(minutes or 0)
    if value >= 61 or zone_minutes >= 1440 or int(minutes or 0) > 59:
        raise _bad(text)
    return value + zone_minutes * (60 if sign == "-" else -60)


def _clf_minute(text: str) -> float:
    found = _CLF_MINUTE.fullmatch(text)
    if found is None and _ISO_MINUTE_AND_COLON.fullmatch(text):
        return _iso_minute(text[:-1])
    if found is None or found[2] not in _MONTHS:
        raise _bad(text)
    return _minute(int(found[3]), _MONTHS[found[2]], int(found[1]), int(found[4]), int(found[5]), text)


def _clf_second(text: str) -> float:
    found = _CLF_SECOND.fullmatch(text)
    if found is None and _ISO_SECOND_WITH_ZONE.fullmatch(text):
        return _iso_second(":" + text)
    if found is None:
        raise _bad(text)
    return _second(found, text)


def _iso_minute(text: str) -> float:
    found = _ISO_MINUTE.fullmatch(text)
    if found is None:
        raise _bad(text)
    year, month, day, hour, minute = map(int, found.groups())
    return _minute(year, month, day, hour, minute, text)


def _iso_second(text: str) -> float:
    found = _ISO_SECOND.fullmatch(text)
    if found is None:
        raise _bad(text)
    return _second(found, text)


CLF_MINUTES = Remembered(_clf_minute, longest=17)
"""`31/Jul/2020:16:46` or `2020-07-31T16:46:`, 17 characters, to UTC seconds."""
CLF_SECONDS = Remembered(_clf_second, longest=32)
"""`:07 +0530`, or `07+05:30` behind the other form, to the seconds to add."""
ISO_MINUTES = Remembered(_iso_minute, longest=16)
"""`2020-07-31 16:46`, 16 characters, to UTC seconds."""
ISO_SECONDS = Remembered(_iso_second, longest=32)
"""`:07`, `:07.25`, `:07Z`, `:07+05:30` to the seconds to add; no zone is UTC."""


def clf_time(text: str) -> float:
    """
    >>> clf_time("01/Jan/1970:05:30:01 +0530")
    1.0
    """
    return CLF_MINUTES[text[:17]] + CLF_SECONDS[text[17:]]


def clf_of_rfc_1123(text: str) -> str | None:
    """
    >>> clf_of_rfc_1123("Fri, 31 Jul 2020 16:46:07 GMT"), clf_of_rfc_1123("Friday")
    ('31/Jul/2020:16:46:07 +0000', None)
    """
    found = _RFC_1123.fullmatch(text)
    return f"{found[1]}/{found[2]}/{found[3]}:{found[4]} {found[5] or '+0000'}" if found else None


def iso_time(text: str) -> float:
    """
    >>> iso_time("1970-01-01 00:01:00.5"), iso_time("1970-01-01T01:00:00+01:00")
    (60.5, 0.0)
    """
    return ISO_MINUTES[text[:16]] + ISO_SECONDS[text[16:]]


def epoch_time(text: str) -> float:
    """Seconds since 1970; from 10**11 on milliseconds, from 10**14 on microseconds, from 10**17 on nanoseconds.

    >>> epoch_time("1607374508.059"), epoch_time("1607374508059")
    (1607374508.059, 1607374508.059)
    """
    if _EPOCH.fullmatch(text) is None:
        raise _bad(text)
    value = float(text)
    for least, unit in ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3)):
        if value >= least:
            value /= unit
            break
    if not _EARLIEST_S <= value < _LATEST_S:
        raise _bad(text)
    return value
