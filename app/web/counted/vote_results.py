"""`/result/` and `/voting_distribution`: the votes as they are counted, from the cache."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from email.utils import formatdate
from hashlib import blake2b
from typing import Any

from aiohttp import web

from app.domain.times import iso, parse_time
from app.web.counted.cached import CachedResult
from app.web.counted.distribution import as_csv, as_distribution, as_result
from app.web.counted.event_fields import BEGINNING
from app.web.counted.results import MAX_WINDOWS
from app.web.service.answers import ApiError, check_parameters
from app.web.service.parts import PARTS, WebParts

__all__ = ["answer_distribution", "answer_result", "fresh_headers", "is_forced", "time_range"]

_TYPES = {"json": "application/json", "csv": "text/csv", "svg": "image/svg+xml", "png": "image/png"}
_KNOWN = {"from", "to", "format"}
_drawing = asyncio.Semaphore(1)
"""One picture at a time: each takes a whole core."""


def is_forced(request: web.Request) -> bool:
    """Whether the client wants no cached answer."""
    return "no-cache" in request.headers.get("Cache-Control", "").lower()


def fresh_headers(entry: CachedResult, max_age_s: float, tag: bytes) -> dict[str, str]:
    """How old an answer is and until when it may be kept."""
    age_s = max(0.0, time.time() - entry.made)
    left_s = max(0, int(max_age_s - age_s))
    return {
        "ETag": f'"{blake2b(tag, digest_size=12).hexdigest()}"',
        "Cache-Control": f"max-age={left_s}",
        "Age": str(int(age_s)),
        "Last-Modified": formatdate(entry.made, usegmt=True),
        "Expires": formatdate(entry.made + max_age_s, usegmt=True),
    }


def _answer(request: web.Request, body: bytes, headers: dict[str, str], content_type: str) -> web.Response:
    if headers["ETag"] in {
        tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")
    }:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers=headers, content_type=content_type)


async def answer_result(request: web.Request) -> web.Response:
    """[[{"candidate_id", "num_vote"}…], [{"total_vote_10_min"}]]"""
    results = request.app[PARTS].results
    entry = await results.votes(is_forced(request))
    body = entry.body("result", as_result)
    return _answer(request, body, fresh_headers(entry, results.max_age_s, body), "application/json")


async def answer_distribution(request: web.Request) -> web.Response:
    """Totals, the last ten minutes, and windows by candidate, as JSON, CSV, SVG or PNG."""
    parts = request.app[PARTS]
    form = _form(request)
    asked = _range(request, parts)
    forced = is_forced(request)
    entry = await (parts.results.votes(forced) if asked is None else parts.results.votes_between(*asked, forced))
    names = await parts.names.candidates()
    known = json.dumps(sorted(names.items()))
    if form in ("svg", "png"):
        body = await _picture(entry, names, form, known)
    elif form == "csv":
        body = entry.body("csv", as_csv)
    else:
        body = entry.body(f"json{known}", lambda value: json.dumps(as_distribution(value, names)).encode())
    headers = fresh_headers(entry, parts.results.max_age_s, body)
    if form == "svg":
        headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'"  # it says its colours in itself
        )
    if form == "json":
        age_s = max(0.0, time.time() - entry.made)
        times = {
            "last_update_time": iso(entry.made),
            "age_s": round(age_s, 3),
            "expires": iso(entry.made + parts.results.max_age_s),
        }
        body = body[:-1] + b", " + json.dumps(times).encode()[1:]
    return _answer(request, body, headers, _TYPES[form])


async def _picture(entry: CachedResult, names: Mapping[int, str], form: str, known: str) -> bytes:
    from app.web.counted.plot import draw

    key = f"{form}{known}"
    async with _drawing:
        if key not in entry.rendered:
            entry.rendered[key] = await asyncio.to_thread(draw, entry.value, names, form)  # type: ignore[arg-type]
    return entry.rendered[key]


def _form(request: web.Request) -> str:
    check_parameters(request, _KNOWN)
    ending = request.path.rpartition(".")[2]
    form = request.query.get("format", ending if ending in _TYPES else None)
    if form is None:
        accept = request.headers.get("Accept", "")
        form = next((name for name, kind in _TYPES.items() if kind in accept), "json")
    if form not in _TYPES:
        raise ApiError(400, f"There is no format {form[:40]!r}; there are {', '.join(_TYPES)}.")
    return form


def _range(request: web.Request, parts: WebParts) -> tuple[float, float] | None:
    if "from" not in request.query and "to" not in request.query:
        return None
    now = time.time()
    begin, end = time_range(request.query, now)
    window_s = parts.settings.vote_window
    if "from" not in request.query:
        begin = max(begin, end - (MAX_WINDOWS - 1) * window_s)
    begin = begin // window_s * window_s
    if (end - begin) / window_s > MAX_WINDOWS:
        raise ApiError(
            400,
            f"from and to are {(end - begin) / 86400:.0f} days apart; at most {MAX_WINDOWS * window_s / 86400:.0f} can be shown.",
        )
    return begin, end


def time_range(query: Mapping[str, Any], now: float) -> tuple[float, float]:
    """`from` (inclusive) and `to` (exclusive) of a query; without both the last day, with `to` alone all before it. Raises ApiError 400."""
    found = []
    for name, default in (("from", str(BEGINNING) if "to" in query else "-1d"), ("to", "now")):
        try:
            found.append(parse_time(query.get(name, default), now))
        except ValueError as error:
            raise ApiError(400, f"{name}: {error}.") from None
    begin, end = found
    if begin > end:
        raise ApiError(400, f"from ({iso(begin)}) is after to ({iso(end)}).")
    return begin, end
