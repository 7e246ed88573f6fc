"""Hits and tallies for the tests beside this file."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.deliveries import describe
from app.domain.records import Delivery, HitFlag, Parsed
from app.domain.tallies import Tally, part_of

KEY = ("203.0.113.9", "curl/8", "GET /a")
ABORTED, HEADERS_COUNTED = HitFlag.ABORTED, HitFlag.HEADERS_COUNTED


def hit(
    lo: int | None = None,
    hi: int | None = None,
    *,
    sent: int | None = None,
    total: int | None = None,
    flags: int = 0,
    time: float = 0.0,
    status: int = 206,
    method: str | None = "GET",
) -> Parsed:
    """One hit of the one key."""
    return Parsed(time, *KEY, method, status, lo, hi, sent, total, flags)


def tally_of(hits: Sequence[Parsed]) -> Tally:
    """What hits of one window come to; each is another line."""
    tally = Tally(min((one.time for one in hits), default=0.0))
    for number, one in enumerate(hits):
        part = part_of(one, number)
        if part is not None:
            tally.add(part)
    return tally


def delivery_of(*hits: Parsed, size: int | None = None) -> Delivery:
    """The delivery that hits of one window make."""
    return describe(KEY, tally_of(hits), size)
