"""Sending records to the topic: each user's to one partition, in order. Blocking."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from app.domain.usage.records import MAX_USAGE_MESSAGE_BYTES
from app.errors import LogUnreachable, SettingsError

if TYPE_CHECKING:
    from app.transports.producers import MessageProducer
    from app.usage.options import UsageOptions

__all__ = ["UsageBroker", "open_broker", "partition_of"]

_TIMEOUT_S = 20.0


class UsageBroker(Protocol):
    """Takes records."""

    def send(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        """Pairs of key and record. Returns when all are durable; raises WeblogsError or OSError, then all may be sent again."""

    def close(self) -> None: ...


def partition_of(key: bytes, partitions: int) -> int:
    """Where the records of a user are."""
    return zlib.crc32(key) % partitions


def messages(records: Sequence[tuple[bytes, bytes]], partitions: int, form: int) -> list[tuple[int, bytes]]:
    """(partition, value): records of one partition together, in order, up to the size that a broker takes."""
    groups: dict[int, list[bytes]] = {}
    sizes: dict[int, int] = {}
    done = []
    value: Callable[[list[bytes]], bytes] = lambda group: b"[%d,[%b]]" % (form, b",".join(group))  # noqa: E731
    for key, record in records:
        partition = partition_of(key, partitions)
        if groups.get(partition) and sizes[partition] + len(record) > MAX_USAGE_MESSAGE_BYTES:
            done.append((partition, value(groups.pop(partition))))
        if partition not in groups:
            groups[partition], sizes[partition] = [], 0
        groups[partition].append(record)
        sizes[partition] += len(record) + 1
    return done + [(partition, value(group)) for partition, group in groups.items()]


def open_broker(options: UsageOptions) -> UsageBroker | None:
    """What the options name; None if they name none. Connects at the first record."""
    scheme, _, rest = options.broker.partition("://")
    if scheme == "kafka":
        return KafkaUsageBroker(rest, options)
    return EmbeddedUsageBroker(options) if scheme == "sqlite" else None


class KafkaUsageBroker:
    """By kafka-python: idempotent, acknowledged by all replicas."""

    def __init__(self, servers: str, options: UsageOptions) -> None:
        self._servers, self._options = servers.split(","), options
        self._client: Any = None

    def send(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        from kafka import KafkaProducer
        from kafka.errors import KafkaError

        from app.domain.usage.records import USAGE
        from app.transports.kafka.closing import abandon_producer

        try:
            if self._client is None:
                self._client = KafkaProducer(
                    bootstrap_servers=self._servers,
                    acks="all",
                    enable_idempotence=True,
                    delivery_timeout_ms=int(_TIMEOUT_S * 1000),
                    request_timeout_ms=10_000,
                    max_block_ms=int(_TIMEOUT_S * 1000),
                    **self._options.broker_options,
                )
            topic = self._options.topic
            partitions = self._client.partitions_for(topic)
            if not partitions:
                raise SettingsError(f"{self._options.broker} has no topic {topic}: run `python -m app init` first")
            sent = [
                self._client.send(topic, value=value, partition=partition)
                for partition, value in messages(records, len(partitions), USAGE.form)
            ]
            self._client.flush(timeout=_TIMEOUT_S)
            for future in sent:
                future.get(timeout=_TIMEOUT_S)
        except (KafkaError, OSError) as error:
            client, self._client = self._client, None
            if client is not None:  # its sequence numbers may be out of step: the next call begins anew
                abandon_producer(client)
            raise LogUnreachable(f"{self._options.broker} does not take records: {error}") from error

    def close(self) -> None:
        from app.transports.kafka.closing import close_producer

        client, self._client = self._client, None
        if client is not None:
            close_producer(client)


class EmbeddedUsageBroker:
    """The embedded log of this project, on the same machine."""

    def __init__(self, options: UsageOptions) -> None:
        self._options = options
        self._producer: MessageProducer | None = None

    def send(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        from app.domain.usage.records import USAGE
        from app.settings import Settings
        from app.transports.messages import Message
        from app.transports.producers import open_producer

        if self._producer is None:
            self._producer = open_producer(Settings(broker=self._options.broker))
        topic = self._options.topic
        partitions = self._producer.partitions(topic)
        now = time.time()
        self._producer.append(
            [
                Message(topic, partition, None, value, {}, now)
                for partition, value in messages(records, partitions, USAGE.form)
            ]
        )

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close()
