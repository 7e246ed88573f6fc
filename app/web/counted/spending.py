"""`/spending/…` and `/spender`: transactions in; what a user spent, payment by payment, by buckets of time, and in sum; the top spenders."""

from __future__ import annotations

import asyncio
import json
import time
from urllib.parse import quote

from aiohttp import web

from app.domain.counted import added
from app.domain.times import iso
from app.flows.spending import SPEND_RESOLUTIONS, SPENDING, bucket_bounds, pieces
from app.stores.ledger_contract import Ledgers
from app.web.counted.event_fields import read_transactions_body, transaction_of
from app.web.counted.event_views import spend_chart
from app.web.counted.posting import append, checked
from app.web.counted.vote_results import fresh_headers, is_forced, time_range
from app.web.service.answers import ApiError, check_parameters, json_answer
from app.web.service.body import HeldBody, read_body
from app.web.service.parts import PARTS, STORE_TIMEOUT_S
from app.web.service.rendering import html_answer

__all__ = [
    "DEFAULT_TOP",
    "MAX_BUCKETS",
    "MAX_LISTED",
    "MAX_TOP",
    "answer_buckets",
    "answer_spend",
    "answer_spender",
    "answer_sum",
    "answer_top",
    "answer_transactions",
    "asked_number",
    "asked_of_user",
    "spent_between",
]

MAX_LISTED = 10_000
DEFAULT_LISTED = 1000
MAX_BUCKETS = 50_000
"""About 35 days of minutes."""
DEFAULT_TOP, MAX_TOP = 10, 1000
_CHARTS = (
    ("The last hour, by minute", "minute", 3600),
    ("The last day, by hour", "hour", 86400),
    ("The last 60 days, by day", "day", 60 * 86400),
)


async def answer_spend(request: web.Request) -> web.Response:
    """One transaction or a list of them: all are taken, or none; 200 once they are durable."""
    parts = request.app[PARTS]
    with HeldBody(parts.budget, parts.settings.web_max_body_bytes) as held:
        body = await read_body(request, held, parts.settings.web_max_body_bytes)
        posted = read_transactions_body(body)
        now = time.time()
        found = checked(SPENDING, posted, lambda one: transaction_of(one, now), as_list=len(posted) > 1)
    ids = [transaction.transaction_id for transaction in found]
    await append(parts, SPENDING, found, transaction_ids=ids)
    return json_answer({"success": True, "transactions": len(found), "transaction_ids": ids})


def asked_of_user(request: web.Request, known: set[str]) -> tuple[str, float, float]:
    """User, from (inclusive), to (exclusive)."""
    check_parameters(request, known)
    return request.match_info["user_id"], *time_range(request.query, time.time())


