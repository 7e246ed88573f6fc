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

CLIENT, SERVICE = "client", "service"


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
        app, calls, call = self._app, self._calls, _Exchange()
        call.receive, call.send, call.method = receive, send, scope.get("method", "")
        call.status = call.finished_by = None
        uri, content_type = b"", ""
        address: str | None = None
        trace: str | None = None
        try:
            uri = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogatepass")
            if query := scope.get("query_string"):
                uri += b"?" + query
            if client := scope.get("client"):
                address = client[0]
            for name, value in scope.get("headers") or ():
                if name == b"traceparent":
                    trace = value.decode("latin-1")
                elif name == b"content-type":
                    content_type = value.decode("latin-1")
        except Exception as error:  # a server that is not as the specification has it: the application may do without
            calls.tell("A call is recorded without what its scope says", error)
        call.begin(calls, scope, call.method, uri, address, trace, content_type)
        try:
            await app(scope, call.receives, call.sends)
        except BaseException as error:
            if call.finished_by == CLIENT:
                call.end("client_gone", call.status, type(error).__name__)
            else:
                call.failed(error, call.status)
            raise
        if not call.has_ended:
            call.end("client_gone" if call.finished_by == CLIENT else "done", call.status)

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


class _Exchange(Call):
    """A call with the two functions between server and application: an object costs less than closures over as many variables."""

    __slots__ = ("finished_by", "method", "receive", "send", "status")
    finished_by: str | None
    """Who was first: the service with the whole answer, or the client, that left."""
    method: str
    receive: Receive
    send: Send
    status: int | None

    async def receives(self) -> Message:
        receive = self.receive
        message = await receive()
        if message["type"] == "http.request":
            if chunk := message.get("body"):
                self.received(chunk)
        elif message["type"] == "http.disconnect" and self.finished_by is None:
            self.finished_by = CLIENT
        return message

    async def sends(self, message: Message) -> None:
        send = self.send
        try:
            await send(message)
        except OSError:  # so the ASGI specification tells since 2.4 that the client left
            self.finished_by = self.finished_by or CLIENT
            raise
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message["status"]
        elif kind == "http.response.body":
            if self.method != "HEAD":
                self.response_bytes += len(message.get("body") or b"")
            if self.finished_by is None and not message.get("more_body"):
                self.finished_by = SERVICE
                status = self.status
                if status is not None and status < 500:
                    self.end("done", status)  # an exception may follow an answer of 500
