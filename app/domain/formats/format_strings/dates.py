"""Dates that a format string spells in the letters of strftime: `%{%d/%b/%Y %T}t`."""

from __future__ import annotations

import re
from collections.abc import Callable

from app.domain.formats.base import BadLine
from app.domain.formats.format_strings.words import FormatTextError
from app.domain.formats.remembered import Remembered
from app.domain.formats.times import CLF_MINUTES, CLF_SECONDS, MONTHS, epoch_time
from app.domain.formats.values import shown

__all__ = ["clock_of", "date_pattern", "date_reader", "names_zone"]

_SPELLED = {"T": "%H:%M:%S", "R": "%H:%M", "F": "%Y-%m-%d", "D": "%m/%d/%y", "e": "%d", "k": "%H", "l": "%I", "h": "%b", "n": "\n", "t": "\t", "c": "%a %b %d %H:%M:%S %Y"}  # fmt: skip
_FIELDS = {
    "Y": r"(?P<Y>[0-9]{4})",
    "y": r"(?P<y>[0-9]{2})",
    "m": r"(?P<m>[0-9]{2})",
    "b": r"(?P<b>[A-Z][a-z]{2})",
    "B": r"(?P<B>[A-Z][a-z]{2,8})",
    "d": r"(?P<d>[ 0-9]?[0-9])",
    "H": r"(?P<H>[ 0-9]?[0-9])",
    "I": r"(?P<I>[ 0-9]?[0-9])",
    "p": r"(?P<p>[AP]M)",
    "M": r"(?P<M>[0-9]{2})",
    "S": r"(?P<S>[0-9]{2})",
    "z": r"(?P<z>[+-][0-9]{2}:?[0-9]{2}|Z)",
    "Z": r"[A-Za-z]{1,5}",
    "a": r"[A-Z][a-z]{2}",
    "A": r"[A-Z][a-z]{5,8}",
    "j": r"[0-9]{3}",
    "s": r"(?P<s>[0-9]{1,12})",
    "f": r"(?P<f>[0-9]{1,9})",
    "%": "%",
}
_LETTER = re.compile(r"%(?:[EO_-]?([A-Za-z%])|([1-9]?)f)")
_CLOCKS = {
    "%d/%b/%Y:%H:%M:%S %z": "clf",
    "%Y-%m-%dT%H:%M:%S%z": "iso",
    "%Y-%m-%d %H:%M:%S%z": "iso",
    "%Y-%m-%dT%H:%M:%S": "iso",
    "%Y-%m-%d %H:%M:%S": "iso",
    "%Y-%m-%dT%H:%M:%SZ": "iso",
    "%Y-%m-%dT%H:%M:%S.%fZ": "iso",
    "%s": "epoch",
    "%s.%f": "epoch",
}


def _spelled_out(date: str) -> str:
    date = re.sub(r"%[1-9]f", "%f", date)
    return re.sub(r"%([A-Za-z])", lambda found: _SPELLED.get(found[1], found[0]), date)


def clock_of(date: str) -> str:
    """The clock that reads such a date, or nothing where it takes a reader of its own.

    >>> clock_of("%d/%b/%Y:%T %z"), clock_of("%d.%m.%Y")
    ('clf', '')
    """
    return _CLOCKS.get(_spelled_out(date), "")


def names_zone(date: str) -> bool:
    """Whether such a date says which zone it is in."""
    return bool(re.search(r"%[zs]|Z\Z|%Z", _spelled_out(date)))


def _with_fields(date: str, fields: Callable[[str], str]) -> str:
    spelled = _spelled_out(date)
    pattern, at = "", 0
    for found in _LETTER.finditer(spelled):
        letter = found[1] or "f"
        if letter not in _FIELDS:
            raise FormatTextError(f"the date {date[:60]!r} has {found[0]!r}, which is not known")
        pattern += re.escape(spelled[at : found.start()]) + fields(letter)
        at = found.end()
    return pattern + re.escape(spelled[at:])


def date_pattern(date: str) -> str:
    """A pattern without groups for what such a date looks like. Raises FormatTextError for a letter that is not known."""
    return _with_fields(date, lambda letter: re.sub(r"\(\?P<\w>(.*)\)\Z", r"(?:\1)", _FIELDS[letter]))


def date_reader(dates: list[str]) -> Callable[[str], float]:
    """From the texts of these dates, joined by NUL, to UTC seconds; without a zone they are UTC.

    Raises FormatTextError where they give no whole time.

    >>> date_reader(["%d.%m.%Y", "%T"])("01.01.1970\\x0000:01:00")
    60.0
    """
    seen: set[str] = set()

    def once(letter: str) -> str:
        field = _FIELDS[letter]
        if letter in seen:
            return field.replace(f"?P<{letter}>", "?:")
        seen.add(letter)
        return field

    pattern = re.compile("\0".join(_with_fields(date, once) for date in dates))
    missing = [
        name
        for name, letters in (
            ("year", "Yy"),
            ("month", "mbB"),
            ("day", "d"),
            ("hour", "HI"),
            ("minute", "M"),
            ("second", "S"),
        )
        if not seen & set(letters)
    ]
    if missing and "s" not in seen:
        raise FormatTextError(f"the date {' '.join(dates)[:100]!r} names no {' and no '.join(missing)}")

    def read(text: str) -> float:
        found = pattern.fullmatch(text)
        if found is None:
            raise BadLine("bad_time", f"no date and time: {shown(text)}")
        return _seconds(found.groupdict(), text)

    return Remembered(read).__getitem__


def _seconds(parts: dict[str, str], text: str) -> float:
    fraction = float(f"0.{parts['f']}") if parts.get("f") else 0.0
    if parts.get("s"):
        return epoch_time(parts["s"]) + fraction
    month = parts.get("b") or (parts["B"][:3] if parts.get("B") else "")
    if not month:
        number = int(parts["m"])
        if not 1 <= number <= 12:
            raise BadLine("bad_time", f"no date and time: {shown(text)}")
        month = MONTHS[number - 1]
    year = parts.get("Y") or ("19" if parts["y"] >= "69" else "20") + parts["y"]
    zone = (parts.get("z") or "+0000").replace(":", "").replace("Z", "+0000")
    minute = f"{int(parts['d']):02}/{month}/{year}:{_hour(parts, text):02}:{parts['M']}"
    return CLF_MINUTES[minute] + CLF_SECONDS[f":{parts['S']} {zone}"] + fraction


def _hour(parts: dict[str, str], text: str) -> int:
    if parts.get("H"):
        return int(parts["H"])
    hour = int(parts["I"])
    if not 1 <= hour <= 12:
        raise BadLine("bad_time", f"no date and time: {shown(text)}")
    return hour % 12 + (12 if parts.get("p") == "PM" else 0)
