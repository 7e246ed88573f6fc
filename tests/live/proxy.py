"""A TCP proxy of a test's own between a worker and one server: slow, narrow, resetting, a black hole, or somebody else that answers."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, NamedTuple

__all__ = ["CLEAR", "Fault", "Proxy"]

CHUNK_BYTES = 16 << 10


class Fault(NamedTuple):
    """What the network does. The default is a network without a fault."""

    delay_s: float = 0.0
    """In each direction."""
    reset_share: float = 0.0
    """Of the pieces that are passed on (16 KiB at most), each ends its connection by RST instead."""
    bytes_per_s: float = 0.0
    """In each direction, of all connections together; 0: without a limit."""
    hole: bool = False
    """Nothing passes. Connections stay, and what was sent arrives when the hole is gone, as by TCP's repeats."""
    answer: bytes = b""
    """What every request gets instead of the server's answer; then its connection ends."""


CLEAR = Fault()


class _Direction:
    """The pace of one direction of the link, which its connections share."""

    def __init__(self) -> None:
        self._free_at = 0.0

    async def take(self, size_bytes: int, bytes_per_s: float) -> None:
        """Wait until so many bytes have passed."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(now, self._free_at) + size_bytes / bytes_per_s
        await asyncio.sleep(self._free_at - now)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End it by RST, not by FIN."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Proxy:
    """Listens on `port` of 127.0.0.1 (0: a free one) and leads to `target`, from start to end of the context."""

    def __init__(self, target: int, port: int = 0) -> None:
        self._target, self.port = target, port
        self.fault = CLEAR
        self.connections = 0
        """That were made so far."""
        self.pieces = self.resets = 0
        self._random = random.Random(target)
        self._out, self._back = _Direction(), _Direction()
        self._healed = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def set(self, fault: Fault) -> None:
        """From now on, for connections that are there, too."""

        async def change() -> None:
            self.fault = fault
            (self._healed.clear if fault.hole else self._healed.set)()

        self._run(change())

    # -- in the loop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until both its directions have ended."""
        self.connections += 1
        try:
            await self._healed.wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except BaseException as error:
            _reset(writer)
            if not isinstance(error, OSError):
                raise
            return
        both = (writer, far_writer)
        try:
            await asyncio.gather(
                self._pass(reader, far_writer, self._out, both), self._pass(far_reader, writer, self._back, both)
            )
        finally:
            for each in both:
                _reset(each)

    async def _pass(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        direction: _Direction,
        both: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
    ) -> None:
        """One direction of one connection, until one of its ends closes it: then both do."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)
        delivering = asyncio.ensure_future(self._deliver(waiting, sink, direction, both))
        clock = self._loop.time
        try:
            while data := await source.read(CHUNK_BYTES):
                await waiting.put((clock() + self.fault.delay_s, data))
        except OSError:
            pass
        with contextlib.suppress(OSError):
            await waiting.put((clock() + self.fault.delay_s, b""))
            await delivering

    async def _deliver(
        self,
        waiting: asyncio.Queue[tuple[float, bytes]],
        sink: asyncio.StreamWriter,
        direction: _Direction,
        both: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
    ) -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(due - self._loop.time())
            await self._healed.wait()
            if not data:
                sink.close()
                return
            self.pieces += 1
            if self.fault.answer and direction is self._out:
                data, sink = self.fault.answer, both[0]
            if self.fault.bytes_per_s:
                await direction.take(len(data), self.fault.bytes_per_s)
            if self._random.random() < self.fault.reset_share:
                self.resets += 1
                for writer in both:
                    _reset(writer)
            try:
                sink.write(data)
                await sink.drain()
                if sink is both[0] and direction is self._out:
                    sink.close()
                    raise ConnectionAbortedError
            except OSError as error:
                for writer in both[isinstance(error, ConnectionAbortedError) :]:
                    _reset(writer)
                while data:  # what is still read of this direction goes nowhere
                    _, data = await waiting.get()
                return

    # -- context

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._healed.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for task in (others := asyncio.all_tasks() - {asyncio.current_task()}):
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.05)  # aborted transports close in the loop

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
