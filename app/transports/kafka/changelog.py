"""The changelog of a table on Kafka.

A producer for each partition, with an epoch above that of every older owner: it asks for a transactional id, which makes the broker
raise the epoch, and then works without transactions, whose control records would leave holes in the offsets. From its first record
on (`\\0owner`) the broker refuses what an older owner still sends.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from app.errors import Fenced, LogError
from app.settings import Settings
from app.transports.kafka.options import MAX_MESSAGE_BYTES, aiokafka_options
from app.transports.kafka.topics import check_topics
from app.transports.messages import Pair

__all__ = ["OWNER", "KafkaChangelog"]

OWNER = b"\0owner"
"""Key of the record that a new owner writes first."""
REQUEST_TIMEOUT_MS = 30_000
READ_RECORDS = 20_000


class KafkaChangelog:
    """The Changelog protocol on one compacted topic."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self._options = aiokafka_options(settings)
        self._topic = topic
        self._producers: dict[int, Any] = {}
        self._ends: dict[int, int] = {}
        self._consumer: Any = None
        self._reading = asyncio.Lock()

    async def take(self, partition: int) -> None:
        await self.leave(partition)
        producer = AIOKafkaProducer(
            **self._options,
            acks="all",
            transactional_id=f"{self._topic}-{partition}",
            max_batch_size=MAX_MESSAGE_BYTES,
            max_request_size=MAX_MESSAGE_BYTES,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        await producer.start()
        await producer._txn_manager.wait_for_pid()
        producer._txn_manager.transactional_id = None  # from here on an idempotent producer, with an epoch of its own
        self._producers[partition] = producer
        await self.append(partition, [(OWNER, f"{os.getpid()} {time.time():.0f}".encode())])

    async def leave(self, partition: int) -> None:
        """Owner no more; nothing is under way."""
        producer = self._producers.pop(partition, None)
        if producer is not None:
            await producer.stop()

    async def append(self, partition: int, pairs: Sequence[Pair]) -> int:
        producer = self._producers.get(partition)
        if producer is None:
            raise Fenced(f"{self._topic} partition {partition} was not taken by this process")
        batch = producer.create_batch()
        now = int(time.time() * 1000)
        for key, value in pairs:
            if batch.append(key=key, value=value, timestamp=now) is None:
                size = sum(len(key) + len(value or b"") for key, value in pairs)
                raise LogError(
                    f"{len(pairs)} changes of {size} bytes do not fit into one batch: lower WEBLOGS_CHANGELOG_BATCH_BYTES"
                )
        told = await (await producer.send_batch(batch, self._topic, partition=partition))
        # the offset of the first record; a batch that came twice is told without one
        first = told.offset if told.offset >= 0 else self._ends[partition]
        self._ends[partition] = first + len(pairs)
        return self._ends[partition]

    async def read(self, partition: int, from_offset: int = 0) -> AsyncIterator[list[Pair]]:
        async with self._reading:
            consumer, at = await self._started(), TopicPartition(self._topic, partition)
            consumer.assign([at])
            end = (await consumer.end_offsets([at]))[at]
            begin = max(from_offset, (await consumer.beginning_offsets([at]))[at])
            if begin >= end:
                return
            consumer.seek(at, begin)
            try:
                while (await consumer.position(at)) < end:
                    for records in (await consumer.getmany(at, timeout_ms=1000, max_records=READ_RECORDS)).values():
                        yield [(record.key, record.value) for record in records if record.key != OWNER]
            finally:
                consumer.unsubscribe()  # or it would go on fetching

    async def end_offset(self, partition: int) -> int:
        at = TopicPartition(self._topic, partition)
        async with self._reading:
            return int((await (await self._started()).end_offsets([at]))[at])

    async def _started(self) -> Any:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **self._options,
                max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
                fetch_max_bytes=8 * MAX_MESSAGE_BYTES,
                fetch_max_wait_ms=20,  # a fetch at the end of one partition holds up the next one for this long
            )
            await consumer.start()
            self._consumer = consumer
        return self._consumer

    async def incarnation(self) -> str:
        return (await asyncio.to_thread(check_topics, self._settings))[self._topic].incarnation

    async def close(self) -> None:
        for partition in list(self._producers):
            try:
                await self.leave(partition)
            except KafkaError:
                continue  # fenced or cut off: there is nothing to leave
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None
