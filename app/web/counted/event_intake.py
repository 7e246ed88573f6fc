"""From posted votes and transactions to their topics: durable before the answer, many requests in one write."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from app.domain.counted import partition_by
from app.errors import LogError, LogFull
from app.messages.events import encode_events
from app.transports.messages import Message
from app.web.service.group_commit import GroupCommit

if TYPE_CHECKING:
    from app.transports.producers import MessageProducer

__all__ = ["MAX_WAITING_EVENTS", "EventIntake", "Keyed", "PostedEvents"]

MAX_WAITING_EVENTS = 200_000
"""More that wait to be written are told to come again."""
_EVENTS_A_MESSAGE = 5000

Keyed = tuple[str, tuple[Any, ...]]
"""What decides the partition, and the event."""


class PostedEvents(Protocol):
    """Where posted events go."""

    accepted: Counter[str]
    """topic -> how many this process has taken, all of them durable"""

    def recent(self, topic: str) -> int:
        """How many of these in the last second or two."""

    async def append(self, topic: str, events: Sequence[Keyed]) -> None:
        """Returns once the events are durable; raises LogFull where too much waits, LogError where it cannot be written."""


class _Posted(NamedTuple):
    topic: str
    events: Sequence[Keyed]


class EventIntake:
    """Events upon a blocking producer, which one thread alone uses."""

    def __init__(self, producer: MessageProducer, overload_after_s: float) -> None:
        """When an event has waited for `overload_after_s`, further ones are refused until it is written."""
        self._producer = producer
        self._overload_after_s = overload_after_s
        self._commit = GroupCommit(self._write, "events", self._count)
        self._waiting_events = 0
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
        if self._commit.closed:
            raise LogError("The worker is shutting down; send it again in a moment.")
        if self._waiting_events + len(events) > MAX_WAITING_EVENTS or self._commit.waited_s > self._overload_after_s:
            raise LogFull("Overloaded. Retry in a moment.")
        self._waiting_events += len(events)
        await self._commit.append(_Posted(topic, events))

    async def close(self) -> None:
        """Waits for what was accepted. The producer stays open: it belongs to the caller."""
        await self._commit.close()

    def _write(self, group: Sequence[_Posted]) -> None:
        spread: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
        numbers = {topic: self._producer.partitions(topic) for topic in {each.topic for each in group}}
        for each in group:
            partitions = numbers[each.topic]
            for key, event in each.events:
                spread.setdefault((each.topic, partition_by(key, partitions)), []).append(event)
        now = time.time()
        self._producer.append(
            [
                Message(topic, partition, None, encode_events(events[begin : begin + _EVENTS_A_MESSAGE]), {}, now)
                for (topic, partition), events in spread.items()
                for begin in range(0, len(events), _EVENTS_A_MESSAGE)
            ]
        )

    def _count(self, group: Sequence[_Posted], durable: bool) -> None:
        self._turn()
        for each in group:
            self._waiting_events -= len(each.events)
            if durable:
                self._lately[0][each.topic] += len(each.events)
                self.accepted[each.topic] += len(each.events)
