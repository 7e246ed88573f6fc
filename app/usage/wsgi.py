"""Records the calls of a WSGI application: Flask, Django and others.

    app.wsgi_app = UsageWSGI(app.wsgi_app, log)

The response record is made in `close()`, when the server has sent the body or given up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote

from app.usage.calls import Call, Calls
from app.usage.log import UsageLog

__all__ = ["UsageWSGI"]

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
_SAFE = "/:@!$&'()*+,;=~"
_is_plain = re.compile(rf"[A-Za-z0-9_.{_SAFE}-]*").fullmatch
"""`quote` changes nothing in it, but takes longer to find that out than a record takes."""


class UsageWSGI:
    """An application around another one.

    `user_of`: who calls, from the environ. Without it REMOTE_USER, if the server sets it.
    """

    def __init__(self, app: Application, log: UsageLog, user_of: Callable[[Environ], str | None] | None = None) -> None:
        self._app = app
        self._calls = Calls(log, user_of or (lambda environ: environ.get("REMOTE_USER")))

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            if not _is_plain(path):
                path = quote(path.encode("latin-1", "backslashreplace"), safe=_SAFE)
            query = environ.get("QUERY_STRING", "")
            uri = path + "?" + query if query else path
        except Exception as error:  # a server that is not as PEP 3333 has it: the application may do without
            self._calls.tell("A call is recorded without its URI", error)
            uri = ""
        call = Call().begin(
            self._calls,
            environ,
            environ.get("REQUEST_METHOD", ""),
            uri,
            environ.get("REMOTE_ADDR"),
            environ.get("HTTP_TRACEPARENT"),
            environ.get("CONTENT_TYPE", ""),
        )
        if "wsgi.input" in environ:
            environ["wsgi.input"] = _Input(environ["wsgi.input"], call)
        answer = _Answer(call, environ.get("REQUEST_METHOD") == "HEAD")

        def started(status: str, heads: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            write = start_response(status, heads, *error)
            answer.status = int(status[:3]) if _is_status(status) else None

            def written(chunk: bytes) -> object:
                answer.count(chunk)
                return write(chunk)

            return written

        try:
            answer.body = self._app(environ, started)
        except BaseException as error:
            call.failed(error, answer.status)
            raise
        return answer


def _is_status(status: Any) -> bool:
    """What else an application says is for its server to judge."""
    return isinstance(status, str) and status[:3].isascii() and status[:3].isdecimal()


class _Input:
    """The body of the request, counted while it is read."""

    def __init__(self, body: Any, call: Call) -> None:
        self._body, self._call = body, call

    def _counted(self, chunk: bytes) -> bytes:
        self._call.received(chunk)
        return chunk

    def read(self, *size: int) -> bytes:
        return self._counted(self._body.read(*size))

    def readline(self, *size: int) -> bytes:
        return self._counted(self._body.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        return [self._counted(line) for line in self._body.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        return map(self._counted, self._body)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._body, name)
        if name == "read1":
            return lambda *size: self._counted(found(*size))
        if name in ("readinto", "readinto1"):
            return lambda buffer: self._counted_into(found, buffer)
        return found

    def _counted_into(self, read: Callable[[Any], int | None], buffer: Any) -> int | None:
        size = read(buffer)
        self._call.received(bytes(memoryview(buffer)[: size or 0]))
        return size


class _Answer:
    """The body of the response, counted while it is sent."""

    def __init__(self, call: Call, is_head: bool) -> None:
        self._call, self._is_head = call, is_head
        self._chunks: Iterator[bytes] | None = None
        self._is_whole = False
        self.body: Iterable[bytes] = ()
        self.status: int | None = None

    def count(self, chunk: bytes) -> None:
        if not self._is_head:
            self._call.response_bytes += len(chunk)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._chunks is None:
                self._chunks = iter(self.body)
            chunk = next(self._chunks)
        except StopIteration:
            self._is_whole = True
            raise
        except BaseException as error:
            self._call.failed(error, self.status)
            raise
        self.count(chunk)
        return chunk

    def close(self) -> None:
        """The server calls it in any case: PEP 3333. It need not have read the body of an answer to HEAD."""
        is_whole = self._is_whole or self._is_head
        try:
            close = getattr(self.body, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            self._call.failed(error, self.status)
            raise
        self._call.end("done" if is_whole else "client_gone", self.status)
