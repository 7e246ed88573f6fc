"""What stands around the engine in its tests: an app with Faust's few attributes, a stream, the embedded log in a temporary file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from faust.types import TP
from mode.utils.queues import FlowControlEvent

from app.engine.faust_app import MessageBuffer
from app.engine.outside import Outside
from app.process.counters import Counters
from app.process.exit import EXIT_CANNOT_GO_ON
from app.settings import Settings
from app.transports.bundles import Bundle, Bundled
from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message

GENERATION = 7
NOW = 1_600_000_000.0


class Ended(BaseException):
    """The process would have ended."""


class Ends:
    """Instead of `die`: notes why and with which code, and raises."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def __call__(self, why: str, error: BaseException | None = None, code: int = EXIT_CANNOT_GO_ON) -> NoReturn:
        if not isinstance(error, Ended):  # the first end is the end
            self.told.append((f"{why}: {error}" if error else why, code))
        raise Ended(why)


class World:
    """An app of the engine on a log of its own, with a clock that stands."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.log = EmbeddedLog(folder / "log.db")
        self.ends = Ends()
        self.counters = Counters()
        settings = Settings(data_dir=folder, partitions=2, **({"linger": 0.0} | options))
        self.outside = Outside(settings, self.counters, clock=lambda: NOW, die=self.ends)
        self.app = App(self)
        self.opened: list[str] = []
        """The names of stores that were opened, if a test notes them."""

    def sent(self, topic: str, partition: int | None = None) -> list[bytes]:
        """The values of the messages that stand in a topic."""
        if not self.log.has_topic(topic):
            return []
        places = range(self.log.partitions(topic)) if partition is None else [partition]
        return [record.value or b"" for place in places for record in self.log.read(topic, place, 0)]

    def close(self) -> None:
        self.log.close()


class App:
    """What the engine asks of a Faust app."""

    def __init__(self, world: World) -> None:
        self.outside = world.outside
        self.rebalancing = False
        self.consumer_generation_id = GENERATION
        self.next_offsets: dict[TP, tuple[int, int]] = {}
        self.conf = SimpleNamespace(id="weblogs")
        self.consumer = Consumer()
        self.producer = Producer(world.log, world.outside.settings.partitions)
        self.topics_log = self
        self.broker_clock: float | None = NOW
        self.empty: set[tuple[str, int, int, int]] = set()
        """Topic, partition, first offset, offset after the last: where the log has no message."""
        self.anew: list[str] = []
        """Topics that were deleted and made anew."""
        self.asked = 0
        """So often was asked whether a topic is another one."""

    def clock(self) -> float | None:
        return self.broker_clock

    async def is_empty(self, topic: str, partition: int, begin: int, end: int) -> bool:
        return (topic, partition, begin, end) in self.empty

    async def is_anew(self, _topic: str) -> bool:
        self.asked += 1
        await asyncio.sleep(0)  # others go on meanwhile
        return False

    async def incarnation(self, _topic: str) -> str:
        return "1"

    async def made_anew(self) -> list[str]:
        return self.anew


class Consumer:
    """Where Faust stands in its partitions."""

    def __init__(self) -> None:
        self._committed_offset: dict[TP, int | None] = {}
        self.earliest: dict[TP, int] = {}
        self.stopped = 0
        self.begun_anew: list[str] = []

    async def earliest_offsets(self, *tps: TP) -> Mapping[TP, int]:
        return {tp: self.earliest.get(tp, 0) for tp in tps}

    async def begin_anew(self, topics: Collection[str]) -> None:
        self.begun_anew += topics

    def stop_flow(self) -> None:
        self.stopped += 1


class Producer:
    """Sends to the embedded log."""

    def __init__(self, log: EmbeddedLog, partitions: int) -> None:
        self._log, self._partitions = log, partitions
        self.failure: Exception | None = None

    async def send_many(self, messages: Sequence[Message]) -> None:
        if self.failure is not None:
            raise self.failure
        for topic in {message.topic for message in messages}:
            self._log.create_topic(topic, self._partitions)
        self._log.append(messages)


def event(offset: int, value: Any, partition: int = 0, generation: int = GENERATION, topic: str = "t") -> Any:
    """As Faust gives it to a stream."""
    message = SimpleNamespace(
        topic=topic,
        partition=partition,
        tp=TP(topic, partition),
        offset=offset,
        timestamp=NOW,
        value=value,
        headers={},
        generation_id=generation,
    )
    return SimpleNamespace(message=message)


def bundle(first: int, *values: bytes) -> Bundle:
    """Small messages that the transport put together."""
    return Bundle(Bundled(first + number, NOW, value, {}) for number, value in enumerate(values))


class Stream:
    """A stream of events: all wait at the start, unless `one_by_one`."""

    def __init__(self, events: Iterable[Any], one_by_one: bool = False) -> None:
        self._events = list(events)
        self._one_by_one = one_by_one
        self.acked: list[tuple[int, int]] = []
        """(partition, offset), in order"""
        self.channel = SimpleNamespace(queue=MessageBuffer(flow_control=FlowControlEvent()))

    def noack(self) -> Stream:
        return self

    async def events(self) -> AsyncIterator[Any]:
        queue = self.channel.queue
        if not self._one_by_one:
            for each in self._events:
                queue.put_nowait(each)
        for each in self._events:
            if not self._one_by_one:
                queue.get_nowait()
            yield each

    async def ack(self, event: Any) -> None:
        self.acked.append((event.message.partition, event.message.offset))
