"""The pages for people: `/` with the figures and the search, `/delivery` with all that is known of one key."""

from __future__ import annotations

import asyncio
import heapq
import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from aiohttp import web
from yarl import URL

from app.domain.records import Delivery, key_hash, key_text
from app.domain.requests import key_request, query_rule
from app.domain.totals import Totals
from app.errors import StoreError, UnreadableRecord
from app.stores.contract import SEARCHED_KEYS, FoundKeys, Key
from app.stores.readable import pass_over, passing_over
from app.web.counted.event_views import VotesView, votes_view
from app.web.deliveries.api import keys_of_text, totals_now
from app.web.deliveries.views import DeliveryView, delivery_link, delivery_view, hit_views, reason_rows, stack_parts
from app.web.service.access import open_warning
from app.web.service.answers import ApiError, store_trouble
from app.web.service.health import lag_by_group, progress_problems
from app.web.service.parts import PARTS, STORE_TIMEOUT_S, WebParts
from app.web.service.rendering import html_answer
from app.words import VERDICTS, hints, unread_notes

__all__ = ["MAX_FOUND_KEYS", "MAX_HITS", "MAX_SOURCES", "NEWEST", "answer_dashboard", "answer_delivery"]

NEWEST = 25
MAX_FOUND_KEYS = 50
MAX_HITS = 200
MAX_SOURCES = 20
TOP_SPENDERS = 10

_HASH = re.compile("[0-9a-fA-F]{32}")


class _FoundKey(NamedTuple):
    ip_address: str
    user_agent: str
    request: str
    link: str
    verdict: str = ""
    """Of the newest window; empty if it is not asked for, or if nothing is known yet."""


class _Stored(NamedTuple):
    counts: Totals
    newest: list[DeliveryView]
    until: float | None
    """Time of the latest hit of all deliveries, UTC seconds; None if there are none."""
    found: list[_FoundKey]
    searched: int
    """How many keys were looked at, if that is not all."""
    older: str
    """The link to the search among those that were not."""
    votes: VotesView | None
    top: list[tuple[str, int, int]]


def _found(keys: Sequence[Key], full: bool = False) -> list[_FoundKey]:
    return [_FoundKey(*key, delivery_link(*key, full=full)) for key in keys]


async def _search(parts: WebParts, text: str, older: str) -> FoundKeys:
    """Keys that are written `text`, with or without the spaces around it, or have it as their hash, before those that contain it. `older`: where a search goes on."""
    if older:
        return await _search_parts(parts, text.strip(), older)
    exact = await keys_of_text(parts, text)
    text = text.strip()
    exact = exact or await keys_of_text(parts, text)
    if not exact and _HASH.fullmatch(text):
        exact = await parts.store.reads.keys_by_hash(text.lower())
    if len(exact) == 1:
        raise web.HTTPSeeOther(
            URL(delivery_link(*exact[0]), encoded=True)
        )  # as it is: yarl would rewrite some of the key
    return FoundKeys(exact) if exact else await _search_parts(parts, text, older)


async def _search_parts(parts: WebParts, text: str, older: str) -> FoundKeys:
    try:
        return await parts.store.reads.keys_by_text_part(text, MAX_FOUND_KEYS, older, SEARCHED_KEYS)
    except ValueError:
        raise ApiError(400, f"older={older[:40]!r} is no place where a search goes on.") from None


def _older_link(text: str, rest: str) -> str:
    return "/?" + urlencode({"q": text, "older": rest}, quote_via=quote, errors="surrogatepass") if rest else ""


async def _stored(parts: WebParts, text: str, verdict: str | None, older: str) -> _Stored:
    async with asyncio.timeout(STORE_TIMEOUT_S):
        search = await _search(parts, text, older) if text else FoundKeys([])
        keys = search.keys
        counts = await totals_now(parts)
        newest = await parts.store.reads.newest_deliveries(NEWEST, verdict)
        latest = newest if verdict is None else await parts.store.reads.newest_deliveries(1)
        votes, top = await _counted(parts)
        known = [await parts.store.reads.deliveries_of(*key) for key in keys]
    found = [each._replace(verdict=of[0].verdict if of else "") for each, of in zip(_found(keys), known, strict=True)]
    shown = [delivery_view(delivery) for delivery in newest]
    until = latest[0].last if latest else None
    return _Stored(counts, shown, until, found, search.searched, _older_link(text, search.rest), votes, top)


