"""Records the calls of an ASGI application: FastAPI, Starlette, Django, Quart and others.

    log = UsageLog(UsageOptions(service="shop", spool=Path("var/usage"), broker="kafka://localhost:9092"))
    app = UsageASGI(app, log)

Plain ASGI, so that nothing is held back: streaming bodies stream. Websockets pass by. At the end of the lifespan the log is stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from app.usage.calls import Call, Calls
from app.usage.log import UsageLog

__all__ = ["UsageASGI"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class UsageASGI:
    """An application around another one.

    `user_of`: who calls, from the scope; asked when the call begins, and again when it ends, if it said nothing before. It must be
    fast. Without it every user is anonymous.
    """

    def __init__(self, app: Application, log: UsageLog, user_of: Callable[[Scope], str | None] | None = None) -> None:
        self._app, self._log, self._calls = app, log, Calls(log, user_of)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await (self._lifespan if scope["type"] == "lifespan" else self._app)(scope, receive, send)
            return
        call = self._begun(scope)
        status: int | None = None
        is_whole = is_gone = False

        async def received() -> Message:
            nonlocal is_gone
            message = await receive()
            if message["type"] == "http.request":
                if chunk := message.get("body"):
                    call.received(chunk)
            elif message["type"] == "http.disconnect" and not is_whole:
                is_gone = True
            return message

        async def sent(message: Message) -> None:
            nonlocal status, is_whole
            await send(message)
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                if scope["method"] != "HEAD":
                    call.response_bytes += len(message.get("body", b""))
                is_whole = not message.get("more_body", False)
                if is_whole and not is_gone and status is not None and status < 500:
                    call.end("done", status)  # an exception may follow an answer of 500

        try:
            await self._app(scope, received, sent)
        except BaseException as error:
            if is_gone:
                call.end("client_gone", status, type(error).__name__)
            else:
                call.failed(error, status)
            raise
        if not call.has_ended:
            call.end("client_gone" if is_gone else "done", status)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        was_asked = False

        async def received() -> Message:
            nonlocal was_asked
            was_asked = True
            return await receive()

        try:
            await self._app(scope, received, self._stopping(send))
        except Exception:
            if was_asked:
                raise
            for _ in range(2):  # an application without a lifespan, as Django's: the start and the end are ours alone
                asked = (await receive())["type"]
                await self._stopping(send)({"type": f"{asked}.complete"})

    def _stopping(self, send: Send) -> Send:
        """A server may end its process by a signal after the lifespan, so this is the last chance to stop in order."""

        async def passed(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                await asyncio.to_thread(self._log.stop)
            await send(message)

        return passed

    def _begun(self, scope: Scope) -> Call:
        trace, content_type = None, ""
        for name, value in scope["headers"]:
            if name == b"traceparent":
                trace = value.decode("latin-1")
        if self._calls.keeps_bodies:
            content_type = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1")
        uri = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
        if query := scope.get("query_string"):
            uri += b"?" + query
        client = scope.get("client")
        return Call().begin(
            self._calls,
            scope,
            scope["method"],
            uri.decode("latin-1"),
            client[0] if client else None,
            trace,
            content_type,
        )
