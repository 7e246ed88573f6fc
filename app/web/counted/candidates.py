"""`/candidates/` and `/users/`: who can be voted for, and who votes. Changes need the admin token."""

from __future__ import annotations

import msgspec
from aiohttp import web

from app.messages.forms import UNREADABLE
from app.messages.names import MAX_NAMES, BadNames, checked_names
from app.stores.ledger_contract import Named
from app.web.service.access import may
from app.web.service.answers import ApiError, json_answer
from app.web.service.body import HeldBody, read_body
from app.web.service.parts import PARTS

__all__ = ["answer_candidates", "answer_put_candidates", "answer_put_users", "answer_users"]


class _Posted(msgspec.Struct):
    id: int | str
    name: str


_decode = msgspec.json.Decoder(list[_Posted] | _Posted).decode


def _need_token(request: web.Request) -> None:
    if not request.app[PARTS].settings.admin_token:
        raise ApiError(403, "Nobody may do this over HTTP: set WEBLOGS_ADMIN_TOKEN, or use `python -m app candidates`.")
    if not may(request, "admin"):
        raise ApiError(401, "Send the admin token: Authorization: Bearer TOKEN.", {"WWW-Authenticate": "Bearer"})


async def answer_candidates(request: web.Request) -> web.Response:
    """All candidates by id."""
    names = await request.app[PARTS].names.candidates(-1)
    return json_answer({"candidates": [{"id": number, "name": name} for number, name in sorted(names.items())]})


async def answer_users(request: web.Request) -> web.Response:
    """All users by id, for the admin."""
    _need_token(request)
    names = await request.app[PARTS].names.users()
    return json_answer({"users": [{"id": user_id, "name": name} for user_id, name in sorted(names.items())]})


async def answer_put_candidates(request: web.Request) -> web.Response:
    """Add candidates, or give them other names: one {"id", "name"} or a list of them."""
    return await _put(request, "candidates")


async def answer_put_users(request: web.Request) -> web.Response:
    """The same for users."""
    return await _put(request, "users")


async def _put(request: web.Request, kind: Named) -> web.Response:
    _need_token(request)
    parts = request.app[PARTS]
    with HeldBody(parts.budget, parts.settings.web_max_body_bytes) as held:
        body = await read_body(request, held, parts.settings.web_max_body_bytes)
        try:
            posted = _decode(body)
        except UNREADABLE as error:
            raise ApiError(400, f'Send {{"id": …, "name": …}} or a list of them: {error}.') from None
        rows = posted if isinstance(posted, list) else [posted]
        if len(rows) > MAX_NAMES:
            raise ApiError(400, f"{len(rows)} are too many: send at most {MAX_NAMES} at once.")
        try:
            names = checked_names(kind, [(str(row.id), row.name) for row in rows])
        except BadNames as error:
            raise ApiError(400, str(error)) from None
    await parts.names.put(kind, names)
    return json_answer({"success": True, kind: len(names)})
