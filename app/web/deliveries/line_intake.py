"""From the body of a POST to the topic `weblogs`: durable before the answer, many requests in one write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, Protocol

from app.errors import LogError
from app.flows.deliveries import LINES
from app.settings import Settings
from app.transports.messages import Message
from app.web.deliveries.posted import posted_values, source_of_key

if TYPE_CHECKING:
    from app.transports.producers import Producer

__all__ = ["Intake", "LogIntake"]



class Intake(Protocol):
    """Where posted lines go."""

    async def append(self, lines: bytes, key: str | None) -> None:
        """Returns once the lines are durable; raises LogFull or LogError. Lines sent again under a `key` count once."""
        ...


class _Waiting(NamedTuple):
    lines: bytes
    key: str | None
    done: asyncio.Future[None]


class LogIntake:
    """An Intake upon a blocking producer, which one thread alone uses.

    Group commit: requests that arrive while one write runs share the next, so that a sync to disk serves many clients.
    """

    def __init__(
        self,
        producer: Producer,
        settings: Settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._producer = producer
        self._settings = settings
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="intake")
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self._turns = count()
        self._closed = False

    async def append(self, lines: bytes, key: str | None) -> None:
        """Returns once `lines` are durable. Raises LogFull when the log takes no more now, LogError when it can not be written."""
        if self._closed:
            raise LogError("The worker is shutting down and takes no more lines; send them again in a moment.")
        waiting = _Waiting(lines, key, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        await waiting.done

    async def close(self) -> None:
        """Waits for what was accepted. The producer stays open: it belongs to the caller."""
        self._closed = True
        if self._writer is not None:
            await self._writer
        self._thread.shutdown(wait=True)

    def _messages(self, lines: bytes, key: str | None) -> list[Message]:
        turn = next(self._turns) if key is None else int(source_of_key(key), 16)
        partition = turn % self._producer.partitions(LINES)
        now = self._clock()
        return [
            Message(LINES, partition, None, value, headers, now)
            for value, headers in posted_values(lines, key, self._settings)
        ]

    def _write(self, group: Sequence[_Waiting]) -> None:
        """In the thread: cut, append, return when all of it is durable."""
        self._producer.append([message for waiting in group for message in self._messages(waiting.lines, waiting.key)])

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                try:
                    await loop.run_in_executor(self._thread, self._write, group)
                except Exception as error:  # whatever it is, it is the answer to every request of the group
                    _settle(group, error)
                else:
                    _settle(group, None)
        finally:
            self._writer = None


def _settle(group: Sequence[_Waiting], error: Exception | None) -> None:
    for waiting in group:
        if waiting.done.done():  # its client went away
            continue
        if error is None:
            waiting.done.set_result(None)
        else:
            waiting.done.set_exception(error)
