"""The columns of a table of deliveries, the same for every kind of file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from app.domain.records import Delivery, key_hash, key_text

__all__ = ["COLUMNS", "NUMBERS", "TIMES", "iso_time", "one_line", "ranges_text", "values", "writable"]

COLUMNS = (
    "ip_address",
    "user_agent",
    "request",
    "byte_ranges",
    "missing",
    "covered_bytes",
    "total_bytes",
    "size_known",
    "verdict",
    "evidence",
    "reason",
    "hits",
    "bytes_sent",
    "first",
    "last",
    "window_start",
    "flags",
    "key_hash",
)
NUMBERS = ("covered_bytes", "total_bytes", "hits", "bytes_sent")
TIMES = ("first", "last", "window_start")


def ranges_text(ranges: Sequence[Sequence[int]]) -> str:
    """Ranges as people write them.

    >>> ranges_text([[0, 499], [1000, 1200]])
    '0-499, 1000-1200'
    """
    return ", ".join([f"{lo}-{hi}" for lo, hi in ranges])


def iso_time(time: float) -> str:
    """UTC seconds as ISO 8601, to the microsecond where there are parts of a second; beyond the years 1-9999 the number itself.

    >>> iso_time(1596213967.0), iso_time(0.25), iso_time(1e18)
    ('2020-07-31T16:46:07Z', '1970-01-01T00:00:00.250000Z', '1e+18')
    """
    try:
        return datetime.fromtimestamp(time, UTC).replace(tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError, OSError):
        return repr(time)


def values(delivery: Delivery) -> list[Any]:
    """One value a column: texts, integers, booleans or None; times as floats."""
    return [
        delivery.ip_address,
        delivery.user_agent,
        delivery.request,
        ranges_text(delivery.ranges),
        ranges_text(delivery.missing),
        delivery.covered_bytes,
        delivery.total_bytes,
        delivery.size_known,
        delivery.verdict,
        delivery.evidence,
        delivery.reason,
        delivery.hits,
        delivery.bytes_sent,
        delivery.first,
        delivery.last,
        delivery.window_start,
        ",".join(delivery.flags),
        key_hash(key_text(delivery.ip_address, delivery.user_agent, delivery.request)),
    ]


def writable(text: str) -> str:
    r"""The text with lone surrogates escaped (JSON logs can hold them), so that UTF-8 can.

    >>> writable("Büro \ud800")
    'Büro \\ud800'
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(text: str) -> str:
    r"""For a terminal: control characters, those that turn the direction of writing, and whatever else shows nothing are escaped.

    >>> one_line("a\tb\x1b[2J")
    'a\\x09b\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join([character if character.isprintable() else _escape(character) for character in text])


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
