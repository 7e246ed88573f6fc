"""Records the calls of an aiohttp server.

app = web.Application(middlewares=[usage_middleware(log)])
app.on_cleanup.append(stop_with(log))
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from app.usage.calls import Calls
from app.usage.log import UsageLog

__all__ = ["stop_with", "usage_middleware"]

Handler = Callable[[Any], Awaitable[Any]]


def usage_middleware(
    log: UsageLog, user_of: Callable[[Any], str | None] | None = None
) -> Callable[[Any, Handler], Any]:
    """A middleware. The response record is made when the handler has returned: the server sends a body that is not a stream after that."""
    calls = Calls(log)

    def user(request: Any) -> str | None:
        try:
            return user_of(request) if user_of is not None else None
        except Exception:  # what the service says of its users must not break its answers
            return None

    async def middleware(request: Any, handler: Handler) -> Any:
        call = calls.begin(
            request.method,
            request.raw_path,
            user=user(request),
            address=request.remote,
            traceparent=request.headers.get("traceparent"),
            content_type=request.headers.get("Content-Type", ""),
        )
        try:
            response = await handler(request)
        except BaseException as error:
            call.request_bytes = request.content.total_bytes
            status = getattr(error, "status", None)  # aiohttp raises answers, too: HTTPNotFound
            if isinstance(status, int) and hasattr(error, "prepare"):
                call.response_bytes = _size(request, error)
                call.end("done", status, user=user(request))
            elif request.transport is None or request.transport.is_closing():
                call.end("client_gone", None, type(error).__name__, user(request))
            else:
                call.failed(error)
            raise
        call.request_bytes = request.content.total_bytes
        call.response_bytes = _size(request, response)
        call.end("done", response.status, user=user(request))
        return response

    middleware.__middleware_version__ = 1  # type: ignore[attr-defined]  # what aiohttp's own decorator sets
    return middleware


def _size(request: Any, response: Any) -> int:
    """Bytes of the body that were sent, or will be."""
    if request.method == "HEAD":
        return 0
    body = getattr(response, "body", None)
    if isinstance(body, bytes | bytearray):
        return len(body)
    size = getattr(body, "size", None) or getattr(response, "body_length", 0)
    return size if isinstance(size, int) else 0


def stop_with(log: UsageLog) -> Callable[[Any], Awaitable[None]]:
    """For `on_cleanup`: the log is stopped with the server."""

    async def stop(_: Any) -> None:
        await asyncio.to_thread(log.stop)

    return stop
