"""Numbers, times and hostile text as a person reads them. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

__all__ = [
    "VERDICTS",
    "age_text",
    "bytes_text",
    "count_text",
    "counted_text",
    "excerpt",
    "reason_text",
    "reject_text",
    "share_text",
    "time_text",
    "visible",
]

VERDICTS = {
    "complete": "no byte is known to be missing",
    "partial": "bytes are missing",
    "unknown": "the log does not say",
}

_REASONS = {
    "probe_only": "only a probe of the first bytes",
    "cut_off": "a transfer was cut off",
    "start_missing": "the start is missing",
    "gap": "bytes in the middle are missing",
    "end_missing": "the end is missing",
    "size_changed": "the log names different sizes for the file",
    "not_enough_bytes": "fewer bytes were sent than the file has",
    "no_offsets": "enough bytes were sent, but the log does not say which",
    "size_unknown": "only byte counts, and no size to compare them with",
    "fragmented": "too many pieces to keep them all: the counts are lower bounds",
}

_REJECTS = {
    "bad_columns": "the columns do not fit the format",
    "bad_range": "the byte range is no range",
    "bad_status": "the status is no integer from 100 to 599",
    "bad_time": "no date, or more than a day ahead",
    "too_long": "longer than the longest line taken",
}

_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # controls
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"  # direction marks and what has no width
    "\ud800-\udfff]"  # halves of surrogate pairs: no output encoding takes them
)

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def visible(text: str) -> str:
    r"""`text` with every character that hides or reorders others written out.

    >>> print(visible("a\x00b\u202ec"))
    a\x00b\u202ec
    """
    return _HIDDEN.sub(_escape, text)


def excerpt(text: str, length: int = 120) -> str:
    """At most `length` characters: the beginning and the end, for a list; the full text stands on its own page.

    >>> excerpt("abcdefghij", 7)
    'abcd…ij'
    """
    if len(text) <= length:
        return text
    tail = length // 3
    return f"{text[: length - tail - 1]}…{text[len(text) - tail :]}"


def bytes_text(size: int | None) -> str:
    """A size with its decimal unit (1 kB = 1000 B), cut and not rounded up; any size of integer.

    >>> bytes_text(1157), bytes_text(999), bytes_text(None), bytes_text(10**19), bytes_text(10**40)
    ('1.15 kB', '999 B', '–', '10.0 EB', '1e40 B')
    """
    if size is None:
        return "–"
    digits = str(size)
    power = (len(digits) - 1) // 3
    if power >= len(_UNITS):
        return f"{digits[0]}e{len(digits) - 1} B"
    if power == 0:
        return f"{size} B"
    hundredths = size * 100 // 1000**power
    whole, rest = divmod(hundredths, 100)
    decimals = {1: f".{rest:02d}", 2: f".{rest // 10}"}.get(len(str(whole)), "")
    return f"{whole:,}{decimals} {_UNITS[power]}"


def count_text(number: float | None) -> str:
    """Digits in groups of three.

    >>> count_text(1234567), count_text(None), count_text(1234.5)
    ('1,234,567', '–', '1,234')
    """
    return "–" if number is None else f"{int(number):,}"


def counted_text(number: int, noun: str) -> str:
    """A number and what it counts.

    >>> counted_text(1, "message"), counted_text(2000, "message")
    ('1 message', '2,000 messages')
    """
    return f"{count_text(number)} {noun}{'' if number == 1 else 's'}"


def share_text(part: int, whole: int) -> str:
    """Percent: 100 % and 0 % are said only of all and of none.

    >>> share_text(999_999, 1_000_000), share_text(1, 1), share_text(0, 5), share_text(1, 5000), share_text(3, 0)
    ('99.9 %', '100 %', '0 %', '0.1 %', '–')
    """
    if whole == 0:
        return "–"
    if part in (0, whole):
        return "100 %" if part else "0 %"
    permille = min(max(part * 1000 // whole, 1), 999)
    return f"{permille / 10:.1f} %"


def time_text(seconds: float | None) -> str:
    """UTC, to the second; a time that no calendar holds is given in seconds.

    >>> time_text(1596214967.0), time_text(None), time_text(1e30)
    ('2020-07-31 17:02:47', '–', '1e+30 s')
    """
    if seconds is None:
        return "–"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{seconds:g} s"


def age_text(seconds: float) -> str:
    """A span of time in one or two units.

    >>> age_text(5.4), age_text(125), age_text(7260), age_text(200_000)
    ('5 s', '2 min 5 s', '2 h 1 min', '2 d 7 h')
    """
    left = max(int(seconds), 0)
    if left < 60:
        return f"{left} s"
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if left >= size:
            return f"{left // size} {unit} {left % size // smaller} {name}"
    raise AssertionError(left)


def reason_text(verdict: str, reason: str | None, size_known: bool | None = None) -> str:
    """Why a delivery has its verdict; `size_known` None: of several deliveries.

    >>> reason_text("complete", None, True), reason_text("partial", "gap")
    ('the whole file was delivered', 'bytes in the middle are missing')
    """
    if verdict == "complete" and size_known is not None:
        return (
            "the whole file was delivered" if size_known else "from the first byte without a gap; the size is unknown"
        )
    if reason is None:
        return VERDICTS.get(verdict, verdict)
    return _REASONS.get(reason, reason)


def reject_text(reason: str) -> str:
    """Why a line is no hit; a reason of a store is its own text."""
    return _REJECTS.get(reason, "refused by a store")
