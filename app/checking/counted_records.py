"""How counted events and their sums are read, named and compared."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import cache
from hashlib import blake2b
from typing import Any, NamedTuple

from app.checking.topic_view import TopicView
from app.domain.counted import CountedKind
from app.messages.events import CountedMessage
from app.stores.contract import Store

__all__ = ["CountedRecord", "event_record", "number_of_key", "sum_record"]


class CountedRecord(NamedTuple):
    """How events of a kind, or sums of them, are read and named."""

    kind: CountedKind[Any]
    record: str
    stored: Callable[[Store], AsyncIterator[Any]]
    of: Callable[[CountedMessage[Any]], Sequence[Any]]
    key: Callable[[Any], tuple[Any, ...]]
    version: Callable[[Any], int]
    """The highest one counts; events have one."""
    started: Callable[[Any], tuple[str, float]]
    """What a topic created anew is told by: a name that starts are compared under, and the record's start."""

    async def sent(self, view: TopicView) -> AsyncIterator[Sequence[Any]]:
        """All in the topic that the store has read, message by message."""
        async for message in view.counted(self.kind):
            yield self.of(message)

    async def on_the_way(self, view: TopicView) -> AsyncIterator[Sequence[Any]]:
        """What it had not read when the view was made."""
        async for message in view.counted_on_the_way(self.kind):
            yield self.of(message)

    def name(self, record: Any) -> str:
        """As people are told of it."""
        return " ".join(map(str, self.key(record)))

    def number(self, record: Any) -> int:
        """64 bits of the key."""
        return number_of_key(self.key(record))

    def bucket(self, record: Any, partitions: int) -> tuple[int, int]:
        """By which checksums are compared."""
        return 0, self.number(record) % (64 * partitions)

    def digest(self, record: Any) -> int:
        """64 bits of the whole record."""
        return number_of_key(tuple(value + 0.0 if isinstance(value, float) else value for value in record))


def number_of_key(values: tuple[Any, ...]) -> int:
    """64 bits of some values."""
    return int.from_bytes(blake2b(repr(values).encode(), digest_size=8).digest(), "big")


@cache
def event_record(kind: CountedKind[Any]) -> CountedRecord:
    return CountedRecord(
        kind,
        kind.one,
        lambda store: store.ledgers.all_events(kind),
        lambda message: message.events,
        kind.id_of,
        lambda _: 0,
        lambda event: ("", kind.time_of(event)),
    )


@cache
def sum_record(kind: CountedKind[Any]) -> CountedRecord:
    return CountedRecord(
        kind,
        f"{kind.one} sum",
        lambda store: store.ledgers.all_sums(kind),
        lambda message: message.sums,
        lambda each: each[:5],
        lambda each: each.version,
        lambda each: (each.resolution, each.start),
    )
