"""Topics of the benchmark on a Kafka: made, filled with one line a message, counted, read back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["Topics"]

_MAX_BATCH_BYTES = 512 << 10


class Topics:
    """Clients of one Kafka at 127.0.0.1. A context manager; blocking, one caller at a time."""

    def __init__(self, port: int, partitions: int) -> None:
        from kafka import KafkaAdminClient, KafkaConsumer

        self.server, self.partitions = f"127.0.0.1:{port}", partitions
        self._admin: Any = KafkaAdminClient(bootstrap_servers=self.server, request_timeout_ms=20_000)
        self._reader: Any = KafkaConsumer(
            bootstrap_servers=self.server, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_bytes=64 << 20,
            max_partition_fetch_bytes=8 << 20, max_poll_records=20_000,
        )  # fmt: skip

    def make(self, *names: str) -> None:
        """Topics that are not there yet."""
        from kafka.admin import NewTopic

        self._admin.create_topics(
            [NewTopic(name, self.partitions, 1, topic_configs={"max.message.bytes": str(8 << 20)}) for name in names]
        )
        self._admin.wait_for_topics(list(names), timeout_ms=30_000)

    def drop(self, part_of_name: str) -> None:
        """All topics with this in their names."""
        names = [name for name in self._admin.list_topics() if part_of_name in name]
        if names:
            self._admin.delete_topics(names)

    def count(self, *names: str) -> int:
        """Messages ever written to those of the topics that exist."""
        return sum(self.ends(*names).values())

    def ends(self, *names: str) -> dict[Any, int]:
        """Partition -> offset of the next message, of those of the topics that exist."""
        from kafka import TopicPartition
        from kafka.admin import OffsetSpec
        from kafka.errors import UnknownTopicOrPartitionError

        found: dict[Any, int] = {}
        for name in names:
            places = [TopicPartition(name, partition) for partition in range(self.partitions)]
            try:
                told = self._admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
            except UnknownTopicOrPartitionError:
                continue
            found.update({at: end.offset for at, end in told.items()})
        return found

    def records(self, name: str, since: Mapping[Any, int] | None = None) -> Iterator[Any]:
        """What a topic holds now, each partition in order; `since`: an answer of `ends`, to begin there."""
        begins = since or {}
        ends = {at: end for at, end in self.ends(name).items() if end > begins.get(at, 0)}
        if not ends:
            return
        self._reader.assign(list(ends))
        for at in ends:
            self._reader.seek(at, begins.get(at, 0))
        while any(self._reader.position(at) < end for at, end in ends.items()):
            for records in self._reader.poll(timeout_ms=1000).values():
                yield from records

    def fill(self, name: str, log: Path) -> int:
        """The lines of a log without its head line, one a message, spread over the partitions; gives their number."""
        return asyncio.run(self._fill(name, log))

    async def _fill(self, name: str, log: Path) -> int:
        from aiokafka import AIOKafkaProducer

        producer = AIOKafkaProducer(
            bootstrap_servers=self.server,
            acks="all",
            max_batch_size=_MAX_BATCH_BYTES,
            max_request_size=8 << 20,
            request_timeout_ms=60_000,
        )
        await producer.start()
        sent, batch, partition, under_way = 0, producer.create_batch(), 0, []
        try:
            with log.open("rb") as file:
                next(file)
                for line in file:
                    value = line.rstrip(b"\n")
                    if batch.record_count() >= 2000 or batch.append(key=None, value=value, timestamp=None) is None:
                        under_way.append(await producer.send_batch(batch, name, partition=partition))
                        partition = (partition + 1) % self.partitions
                        batch = producer.create_batch()
                        batch.append(key=None, value=value, timestamp=None)
                    sent += 1
            under_way.append(await producer.send_batch(batch, name, partition=partition))
            await asyncio.gather(*under_way)
        finally:
            await producer.stop()
        return sent

    def __enter__(self) -> Topics:
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.close()
        self._admin.close()
