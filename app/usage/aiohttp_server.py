"""Records the calls of an aiohttp server.

record_calls(app, log)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from app.usage.calls import Call, Calls
from app.usage.log import UsageLog

__all__ = ["record_calls"]

Handler = Callable[[Any], Awaitable[Any]]
_call: ContextVar[Call | None] = ContextVar("call", default=None)
"""Of the task that serves the request."""


def record_calls(app: Any, log: UsageLog, user_of: Callable[[Any], str | None] | None = None) -> None:
    """Put a middleware before all others of an `aiohttp.web.Application`; at its cleanup the log is stopped.

    The response record is made when the handler has returned: the server sends a body that is not a stream after that. That of a file
    is made when it was sent.
    """

    async def stop(_: Any) -> None:
        await asyncio.to_thread(log.stop)

    app.middlewares.insert(0, _middleware(Calls(log, user_of)))
    app.on_response_prepare.append(_counts)
    app.on_cleanup.append(stop)


def _middleware(calls: Calls) -> Callable[[Any, Handler], Any]:
    async def middleware(request: Any, handler: Handler) -> Any:
        call = Call().begin(
            calls,
            request,
            request.method,
            request.raw_path,
            request.remote,
            request.headers.get("traceparent"),
            request.headers.get("Content-Type", ""),
        )
        outer = _call.set(call)
        try:
            response = await handler(request)
        except BaseException as error:
            call.request_bytes = request.content.total_bytes
            status = getattr(error, "status", None)
            if isinstance(status, int) and hasattr(error, "prepare"):  # aiohttp raises answers, too: HTTPNotFound
                _add_body(call, request, error)
                call.end("done", status)
            elif request.transport is None or request.transport.is_closing():
                call.end("client_gone", None, type(error).__name__)
            else:
                call.failed(error)
            raise
        finally:
            _call.reset(outer)
        call.request_bytes = request.content.total_bytes
        if not hasattr(response, "prepare"):  # aiohttp itself answers 500
            call.failed(TypeError())
        elif hasattr(response, "body") or response.prepared:
            _add_body(call, request, response)
            call.end("done", response.status)
        else:
            _ends_when_sent(call, request, response)
        return response

    middleware.__middleware_version__ = 1  # type: ignore[attr-defined]  # what aiohttp's own decorator sets
    return middleware


def _add_body(call: Call, request: Any, response: Any) -> None:
    """Count a body that is not a stream; its size is known before it is sent."""
    body = getattr(response, "body", None)
    size = len(body) if isinstance(body, bytes | bytearray) else getattr(body, "size", None)
    if isinstance(size, int) and request.method != "HEAD":
        call.response_bytes += size


def _ends_when_sent(call: Call, request: Any, response: Any) -> None:
    """A file: whether it is there, its status and its size are known when it is sent."""
    prepare = response.prepare

    async def sent(to: Any) -> Any:
        try:
            writer = await prepare(to)
        except BaseException as error:
            call.failed(error, response.status)
            raise
        if request.method != "HEAD":
            call.response_bytes += response.content_length or 0
        call.end("done", response.status)
        return writer

    response.prepare = sent


async def _counts(request: Any, response: Any) -> None:
    """Count a stream while it is written."""
    call = _call.get()
    if call is None or hasattr(response, "body") or request.method == "HEAD":
        return
    write, write_eof = response.write, response.write_eof

    async def written(data: Any) -> None:
        await write(data)
        call.response_bytes += memoryview(data).nbytes

    async def ended(data: Any = b"") -> None:
        await write_eof(data)
        call.response_bytes += memoryview(data).nbytes

    response.write, response.write_eof = written, ended
