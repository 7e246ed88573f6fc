"""Faust's Kafka transport with what the flow needs beyond it: idempotent sends of many messages, and where the groups stand.

Call register() before a faust.App is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any, ClassVar

from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver

from app.flows.registry import progress_topic
from app.messages.progress import GroupProgress
from app.process.folders import make_private
from app.settings import settings
from app.transports.broker_view import GroupPositions, is_empty
from app.transports.changelog import Changelog
from app.transports.embedded.worker_lock import WorkerLock
from app.transports.kafka.changelog import KafkaChangelog
from app.transports.kafka.consumer import KafkaWorkerConsumer
from app.transports.kafka.producer import KafkaProducer
from app.transports.kafka.topics import broker_problems, check_topics, found_topics, on_broker
from app.transports.kafka.view import KafkaView
from app.transports.messages import Message
from app.transports.progress_reader import ProgressReader

__all__ = ["KafkaTransport", "KafkaWorkerProducer", "register"]


class KafkaWorkerProducer(driver.Producer):
    """Faust sets idempotence under exactly_once only; without it aiokafka drops an expired batch and sends later ones."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._turn = asyncio.Lock()

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    async def send_many(self, messages: Sequence[Message]) -> None:
        """Returns when all are acknowledged. Messages of one partition stand there in the order of the calls."""
        producer = self._ensure_producer()
        async with self._turn:  # a message that waits for room must not be overtaken by one of a later call
            futures = [
                await producer.send(
                    on_broker(settings(), message.topic),
                    message.value,
                    key=message.key,
                    partition=message.partition,
                    timestamp_ms=int(message.timestamp * 1000),
                    headers=list(message.headers.items()),
                )
                for message in messages
            ]
        await asyncio.gather(*futures)


class KafkaTransport(driver.Transport):
    """Transport to Kafka."""

    Consumer: ClassVar[type] = KafkaWorkerConsumer
    Producer: ClassVar[type] = KafkaWorkerProducer
    _standing: KafkaView | None = None
    _topics: KafkaView | None = None
    _progress: ProgressReader | None = None
    _asking: KafkaProducer | None = None
    _lock: WorkerLock | None = None
    _incarnations: ClassVar[dict[str, str]] = {}
    """Of the topics on the broker as they were when this process began: offsets and ids of lines mean these."""

    def prepare(self, _topics: Iterable[str], _groups: Iterable[str]) -> None:
        """Before the worker starts: one worker a data folder, and the topics are there. Raises LogLocked, SettingsError, LogError."""
        own = settings()
        make_private(own.data_dir)
        if KafkaTransport._lock is None:  # held as long as the process lives
            lock = WorkerLock(own.data_dir / "worker", f"the data folder {own.data_dir}")
            lock.take()
            KafkaTransport._lock = lock
        KafkaTransport._incarnations = {each.name: each.incarnation for each in check_topics(own).values()}

    def open_changelog(self, topic: str, _partitions: int) -> Changelog:
        return KafkaChangelog(settings(), topic)

    async def progress(self) -> GroupProgress:
        """How far the groups have read, and what they could not read."""
        if self._progress is None:
            self._progress = ProgressReader(KafkaView(settings()), progress_topic(settings().flow_id))
        return await asyncio.to_thread(self._progress.refresh)

    async def topic_problems(self) -> list[str]:
        """What a worker that starts would refuse, and what the flow loses by, a sentence each."""
        return await asyncio.to_thread(broker_problems, settings())

    async def made_anew(self) -> list[str]:
        """Topics on the broker that are others, of the same names, than when this process began. Raises LogError."""
        found = await asyncio.to_thread(found_topics, settings())
        known = self._incarnations
        return [name for name, each in found.items() if each and each.incarnation != known.get(name, each.incarnation)]

    def clock(self) -> float | None:
        """The broker's, UTC seconds; None: it does not tell. Blocking; a call after the first takes one round trip. Raises LogError."""
        if KafkaTransport._asking is None:
            KafkaTransport._asking = KafkaProducer(settings())
        return KafkaTransport._asking.clock(progress_topic(settings().flow_id))

    async def incarnation(self, topic: str) -> str:
        """What tells a topic from an earlier one of the same name: that of when this process began."""
        return self._incarnations[on_broker(settings(), topic)]

    async def is_anew(self, topic: str) -> bool:
        """Whether the topic is another one by now. Takes a round trip. Raises LogError, also while it is missing."""
        if self._topics is None:
            self._topics = KafkaView(settings())
        return await asyncio.to_thread(self._topics.incarnation, topic) != await self.incarnation(topic)

    async def is_empty(self, topic: str, partition: int, begin: int, end: int) -> bool:
        """See app.transports.broker_view."""
        with closing(KafkaView(settings())) as view:
            return await asyncio.to_thread(is_empty, view, topic, partition, begin, end)

    async def standing(self, groups: Iterable[str]) -> GroupPositions:
        """Where these consumer groups stand."""
        if self._standing is None:
            self._standing = KafkaView(settings())
        return await asyncio.to_thread(self._standing.positions, sorted(groups))


def register() -> None:
    """Teach Faust our form of the scheme `kafka`."""
    TRANSPORTS.aliases["kafka"] = "app.transports.kafka.transport:KafkaTransport"
