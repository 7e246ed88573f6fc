"""From posted votes and transactions to their topics: durable before the answer, requests that arrive together in one write."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from zlib import crc32

import msgspec

from app.errors import LogError, LogFull
from app.transports.messages import Message

if TYPE_CHECKING:
    from app.transports.producers import Producer

__all__ = ["MAX_WAITING_EVENTS", "EventIntake", "Events", "Keyed"]

MAX_WAITING_EVENTS = 200_000
"""More that wait to be written are told to come again."""
_EVENTS_A_MESSAGE = 5000

Keyed = tuple[str, tuple[Any, ...]]
"""What decides the partition, and the event."""
_encode = msgspec.json.Encoder().encode


class Events(Protocol):
    """Where posted events go."""

    accepted: Counter[str]
    """topic -> how many this process has taken, all of them durable"""

    def recent(self, topic: str) -> int:
        """How many of these in the last second or two."""

    async def append(self, topic: str, events: Sequence[Keyed]) -> None:
        """Returns once the events are durable; raises LogFull where too much waits, LogError where it can not be written."""


class _Waiting(NamedTuple):
    topic: str
    events: Sequence[Keyed]
    since: float
    done: asyncio.Future[None]


class EventIntake:
    """Events upon a blocking producer, which one thread alone uses."""

    def __init__(self, producer: Producer, overload_after_s: float, clock: Callable[[], float] = time.time) -> None:
        """When an event has waited for `overload_after_s`, further ones are refused until it is written."""
        self._producer = producer
        self._overload_after_s = overload_after_s
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="events")
        self._waiting: list[_Waiting] = []
        self._writing: list[_Waiting] = []
        self._waiting_events = 0
        self._writer: asyncio.Task[None] | None = None
        self._closed = False
        self.accepted: Counter[str] = Counter()
        self._second = 0
        self._lately: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        """Accepted in this second, and in the one before."""

    def recent(self, topic: str) -> int:
        """How many were accepted in the last second or two."""
        self._turn()
        return sum(counts[topic] for counts in self._lately)

    def _turn(self) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self._lately = (Counter(), self._lately[0] if second == self._second + 1 else Counter())
            self._second = second

    async def append(self, topic: str, events: Sequence[Keyed]) -> None:
        """Returns once the events are durable. Raises LogFull, LogError; then they may be sent again: ids make them count once."""
        if self._closed:
            raise LogError("The worker is shutting down; send it again in a moment.")
        loop = asyncio.get_running_loop()
        now = loop.time()
        oldest = self._writing or self._waiting
        if self._waiting_events + len(events) > MAX_WAITING_EVENTS or (
            oldest and now - oldest[0].since > self._overload_after_s
        ):
            raise LogFull("More is sent than can be written; send it again in a moment.")
        waiting = _Waiting(topic, events, now, loop.create_future())
        self._waiting.append(waiting)
        self._waiting_events += len(events)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        await waiting.done

    async def close(self) -> None:
        """Waits for what was accepted. The producer stays open: it belongs to the caller."""
        self._closed = True
        if self._writer is not None:
            await self._writer
        self._thread.shutdown(wait=True)

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                self._writing, self._waiting = self._waiting, []
                count = sum(len(each.events) for each in self._writing)
                error: Exception | None = None
                try:
                    await loop.run_in_executor(self._thread, self._write, self._writing)
                except Exception as failed:  # whatever it is, it is the answer to every request of the group
                    error = failed
                self._waiting_events -= count
                self._settle(error)
        finally:
            self._writing, self._writer = [], None

    def _write(self, group: Sequence[_Waiting]) -> None:
        """In the thread: spread over the partitions, append, return when all of it is durable."""
        spread: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
        numbers = {topic: self._producer.partitions(topic) for topic in {each.topic for each in group}}
        for each in group:
            partitions = numbers[each.topic]
            for key, event in each.events:
                spread.setdefault((each.topic, crc32(key.encode()) % partitions), []).append(event)
        now = self._clock()
        self._producer.append(
            [
                Message(topic, partition, None, _encode(events[begin : begin + _EVENTS_A_MESSAGE]), {}, now)
                for (topic, partition), events in spread.items()
                for begin in range(0, len(events), _EVENTS_A_MESSAGE)
            ]
        )

    def _settle(self, error: Exception | None) -> None:
        self._turn()
        for each in self._writing:
            if error is None:
                self._lately[0][each.topic] += len(each.events)
                self.accepted[each.topic] += len(each.events)
            if each.done.done():  # its client went away
                continue
            if error is None:
                each.done.set_result(None)
            else:
                each.done.set_exception(error)
