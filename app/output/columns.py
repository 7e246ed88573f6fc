"""The columns of a table of deliveries, the same for every kind of file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from app.domain import byteranges
from app.domain.fields import DELIVERY, Kind
from app.domain.records import Delivery, key_hash, key_text

__all__ = ["BOOLEANS", "COLUMNS", "NUMBERS", "TIMES", "iso_time", "values"]

_LAST = ("first", "last", "window_start", "flags")
"""Behind what people look for first."""
_LISTED = (
    *(field for field in DELIVERY.fields if field.listed and field.name not in _LAST),
    *(DELIVERY[name] for name in _LAST),
)
COLUMNS = (*(field.column for field in _LISTED), "key_hash")
NUMBERS = tuple(field.column for field in _LISTED if field.kind in (Kind.INTEGER, Kind.SMALL, Kind.VERSION))
TIMES = tuple(field.column for field in _LISTED if field.kind is Kind.TIME)
BOOLEANS = tuple(field.column for field in _LISTED if field.kind is Kind.BOOLEAN)
_TEXTS: dict[Kind, Callable[[Any], str]] = {
    Kind.RANGES: byteranges.to_text,
    Kind.WORDS: ",".join,
    Kind.SHORT_IDS: ",".join,
}
"""What kinds are written as texts, and how."""
_listed = DELIVERY.picker(_LISTED)
_TRANSFORMED: list[tuple[int, Callable[[Any], str]]] = [
    (at, _TEXTS[field.kind]) for at, field in enumerate(_LISTED) if field.kind in _TEXTS
]


def iso_time(time: float) -> str:
    """UTC seconds as ISO 8601, to the microsecond where there are parts of a second; beyond the years 1-9999 the number itself.

    >>> iso_time(1596213967.0), iso_time(0.25), iso_time(1e18)
    ('2020-07-31T16:46:07Z', '1970-01-01T00:00:00.250000Z', '1e+18')
    """
    try:
        whole = int(time)
        if whole == time:
            minute, second = divmod(whole, 60)
            return f"{_iso_minute(minute)}:{second:02}Z"
        return datetime.fromtimestamp(time, UTC).replace(tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError, OSError):
        return repr(time)


@lru_cache(maxsize=1 << 12)
def _iso_minute(minute: int) -> str:
    return datetime.fromtimestamp(60 * minute, UTC).isoformat()[:-9]


def values(delivery: Delivery) -> list[Any]:
    """One value a column: texts, integers, booleans or None; times as floats."""
    row: list[Any] = [
        *_listed(delivery),
        key_hash(key_text(delivery.ip_address, delivery.user_agent, delivery.request)),
    ]
    for at, written in _TRANSFORMED:
        row[at] = written(row[at]) if row[at] else ""
    return row
