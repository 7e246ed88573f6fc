"""The topics as one store's consumer group sees them: what it has read, and what is still on its way to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from app.domain.counted import CountedKind
from app.domain.records import Delivery, Hit, Reject
from app.errors import UnknownForm
from app.flows.deliveries import REDUCED, REJECTS, TOKENS
from app.flows.registry import READ_BY_STORES
from app.messages.events import CountedMessage, decode_counted
from app.messages.forms import DamagedMessage
from app.messages.records import decode_deliveries, decode_rejects
from app.messages.tokens import HitGroup, decode_tokens
from app.transports.broker_view import BrokerView

__all__ = ["TopicView"]

_AT_ONCE = 16
_TOLD_APART_BYTES = 200
Message = TypeVar("Message")
Progress = Callable[[str, int], object]
"""What is read, and how many records more of it."""


class TopicView:
    """What the log holds for one store. Taken at one moment: what comes later is read by `on_the_way` alone."""

    def __init__(
        self, reader: BrokerView, flow: str, group: str, on_progress: Progress = lambda what, count: None
    ) -> None:
        """`flow` and `group`: the consumer groups of the flow and of the store."""
        self._reader = reader
        self._foreign: dict[str, set[bytes]] = {}
        self._on_progress = on_progress
        self._bounds = {topic: reader.bounds(topic) for topic in READ_BY_STORES}
        self._done = {topic: _of(topic, reader.committed(group)) for topic in self._bounds}
        self._flow_done = _of(TOKENS, reader.committed(flow))

    def waiting(self) -> dict[str, int]:
        """Messages by topic that the store has not taken yet."""
        found = {}
        for topic, bounds in self._bounds.items():
            done = self._done[topic]
            found[topic] = sum(
                max(0, end - max(first, done.get(partition, 0))) for partition, (first, end) in bounds.items()
            )
        return {topic: count for topic, count in found.items() if count}

    @property
    def knows_all_deliveries(self) -> bool:
        """See `knows_all`."""
        return self.knows_all(REDUCED)

    def knows_all(self, topic: str) -> bool:
        """Nothing was trimmed from a topic, and there is something in it."""
        bounds = self._bounds[topic].values()
        return bool(bounds) and all(first == 0 for first, _ in bounds) and any(end for _, end in bounds)

    async def tokens(self) -> AsyncIterator[list[HitGroup]]:
        async for message in self._read(TOKENS, self._values(TOKENS), decode_tokens):
            groups = message.groups
            self._on_progress(TOKENS, sum(group.count for group in groups))
            yield groups

    async def hits(self) -> AsyncIterator[list[Hit]]:
        """Every hit that the store has read, as often as it stands there."""
        async for groups in self.tokens():
            yield hits_of_groups(groups)

    async def rejects(self) -> AsyncIterator[list[Reject]]:
        async for found in self._read(REJECTS, self._values(REJECTS), decode_rejects):
            self._on_progress(REJECTS, len(found))
            yield found

    async def deliveries(self) -> AsyncIterator[list[Delivery]]:
        async for found in self._read(REDUCED, self._values(REDUCED), decode_deliveries):
            self._on_progress(REDUCED, len(found))
            yield found

    async def counted(self, kind: CountedKind[Any]) -> AsyncIterator[CountedMessage[Any]]:
        """Messages of what counts of a kind."""
        async for found in self._read(kind.reduced, self._values(kind.reduced), partial(decode_counted, kind)):
            self._on_progress(kind.reduced, len(found.events))
            yield found

    async def counted_on_the_way(self, kind: CountedKind[Any]) -> AsyncIterator[CountedMessage[Any]]:
        values = self._rest(kind.reduced, self._done[kind.reduced])
        async for found in self._read(kind.reduced, values, partial(decode_counted, kind)):
            yield found

    async def hits_on_the_way(self) -> AsyncIterator[list[Hit]]:
        """What was not through to flow and store when this was made, up to now."""
        begin = {
            partition: min(self._flow_done.get(partition, 0), offset)
            for partition, offset in self._done[TOKENS].items()
        }
        async for message in self._read(TOKENS, self._rest(TOKENS, begin), decode_tokens):
            yield hits_of_groups(message.groups)

    async def rejects_on_the_way(self) -> AsyncIterator[list[Reject]]:
        async for found in self._read(REJECTS, self._rest(REJECTS, self._done[REJECTS]), decode_rejects):
            yield found

    async def deliveries_on_the_way(self) -> AsyncIterator[list[Delivery]]:
        async for found in self._read(REDUCED, self._rest(REDUCED, self._done[REDUCED]), decode_deliveries):
            yield found

    @property
    def foreign(self) -> dict[str, int]:
        """Messages that could not be read, by topic: the agents made them rejects. Alike ones count once."""
        return {topic: len(found) for topic, found in self._foreign.items()}

    async def _read(
        self, topic: str, values: AsyncIterator[bytes], decode: Callable[[bytes], Message]
    ) -> AsyncIterator[Message]:
        """What the messages say. Raises UnknownForm for one of a newer form."""
        async for value in values:
            try:
                found = decode(value)
            except UnknownForm as error:
                if error.is_newer:
                    raise
            except DamagedMessage:
                pass
            else:
                yield found
                continue
            self._foreign.setdefault(topic, set()).add(value[:_TOLD_APART_BYTES])

    def _values(self, topic: str) -> AsyncIterator[bytes]:
        done = self._done[topic]
        end = {partition: min(last, done.get(partition, 0)) for partition, (_, last) in self._bounds[topic].items()}
        return _in_thread(lambda: self._reader.read(topic, None, end))

    def _rest(self, topic: str, begin: dict[int, int]) -> AsyncIterator[bytes]:
        return _in_thread(lambda: self._reader.read(topic, begin))


def _of(topic: str, offsets: Mapping[tuple[str, int], int]) -> dict[int, int]:
    return {partition: offset for (name, partition), offset in offsets.items() if name == topic}


def hits_of_groups(groups: list[HitGroup]) -> list[Hit]:
    """As Hit, source before position."""
    return [Hit._make(hit) for group in groups for hit in group.hits()]


async def _in_thread(start: Callable[[], Iterator[tuple[int, int, bytes]]]) -> AsyncIterator[bytes]:
    """The values of a blocking reader, read in a thread some messages ahead."""
    reading = await asyncio.to_thread(start)

    def take() -> list[Any]:
        return list(islice(reading, _AT_ONCE))

    while found := await asyncio.to_thread(take):
        for _, _, value in found:
            if value:
                yield value
