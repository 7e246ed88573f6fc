"""`/deliveries/`: what is known of a key, or what is newest, as JSON."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from app.domain.records import Delivery, key_hash, key_text
from app.domain.requests import as_keys, key_request, query_rule
from app.domain.totals import Totals
from app.errors import UnreadableRecord
from app.flows.deliveries import REDUCED, TOKENS
from app.flows.registry import group_of
from app.stores.contract import Key
from app.stores.readable import passing_over
from app.web.service.answers import ApiError, check_parameters, json_answer
from app.web.service.parts import PARTS, STORE_TIMEOUT_S, WebParts
from app.words import VERDICTS, unread_notes, verdict_sentence

__all__ = [
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "answer_deliveries",
    "answer_key_hash",
    "answer_statistics",
    "keys_of_text",
    "totals_now",
]

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

_FIELDS = ("ip_address", "user_agent", "request")
_KNOWN = {*_FIELDS, "key", "key_hash", "verdict", "limit", "lo", "hi"}
_HASH = re.compile("[0-9a-f]{32}")
_INTEGER = re.compile("[0-9]{1,1000}")


async def keys_of_text(parts: WebParts, text: str) -> list[Key]:
    """The keys that are written exactly `text`, or as it is without a signature: none, one, or several that join alike."""
    for asked in as_keys(text, query_rule(parts.settings.query)):
        found = [key for key in await parts.store.reads.keys_by_hash(key_hash(asked)) if key_text(*key) == asked]
        if found:
            return found
    return []


async def answer_deliveries(request: web.Request) -> web.Response:
    """Deliveries of one key, newest window first, or the newest of all."""
    parts = request.app[PARTS]
    query = _parameters(request)
    limit = _limit(query)
    verdict = _verdict(query)
    part = _part(query)
    async with asyncio.timeout(STORE_TIMEOUT_S):
        key = await _asked_key(parts, query)
        with passing_over() as unreadable:
            if key is None:
                found = await parts.store.reads.newest_deliveries(limit, verdict)
            else:
                known = _known([key], await parts.store.reads.deliveries_of(*key), unreadable)
                found = [delivery for delivery in known if verdict in (None, delivery.verdict)][:limit]
    return _answer(found, part, unreadable)


async def answer_key_hash(request: web.Request) -> web.Response:
    """Deliveries of the key, or keys, whose joined text has this hash."""
    parts = request.app[PARTS]
    query = _parameters(request)
    query["key_hash"] = request.match_info["key_hash"]
    limit = _limit(query)
    verdict = _verdict(query)
    part = _part(query)
    async with asyncio.timeout(STORE_TIMEOUT_S):
        keys = await parts.store.reads.keys_by_hash(_hash(query))
        with passing_over() as unreadable:
            found = [delivery for key in keys for delivery in await parts.store.reads.deliveries_of(*key)]
        known = _known(keys, found, unreadable)
    return _answer([delivery for delivery in known if verdict in (None, delivery.verdict)][:limit], part, unreadable)


async def answer_statistics(request: web.Request) -> web.Response:
    """What the store holds, in the numbers of `reduce` and `check`."""
    parts = request.app[PARTS]
    async with asyncio.timeout(STORE_TIMEOUT_S):
        totals = await totals_now(parts)
    return json_answer({"success": True, **totals.as_json, "not_read": unread_notes(parts.status.snapshot().unread)})


async def totals_now(parts: WebParts) -> Totals:
    """What the store counts. Settled if all hits have come to their deliveries before, and none has moved meanwhile."""
    groups = parts.settings.flow_id, group_of(parts.settings.flow_id, parts.store.name)
    before = await parts.status.standing()
    totals = await parts.store.reads.counts()
    after = await parts.status.standing()
    settled = (
        before is not None
        and after is not None
        and before.committed == after.committed
        and not any(
            lag
            for each in (before, after)
            for (group, topic, _), lag in each.lag.items()
            if group in groups and topic in (TOKENS, REDUCED)
        )
    )
    return totals._replace(settled=settled)


async def _asked_key(parts: WebParts, query: dict[str, str]) -> Key | None:
    given = [name for name in _FIELDS if name in query]
    ways = [bool(given), "key" in query, "key_hash" in query]
    if sum(ways) > 1:
        raise ApiError(400, "Ask by ip_address, user_agent and request, or by key, or by key_hash: by one of them.")
    if given:
        if len(given) < len(_FIELDS):
            raise ApiError(
                400,
                "A key is ip_address, user_agent and request, all three: "
                + ", ".join(sorted(set(_FIELDS) - set(given)))
                + " missing.",
            )
        request = key_request(query["request"], query_rule(parts.settings.query))
        return query["ip_address"], query["user_agent"], request
    if "key" in query:
        keys = await keys_of_text(parts, query["key"])
    elif "key_hash" in query:
        keys = await parts.store.reads.keys_by_hash(_hash(query))
    else:
        return None
    _known(keys, keys)
    if len(keys) > 1:
        listed = [dict(zip(_FIELDS, key, strict=True)) for key in keys]
        raise ApiError(
            409, f"{len(keys)} keys are written like this; ask by ip_address, user_agent and request.", keys=listed
        )
    return keys[0]


def _known(keys: Sequence[Key], found: Sequence[Any], unreadable: Sequence[UnreadableRecord] = ()) -> Sequence[Any]:
    if not found and unreadable:
        raise unreadable[0]
    if not keys or not found:
        raise ApiError(404, "Nothing is known of this key.")
    return found


def _answer(
    found: Sequence[Delivery], part: tuple[int, int] | None, unreadable: Sequence[UnreadableRecord]
) -> web.Response:
    told = {"unreadable": [str(each) for each in unreadable]} if unreadable else {}
    return json_answer({"success": True, "deliveries": [_fields(delivery, part) for delivery in found], **told})


def _fields(delivery: Delivery, part: tuple[int, int] | None) -> dict[str, Any]:
    fields = delivery._asdict()
    fields["key_hash"] = key_hash(key_text(delivery.ip_address, delivery.user_agent, delivery.request))
    fields["sentence"] = verdict_sentence(delivery)
    if part is not None:
        lo, hi = part
        fields["contains"] = any(first <= lo and hi <= last for first, last in delivery.ranges)
    return fields


def _parameters(request: web.Request) -> dict[str, str]:
    query = dict(request.query)
    check_parameters(request, _KNOWN)
    return query


def _limit(query: dict[str, str]) -> int:
    text = query.get("limit", str(DEFAULT_LIMIT))
    if not _INTEGER.fullmatch(text) or not 1 <= int(text) <= MAX_LIMIT:
        raise ApiError(400, f"limit={text[:40]!r}: give an integer from 1 to {MAX_LIMIT}.")
    return int(text)


def _verdict(query: dict[str, str]) -> str | None:
    verdict = query.get("verdict")
    if verdict is not None and verdict not in VERDICTS:
        raise ApiError(400, f"verdict={verdict[:40]!r}: give {', '.join(VERDICTS)}.")
    return verdict


def _hash(query: dict[str, str]) -> str:
    text = query["key_hash"].lower()
    if not _HASH.fullmatch(text):
        raise ApiError(400, f"key_hash={text[:40]!r}: give the 32 hex digits of a key.")
    return text


def _part(query: dict[str, str]) -> tuple[int, int] | None:
    texts = [query.get("lo"), query.get("hi")]
    if texts == [None, None]:
        return None
    numbers = [int(text) for text in texts if text is not None and _INTEGER.fullmatch(text)]
    if len(numbers) < 2 or numbers[0] > numbers[1]:
        raise ApiError(400, "A part is lo and hi, two integers from 0, lo not above hi.")
    return numbers[0], numbers[1]