def asked_number(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise ApiError(400, f"{name} is an integer from 1 to {most}, not {text[:40]!r}.")
    return int(text)


async def answer_transactions(request: web.Request) -> web.Response:
    """A user's payments in the order of their time."""
    parts = request.app[PARTS]
    user_id, begin, end = asked_of_user(request, {"from", "to", "limit"})
    limit = asked_number(request, "limit", DEFAULT_LISTED, MAX_LISTED)
    await parts.results.settle(SPENDING)
    async with asyncio.timeout(STORE_TIMEOUT_S):
        found = await parts.store.ledgers.events(SPENDING, user_id, begin, end, limit + 1)
    rows = [
        {"transaction_id": each.transaction_id, "time": iso(each.time), "cents": each.cents} for each in found[:limit]
    ]
    return json_answer(
        {"user_id": user_id, "from": iso(begin), "to": iso(end), "transactions": rows, "more": len(found) > limit}
    )


async def answer_buckets(request: web.Request) -> web.Response:
    """What a user spent by minute, hour or day: the buckets that have a second in the range, each whole."""
    parts = request.app[PARTS]
    user_id, begin, end = asked_of_user(request, {"from", "to", "resolution"})
    resolution = request.query.get("resolution", "hour")
    if resolution not in SPEND_RESOLUTIONS:
        raise ApiError(400, f"There is no resolution {resolution[:40]!r}; there are {', '.join(SPEND_RESOLUTIONS)}.")
    length_s = SPEND_RESOLUTIONS[resolution]
    if "from" not in request.query and "to" in request.query:
        async with asyncio.timeout(STORE_TIMEOUT_S):
            days = await parts.store.ledgers.sums(SPENDING, user_id, "day", *bucket_bounds(begin, end, "day"))
        begin = max(begin, min((start for _, start in added(days)), default=end))
    if (end - begin) / length_s > MAX_BUCKETS:
        raise ApiError(
            400,
            f"{(end - begin) / length_s:.0f} buckets are too many; at most {MAX_BUCKETS}: ask for less, or a coarser resolution.",
        )
    await parts.results.settle(SPENDING)
    async with asyncio.timeout(STORE_TIMEOUT_S):
        sums = await parts.store.ledgers.sums(SPENDING, user_id, resolution, *bucket_bounds(begin, end, resolution))
    rows = [
        {"start": iso(start), "end": iso(start + length_s), "cents": cents, "transactions": events}
        for (_, start), (events, cents, _) in sorted(added(sums).items())
        if events
    ]
    return json_answer(
        {"user_id": user_id, "resolution": resolution, "from": iso(begin), "to": iso(end), "buckets": rows}
    )


async def answer_sum(request: web.Request) -> web.Response:
    """What a user spent from a moment (inclusive) to another (exclusive), to the cent; without them, in all."""
    parts = request.app[PARTS]
    user_id, begin, end = asked_of_user(request, {"from", "to"})
    await parts.results.settle(SPENDING)
    if "from" not in request.query and "to" not in request.query:
        async with asyncio.timeout(STORE_TIMEOUT_S):
            total = added(await parts.store.ledgers.sums(SPENDING, user_id, "total", 0, 1))
        events, cents, _ = total.get((user_id, 0), (0, 0, 0))
        return json_answer({"user_id": user_id, "from": None, "to": None, "cents": cents, "transactions": events})
    async with asyncio.timeout(STORE_TIMEOUT_S):
        cents, events = await spent_between(parts.store.ledgers, user_id, begin, end)
    return json_answer({"user_id": user_id, "from": iso(begin), "to": iso(end), "cents": cents, "transactions": events})


async def spent_between(ledgers: Ledgers, user_id: str, begin: float, end: float) -> tuple[int, int]:
    """(cents, transactions), from as few rows as there are."""

    async def of(resolution: str | None, first: float, last: float) -> tuple[int, int]:
        if resolution is None:
            return await ledgers.spent(SPENDING, user_id, first, last)
        sums = await ledgers.sums(SPENDING, user_id, resolution, first, last)
        return sum(each.amount for each in sums), sum(each.events for each in sums)

    found = await asyncio.gather(*(of(*piece) for piece in pieces(begin, end)))
    return sum(cents for cents, _ in found), sum(events for _, events in found)


async def answer_top(request: web.Request) -> web.Response:
    """Who spent most in all."""
    parts = request.app[PARTS]
    check_parameters(request, ("limit",))
    limit = asked_number(request, "limit", DEFAULT_TOP, MAX_TOP)
    entry = await parts.results.top(limit, is_forced(request))
    rows = [{"user_id": user_id, "cents": cents, "transactions": events} for user_id, cents, events in entry.value]
    headers = fresh_headers(entry, parts.results.max_age_s, json.dumps(rows).encode())
    return json_answer({"top": rows, "last_update_time": iso(entry.made)}, headers=headers)


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
            spend_chart(
                {start: counts[1] for (_, start), counts in added(sums).items()},
                SPEND_RESOLUTIONS[name],
                now - span_s,
                now + 1,
            ),
        )
        for (title, name, span_s), sums in zip(_CHARTS, found, strict=True)
    ]
    link = f"/spending/{quote(user, safe='')}"
    return html_answer("spender.html", user=user, cents=cents, transactions=events, charts=charts, link=link)
