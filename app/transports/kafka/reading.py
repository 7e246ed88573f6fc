"""Kafka as a TopicReader: kafka-python without a consumer group, so that nothing is committed and no worker is disturbed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from app.errors import LogError
from app.transports.kafka.admin import open_admin
from app.transports.kafka.options import client_options

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["KafkaTopics"]

_POLL_MS = 1000
_SILENT_POLLS = 60
"""So many polls without a message, though there must be one, are a broker that does not answer."""
_MAX_RECORDS = 500


class KafkaTopics:
    """One consumer for all reading; made when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._broker = settings.broker
        self._reads: dict[str, tuple[str, ...]] = {settings.app_id: ("weblogs", "weblogs_tokens")}
        self._reads |= {
            f"{settings.app_id}-{name}": ("weblogs_tokens", "weblogs_rejects", "weblogs_reduced")
            for name in settings.store_names
        }
        with self._in_words():
            from kafka import KafkaConsumer

            self._consumer = KafkaConsumer(
                **client_options(settings), enable_auto_commit=False, auto_offset_reset="earliest"
            )
            self._admin = open_admin(settings, request_timeout_ms=30_000)

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        from kafka.errors import KafkaError

        try:
            yield
        except (KafkaError, OSError) as error:
            raise LogError(
                f"Kafka at {self._broker} can not be read: {error or type(error).__name__}; see that it runs, and WEBLOGS_BROKER and WEBLOGS_KAFKA_*"
            ) from error

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        from kafka import TopicPartition

        with self._in_words():
            places = [
                TopicPartition(topic, partition)
                for partition in sorted(self._consumer.partitions_for_topic(topic) or ())
            ]
            if not places:
                return {}
            first, end = self._consumer.beginning_offsets(places), self._consumer.end_offsets(places)
        return {place.partition: (first[place], end[place]) for place in places}

    def read(
        self, topic: str, begin: Mapping[int, int] | None = None, end: Mapping[int, int] | None = None
    ) -> Iterator[tuple[int, int, bytes]]:
        from kafka import TopicPartition

        for partition, (first, last) in sorted(self.bounds(topic).items()):
            offset = max(first, (begin or {}).get(partition, first))
            stop = min(last, (end or {}).get(partition, last))
            if offset < stop:
                yield from self._read_partition(TopicPartition(topic, partition), offset, stop)

    def _read_partition(self, place: Any, offset: int, stop: int) -> Iterator[tuple[int, int, bytes]]:
        with self._in_words():
            self._consumer.assign([place])
            self._consumer.seek(place, offset)
        silent = 0
        while True:
            with self._in_words():
                records = self._consumer.poll(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS).get(place, [])
                reached = self._consumer.position(place)  # behind gaps of compaction and transactions, too
            for record in records:
                if record.offset < stop:
                    yield place.partition, record.offset, record.value or b""
            if reached >= stop:
                return
            silent = 0 if records else silent + 1
            if silent >= _SILENT_POLLS:
                raise LogError(
                    f"Kafka at {self._broker} gives no message of {place.topic} partition {place.partition} from offset {reached} on,"
                    f" though it ends at {stop}: see that its brokers are all there"
                )

    def committed(self, group: str, topic: str) -> dict[int, int]:
        with self._in_words():
            found = self._admin.list_group_offsets({group: None})
        return {
            place.partition: held.offset
            for place, held in found.get(group, {}).items()
            if place.topic == topic and held.offset >= 0
        }

    def lag(self) -> dict[tuple[str, str], int]:
        topics = {topic for names in self._reads.values() for topic in names}
        bounds = {topic: self.bounds(topic) for topic in topics}
        found: dict[tuple[str, str], int] = {}
        for group, names in self._reads.items():
            for topic in names:
                done = self.committed(group, topic)
                found[group, topic] = sum(
                    max(0, end - max(first, done.get(p, 0))) for p, (first, end) in bounds[topic].items()
                )
        return found

    def close(self) -> None:
        self._consumer.close()
        self._admin.close()
