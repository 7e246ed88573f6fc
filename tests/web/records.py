"""Hits and deliveries for the web tests: made by the domain itself, from a few pieces of a file."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.records import Delivery, Hit, raw_ids
from app.domain.watermarks import Advance
from app.domain.windows import Rules
from tests.domain.reducing import OneByOne

SOURCE = "0123456789abcdef0123456789abcdef"
NOON = 1_596_196_800.0  # 2020-07-31 12:00:00 UTC


def pieces(
    ranges: Sequence[tuple[int, int]],
    total: int | None = None,
    key: tuple[str, str, str] = ("192.0.2.7", "Player/1.0", "GET /film.mp4"),
    start: int = 0,
    status: int = 206,
) -> list[Hit]:
    """One hit for each range, a second apart; `start` is the position of the first in the source."""
    raw_id = raw_ids(SOURCE)
    return [
        Hit(
            NOON + start + n,
            *key,
            "GET",
            status,
            lo,
            hi,
            hi - lo + 1,
            total,
            0,
            {},
            raw_id(start + n),
            SOURCE,
            start + n,
        )
        for n, (lo, hi) in enumerate(ranges)
    ]


def deliveries(hits: Sequence[Hit]) -> list[Delivery]:
    """What the domain makes of them in the default windows."""
    reduction = OneByOne(Rules())
    if hits:
        last = max(hit.time for hit in hits)
        reduction.add(hits, [int(hit.raw_id[:16], 16) for hit in hits], 1, Advance(last, last))
    return list(reduction.finish())
