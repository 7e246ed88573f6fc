"""`POST /weblogs/`: newline-separated lines in, an answer once they are durable."""

from __future__ import annotations

from aiohttp import web

from app.errors import LogError, LogFull
from app.sources.files.decompress import MAGIC_BYTES, compression_of
from app.web.service.answers import ApiError, json_answer
from app.web.service.body import HeldBody, read_body
from app.web.service.parts import PARTS
from app.words import unread_notes

__all__ = ["MAX_KEY_CHARS", "answer_weblogs"]

MAX_KEY_CHARS = 256


def _idempotency_key(request: web.Request) -> str | None:
    keys = request.headers.getall("Idempotency-Key", [])
    if not keys:
        return None
    if len(keys) > 1 or not 0 < len(keys[0]) <= MAX_KEY_CHARS:
        raise ApiError(400, f"Idempotency-Key must be given once, with 1 to {MAX_KEY_CHARS} characters.")
    return keys[0]


async def answer_weblogs(request: web.Request) -> web.Response:
    """200 with the number of lines and bytes, and what of the first lines is not read, once they are durable; see read_body for what
    else may be answered."""
    parts = request.app[PARTS]
    key = _idempotency_key(request)
    with HeldBody(parts.budget, parts.settings.web_max_body_bytes) as held:
        lines = await read_body(request, held, parts.settings.web_max_body_bytes)
        if not lines:
            raise ApiError(400, "The body is empty; send log lines separated by newlines.")
        if packed := compression_of(lines[:MAGIC_BYTES]):  # its lines would be rejects, and the sender none the wiser
            raise ApiError(
                415,
                f"The lines are still packed with {packed}; send them plain, or with gzip and Content-Encoding: gzip.",
                {"Accept-Encoding": "gzip"},
            )
        try:
            await parts.intake.append(lines, key)
        except LogFull as error:
            raise ApiError(503, str(error), {"Retry-After": "10"}) from None
        except LogError as error:
            raise ApiError(503, str(error), {"Retry-After": "30"}) from None
        told = {"lines": lines.count(b"\n") + (not lines.endswith(b"\n")), "bytes": len(lines)}
        return json_answer({"success": True, **told, "not_read": unread_notes(parts.first_lines.unread(lines))})