async def _counted(parts: WebParts) -> tuple[VotesView | None, list[tuple[str, int, int]]]:
    """Votes, and who spent most. A sum that cannot be read takes its panel away: what is left would be another result."""
    votes, top = None, []
    try:
        entry = await parts.results.votes()
        votes = votes_view(entry.value, await parts.names.candidates(), entry.made)
        top = (await parts.results.top(TOP_SPENDERS)).value
    except UnreadableRecord as error:
        pass_over(error)
    return votes, top


async def answer_dashboard(request: web.Request) -> web.Response:
    """Always 200: a store that does not answer and a worker that stands still are told in words."""
    parts = request.app[PARTS]
    text = request.query.get("q", "")
    text = text if text.strip() else ""
    verdict = request.query.get("verdict") or None
    if verdict is not None and verdict not in VERDICTS:
        raise ApiError(400, f"There is no verdict {verdict[:40]!r}; there are {', '.join(VERDICTS)}.")
    older = request.query.get("older", "")
    snapshot = parts.status.snapshot()
    problems = progress_problems(snapshot, parts.settings.stall_after)
    stored = None
    try:
        with passing_over() as unreadable:
            stored = await _stored(parts, text, verdict, older)
        problems += dict.fromkeys(map(str, unreadable))
    except (StoreError, TimeoutError) as error:
        problems.append(f"The store {parts.store.name} is unreachable: {store_trouble(error)}")
    return html_answer(
        "dashboard.html",
        snapshot=snapshot,
        lag=lag_by_group(snapshot),
        problems=problems,
        warning=open_warning(parts.settings),
        may_log_out=bool(parts.settings.web_token),
        counts_requests=parts.settings.count_requests,
        stored=stored,
        stack=stack_parts(stored.counts.deliveries) if stored else [],
        hints=hints(stored.counts.reasons) if stored else [],
        reasons=reason_rows(stored.counts) if stored else [],
        rejects=stored.counts.rejects if stored and stored.counts.rejects else snapshot.rejects,
        unread=unread_notes(snapshot.unread),
        rejects_since_start=bool(stored and not stored.counts.rejects and snapshot.rejects),
        sources=heapq.nlargest(MAX_SOURCES, snapshot.watermarks.items(), key=lambda item: item[1]),
        host=request.host,
        text=text,
        verdict=verdict,
        verdicts=VERDICTS,
        max_found=MAX_FOUND_KEYS,
        goes_on=bool(older),
    )


async def answer_delivery(request: web.Request) -> web.Response:
    """All windows and raw hits of one key, asked by `ip`, `ua` and `request`, or by `key_hash`."""
    parts = request.app[PARTS]
    async with asyncio.timeout(STORE_TIMEOUT_S):
        keys = await _asked_keys(parts, request)
        if len(keys) > 1:
            return html_answer(
                "several.html", 409, title="Several keys are written like this", found=_found(keys, full=True)
            )
        with passing_over() as unreadable:
            deliveries = await parts.store.reads.deliveries_of(*keys[0]) if keys else []
            hits, hit_count = await parts.store.reads.hits_of(*keys[0], limit=MAX_HITS) if keys else ([], 0)
    if not deliveries and not hits and not unreadable:
        raise ApiError(404, "Nothing is known of this key.")
    return html_answer(
        "delivery.html",
        **_delivery_values(keys[0], deliveries),
        hits=hit_views(hits),
        hit_count=hit_count,
        problems=[str(each) for each in unreadable],
    )


def _delivery_values(key: Key, deliveries: Sequence[Delivery]) -> dict[str, Any]:
    return {
        "ip_address": key[0],
        "user_agent": key[1],
        "request": key[2],
        "key_hash": key_hash(key_text(*key)),
        "windows": [delivery_view(delivery) for delivery in deliveries],
    }


async def _asked_keys(parts: WebParts, request: web.Request) -> Sequence[Key]:
    query = request.query
    if "key_hash" in query:
        if not _HASH.fullmatch(query["key_hash"]):
            raise ApiError(400, "key_hash is 32 hex digits.")
        return await parts.store.reads.keys_by_hash(query["key_hash"].lower())
    if lacking := [name for name in ("ip", "ua", "request") if name not in query]:
        raise ApiError(400, f"A delivery is asked by ip, ua and request; {', '.join(lacking)} missing.")
    return [(query["ip"], query["ua"], key_request(query["request"], query_rule(parts.settings.query)))]
