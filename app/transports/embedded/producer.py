"""The sending half of the Faust transport on the embedded log."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Sequence
from itertools import count
from time import time
from typing import Any, cast

from faust.transport import base
from faust.types import TP
from faust.types.tuples import RecordMetadata

from app.transports.embedded.shared_log import SharedLog
from app.transports.embedded.transaction import LogTransaction
from app.transports.messages import Message

__all__ = ["EmbeddedProducer", "partition_of"]


def partition_of(key: bytes | None, partitions: int, turn: int) -> int:
    """A key always goes to the same partition; messages without key take turns."""
    return (turn if key is None else zlib.crc32(key)) % partitions


class EmbeddedProducer(base.Producer):
    """Sends of the worker's own agents: never refused for the size of the log, as it can only shrink by their work."""

    _shared: SharedLog | None = None

    def __post_init__(self) -> None:
        self._partitions: dict[str, int] = {}
        self._turns = count()
        self._unsettled: set[asyncio.Future[Any]] = set()

    async def on_start(self) -> None:
        self._shared = cast(Any, self.transport).open_log()
        self._partitions = await self._log.run(lambda: self._log.log.topics)
        await super().on_start()

    async def on_stop(self) -> None:
        if self._shared is None:
            return
        try:
            await self.flush()
        finally:
            shared, self._shared = self._shared, None
            await shared.release()

    @property
    def _log(self) -> SharedLog:
        if self._shared is None:
            raise RuntimeError("the producer is not started")
        return self._shared

    async def create_topic(
        self, topic: str, partitions: int, replication: int, *, compacting: bool | None = None, **_: Any
    ) -> None:
        """Create the topic where it lacks. Replication and retention have no meaning here."""
        await self._log.submit(lambda tx: tx.create_topic(topic, partitions, bool(compacting)))
        self._partitions[topic] = partitions

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> Awaitable[RecordMetadata]:
        """A future of the record's place, done when the record is on disk."""
        if partition is None:
            partition = partition_of(key, await self._partitions_of(topic), next(self._turns))
        elif topic not in self._partitions:
            await self._partitions_of(topic)
        message = Message(topic, partition, key, value, headers or {}, time() if timestamp is None else timestamp)
        return self._submit(lambda tx: _metadata(message, tx.append([message])[0]), len(value or b""))

    async def send_and_wait(self, *args: Any, **kwargs: Any) -> RecordMetadata:
        return await (await self.send(*args, **kwargs))

    def send_many(self, messages: Sequence[Message]) -> asyncio.Future[list[int]]:
        """Append all in one transaction, or none; a future of their offsets, done when they are on disk."""
        batch = list(messages)
        return self._submit(lambda tx: tx.append(batch), sum(len(message.value or b"") for message in batch))

    async def flush(self) -> None:
        """Wait until everything sent is on disk. A failed send is told to who sent it, not here."""
        await self.buffer.flush()
        while self._unsettled:
            await asyncio.wait(self._unsettled)

    def key_partition(self, topic: str, key: bytes) -> TP:
        return TP(topic, partition_of(key, self._partitions[topic], next(self._turns)))

    def supports_headers(self) -> bool:
        return True

    def _submit(self, operation: Any, size: int) -> asyncio.Future[Any]:
        future = self._log.submit(operation, size)
        self._unsettled.add(future)
        future.add_done_callback(self._unsettled.discard)
        return future

    async def _partitions_of(self, topic: str) -> int:
        if topic not in self._partitions:
            default = self.app.conf.topic_partitions
            await self._log.submit(lambda tx: _create_where_lacking(tx, topic, default))
            self._partitions[topic] = await self._log.run(self._log.log.partitions, topic)
        return self._partitions[topic]


def _metadata(message: Message, offset: int) -> RecordMetadata:
    place = TP(message.topic, message.partition)
    return RecordMetadata(message.topic, message.partition, place, offset, message.timestamp, 0)


def _create_where_lacking(tx: LogTransaction, topic: str, partitions: int) -> None:
    if tx.find_topic(topic) is None:
        tx.create_topic(topic, partitions)
