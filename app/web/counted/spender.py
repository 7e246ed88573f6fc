"""`/spender`: the page of what one user spent over time."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import quote

from aiohttp import web

from app.domain.counted import added
from app.flows.spending import SPEND_RESOLUTIONS, SPENDING, bucket_bounds
from app.web.counted.event_views import spend_columns
from app.web.service.answers import ApiError
from app.web.service.parts import PARTS, STORE_TIMEOUT_S
from app.web.service.rendering import html_answer

__all__ = ["answer_spender"]

_CHARTS = (
    ("The last hour, by minute", "minute", 3600),
    ("The last day, by hour", "hour", 86400),
    ("The last 60 days, by day", "day", 60 * 86400),
)


async def answer_spender(request: web.Request) -> web.Response:
    """Minutes, hours and days of one user, asked by `user`."""
    user = request.query.get("user", "")
    if not user:
        raise ApiError(400, "A spender is asked by user.")
    parts = request.app[PARTS]
    now, ledgers = time.time(), parts.store.ledgers
    async with asyncio.timeout(STORE_TIMEOUT_S):
        total, *found = await asyncio.gather(
            ledgers.sums(SPENDING, user, "total", 0, 1),
            *(
                ledgers.sums(SPENDING, user, name, *bucket_bounds(now - span_s, now + 1, name))
                for _, name, span_s in _CHARTS
            ),
        )
    events, cents, _ = added(total).get((user, 0), (0, 0, 0))
    if not events:
        raise ApiError(404, "Nothing is known of this user.")
    charts = [
        (
            title,
            spend_columns({start: counts[1] for (_, start), counts in added(sums).items()}, SPEND_RESOLUTIONS[name]),
        )
        for (title, name, _), sums in zip(_CHARTS, found, strict=True)
    ]
    link = f"/spending/{quote(user, safe='')}"
    return html_answer("spender.html", user=user, cents=cents, transactions=events, charts=charts, link=link)
