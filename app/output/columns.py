"""The columns of a table of deliveries, the same for every kind of file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from app.domain import byteranges
from app.domain.records import Delivery, key_hash, key_text

__all__ = ["COLUMNS", "NUMBERS", "TIMES", "iso_time", "values"]

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
        byteranges.to_text(delivery.ranges),
        byteranges.to_text(delivery.missing),
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
