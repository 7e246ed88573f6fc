"""`/usage/USER` and `/caller`: what a user called, from the records of monitored calls, by time."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import quote

from aiohttp import web

from app.domain.times import iso
from app.domain.usage.records import RESPONSE, UsageRecord, producer_of
from app.flows.usage import MONITORED
from app.web.counted.spending import asked_number, asked_of_user
from app.web.service.answers import ApiError, json_answer
from app.web.service.parts import PARTS, STORE_TIMEOUT_S
from app.web.service.rendering import html_answer

__all__ = ["DEFAULT_LISTED", "MAX_LISTED", "answer_caller", "answer_calls"]

DEFAULT_LISTED, MAX_LISTED = 1000, 10_000
_SHOWN = 200
_SHOWN_DAYS = 7


async def _found(request: web.Request, user_id: str, begin: float, end: float, limit: int) -> list[UsageRecord]:
    async with asyncio.timeout(STORE_TIMEOUT_S):
        return await request.app[PARTS].store.ledgers.events(MONITORED, user_id, begin, end, limit)


async def answer_calls(request: web.Request) -> web.Response:
    """A user's records in the order of their time."""
    user_id, begin, end = asked_of_user(request, {"from", "to", "limit"})
    limit = asked_number(request, "limit", DEFAULT_LISTED, MAX_LISTED)
    found = await _found(request, user_id, begin, end, limit + 1)
    rows = [record._asdict() for record in found[:limit]]
    return json_answer(
        {"user_id": user_id, "from": iso(begin), "to": iso(end), "calls": rows, "more": len(found) > limit}
    )


async def answer_caller(request: web.Request) -> web.Response:
    """The last calls of one user, asked by `user`."""
    user = request.query.get("user", "")
    if not user:
        raise ApiError(400, "Calls are asked by user.")
    now = time.time()
    begin = now - _SHOWN_DAYS * 86400
    found = await _found(request, user, begin, now + 1, MAX_LISTED)
    asked = {(producer_of(each), each.seq): each for each in found if each.kind != RESPONSE}
    calls = [
        (each, asked.get((producer_of(each), each.request_seq)) if each.request_seq is not None else None)
        for each in reversed(found)
        if each.kind == RESPONSE
    ]
    return html_answer(
        "caller.html",
        user=user,
        days=_SHOWN_DAYS,
        records=len(found),
        cut=len(found) == MAX_LISTED,
        calls=calls[:_SHOWN],
        link=f"/usage/{quote(user, safe='')}",
    )
