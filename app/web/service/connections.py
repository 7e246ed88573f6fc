"""The connections of the HTTP server: how many, how long a client may take, how many bytes wait for it; and what is logged of them.

A client that says nothing, or says it slowly, holds a connection only while nobody else needs it: when all are taken, the one that waited
longest for its client is closed for the new one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.http import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD

from app.process.descriptors import free_descriptors
from app.web.service.answers import bare_refusal
from app.words import visible

__all__ = ["HEAD_TIMEOUT_S", "MAX_UNREAD_BYTES", "BoundedConnection", "Connections"]

log = logging.getLogger(__name__)

HEAD_TIMEOUT_S = 10.0
"""From the start of a connection, or from the first byte of a later head, to the end of the head."""
UNREAD_TIMEOUT_S = 60.0
"""A client that reads nothing of its answer for this long is given up."""
MAX_HEAD_BYTES = 16 << 20
"""Of all heads that are not whole, together."""
MAX_UNREAD_BYTES = 64 << 20
"""Of all answers that their clients have not read, together."""
SWEEP_INTERVAL_S = 1.0
TELL_INTERVAL_S = 60.0
MAX_MALFORMED_LINES = 100
"""Malformed requests that are logged one by one, in each TELL_INTERVAL_S; the others are counted."""


class Connections:
    """All of one server, on one event loop."""

    def __init__(self, limit: int) -> None:
        """`limit`: connections at a time; at most a third of the descriptors that are free now, so that stores and reports find theirs."""
        self.limit = max(1, min(limit, free_descriptors() // 3))
        self._open: dict[BoundedConnection, None] = {}
        """Oldest first, as the dict below."""
        self._new: dict[BoundedConnection, None] = {}
        """Those that have not sent a whole head yet."""
        self.head_bytes = 0
        self._closed: Counter[str] = Counter()
        self._malformed = 0
        self._tell_at = 0.0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: BoundedConnection) -> None:
        """One more; another one is closed for it if there are too many."""
        self._open[connection] = self._new[connection] = None
        if len(self._open) > self.limit:
            self._make_room(f"there were more than {self.limit} (WEBLOGS_WEB_CONNECTIONS)", connection)

    def remove(self, connection: BoundedConnection) -> None:
        self._open.pop(connection, None)
        self._new.pop(connection, None)

    async def settle(self) -> None:
        """Returns when every connection waits for its client."""
        while not all(each.waits_for_client for each in self._open):  # noqa: ASYNC110 - aiohttp has no event for it
            await asyncio.sleep(0.02)

    def has_asked(self, connection: BoundedConnection) -> None:
        """A whole head came."""
        self._new.pop(connection, None)

    def _make_room(self, why: str, newest: BoundedConnection) -> None:
        for of in (self._new, self._open):
            for each in of:
                if each is not newest and each.waits_for_client:
                    self.close(each, why)
                    return
        self.close(newest, why)

    def close(self, connection: BoundedConnection, why: str) -> None:
        self._closed[why] += 1
        self.remove(connection)
        connection.abort()

    def took_head_bytes(self, connection: BoundedConnection) -> None:
        while self.head_bytes > MAX_HEAD_BYTES:
            largest = max(self._open, key=lambda each: each.head_bytes, default=connection)
            self.close(largest, "heads took too much memory")

    def malformed(self, client: str, why: str) -> None:
        """Logs a request that is none, in one line."""
        self._malformed += 1
        if self._malformed <= MAX_MALFORMED_LINES:
            log.info("web: malformed request from %s: %s", client, visible(why.partition("\n")[0])[:200])

    async def watch(self) -> None:
        """Closes what takes too long, and tells of it once a minute; until it is cancelled."""
        loop = asyncio.get_running_loop()
        self._tell_at = loop.time() + TELL_INTERVAL_S
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            self._sweep(loop.time())
            if loop.time() >= self._tell_at:
                self._tell_at += TELL_INTERVAL_S
                self.tell()

    def _sweep(self, now: float) -> None:
        for each in [each for each in self._open if each.head_is_late(now)]:
            self.close(each, f"no whole head came within {HEAD_TIMEOUT_S:g} s")
        unread = {each: each.unread_bytes(now) for each in self._open}
        for each in [each for each in unread if now - each.read_at > UNREAD_TIMEOUT_S]:
            del unread[each]
            self.close(each, f"the answer was not read for {UNREAD_TIMEOUT_S:g} s")
        total = sum(unread.values())
        for each in sorted(unread, key=lambda each: -unread[each]):
            if total <= MAX_UNREAD_BYTES:
                break
            total -= unread[each]
            self.close(each, "unread answers took too much memory")

    def tell(self) -> None:
        """One line if connections were closed, or malformed requests came that have no line."""
        if self._closed:
            reasons = "; ".join(f"{number:,}: {why}" for why, number in self._closed.most_common())
            log.warning("web: %s connections were refused or closed: %s", f"{self._closed.total():,}", reasons)
        if self._malformed > MAX_MALFORMED_LINES:
            log.info("web: %s more malformed requests", f"{self._malformed - MAX_MALFORMED_LINES:,}")
        self._closed.clear()
        self._malformed = 0


class BoundedConnection(web.RequestHandler):
    """One connection, counted and bounded."""

    __slots__ = ("_all", "_body", "_client", "_unread", "head_bytes", "head_since", "read_at")

    def __init__(self, connections: Connections, server: web.Server, **options: Any) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, **options)
        self._all = connections
        self._body: StreamReader = EMPTY_PAYLOAD
        """Of the last request; what was refused before its body came still gets one."""
        self._client = "?"
        self._unread = 0
        self.head_bytes = 0
        """Of a head that is not whole."""
        self.head_since: float | None = loop.time()
        """None: no head is awaited, or none has begun on a connection that is kept open."""
        self.read_at = loop.time()
        """When its client last read something of an answer, or had nothing to read."""

    @property
    def waits_for_client(self) -> bool:
        """Whether the server has nothing to do for it until the client sends more."""
        request = self._current_request
        if request is not None:
            return not request.content.is_eof()
        return not self._request_in_progress and not self._messages

    def head_is_late(self, now: float) -> bool:
        return self.head_since is not None and now - self.head_since > HEAD_TIMEOUT_S and self.waits_for_client

    def unread_bytes(self, now: float) -> int:
        """Bytes that wait to be sent; to be asked regularly, because it also notes that some were."""
        size = self.transport.get_write_buffer_size() if self.transport is not None else 0
        if size < self._unread or not size:
            self.read_at = now
        self._unread = size
        return size

    def abort(self) -> None:
        """Close at once: what it still holds is thrown away."""
        transport = self.transport
        self.force_close()
        if transport is not None:
            transport.abort()
        self._count_head(-self.head_bytes)

    def _count_head(self, size_bytes: int) -> None:
        self.head_bytes += size_bytes
        self._all.head_bytes += size_bytes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if isinstance(peer, tuple) else "?"
        super().connection_made(transport)
        self._all.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._count_head(-self.head_bytes)
        self._all.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        awaits_head = (
            self._current_request is None
            and not self._request_in_progress
            and not self._messages
            and self._body.is_eof()
        )
        super().data_received(data)
        if self._messages:
            self._body = self._messages[-1][1]
        if not awaits_head or self.transport is None:
            return
        if self._messages:
            self._count_head(-self.head_bytes)
            self.head_since = None
            self._all.has_asked(self)
        else:
            if self.head_since is None:
                self.head_since = self._loop.time()
            self._count_head(len(data))
            self._all.took_head_bytes(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A request that is none is told in a line, not in a traceback."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        why = message or exc.message
        self._all.malformed(self._client, why)
        answer = bare_refusal(status, f"This is no HTTP request: {visible(why.partition(chr(10))[0])[:200]}")
        answer.force_close()
        return answer
