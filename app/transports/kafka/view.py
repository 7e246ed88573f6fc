"""Kafka as a BrokerView: kafka-python without a consumer group, so that nothing is committed and no worker is disturbed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from app.errors import LogError
from app.flows.registry import TOPICS, groups, topics_of_group
from app.transports.broker_view import GroupPositions, StoredMessage, spans
from app.transports.kafka.admin import open_admin
from app.transports.kafka.diagnosis import unreachable
from app.transports.kafka.options import client_options
from app.transports.kafka.topics import broker_problems, describe, off_broker, on_broker

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["KafkaView"]

_POLL_MS = 1000
_SILENT_POLLS = 60
"""If there must be a message and this many polls give none, the broker does not answer."""
_MAX_RECORDS = 500
_REQUEST_TIMEOUT_MS = 5_000
_COORDINATOR_S = 10.0


class KafkaView:
    """Clients are made when they are first needed, and again after a failure."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: Any = None
        self._admin: Any = None
        self._lock = threading.Lock()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """One caller at a time; after an error the clients are made anew."""
        from kafka.errors import KafkaError

        with self._lock:
            try:
                yield
            except (KafkaError, OSError) as error:
                self.close()
                raise unreachable(self._settings, error) from error

    def groups(self) -> dict[str, tuple[str, ...]]:
        """The groups of the flow and of the settings' stores, with the topics that they read."""
        return groups(self._settings.flow_id, self._settings.store_names)

    def ends(self) -> dict[tuple[str, int], int]:
        """Of the flows' topics."""
        with self._in_words():
            return self._all_bounds()[1]

    def committed(self, group: str) -> dict[tuple[str, int], int]:
        with self._in_words():
            return self._all_committed([group])[group]

    def positions(self, groups: Sequence[str]) -> GroupPositions:
        with self._in_words():
            first, end = self._all_bounds()
            committed = self._all_committed(groups)
        lag: dict[tuple[str, str, int], int] = {}
        for group in groups:
            for topic in topics_of_group(group, self._settings.flow_id):
                for partition in range(self._settings.partitions):
                    at = (topic, partition)
                    lag[group, topic, partition] = max(0, end[at] - max(committed[group].get(at, 0), first[at]))
        return GroupPositions(lag, committed)

    def _client(self) -> Any:
        if self._admin is None:
            self._admin = open_admin(self._settings, request_timeout_ms=_REQUEST_TIMEOUT_MS)
        return self._admin

    def _all_bounds(self) -> tuple[dict[tuple[str, int], int], dict[tuple[str, int], int]]:
        from kafka import TopicPartition
        from kafka.admin import OffsetSpec

        client = self._client()
        places = [
            TopicPartition(on_broker(self._settings, topic), partition)
            for topic in TOPICS
            for partition in range(self._settings.partitions)
        ]
        first, end = (
            {
                (off_broker(self._settings, at.topic), at.partition): told.offset
                for at, told in client.list_partition_offsets(dict.fromkeys(places, spec)).items()
            }
            for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST)
        )
        return first, end

    def _all_committed(self, groups: Sequence[str]) -> dict[str, dict[tuple[str, int], int]]:
        from kafka.errors import CoordinatorNotAvailableError

        deadline = time.monotonic() + _COORDINATOR_S
        while True:
            try:
                told = self._client().list_group_offsets(list(groups))
                break
            except CoordinatorNotAvailableError:  # a new broker makes its topic of groups when it is first asked
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        return {
            group: {
                (off_broker(self._settings, at.topic), at.partition): place.offset
                for at, place in told.get(group, {}).items()
                if place.offset >= 0
            }
            for group in groups
        }

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        from kafka import TopicPartition

        with self._in_words():
            consumer = self._reader()
            name = on_broker(self._settings, topic)
            places = [
                TopicPartition(name, partition) for partition in sorted(consumer.partitions_for_topic(name) or ())
            ]
            if not places:
                return {}
            first, end = consumer.beginning_offsets(places), consumer.end_offsets(places)
        return {place.partition: (first[place], end[place]) for place in places}

    def _reader(self) -> Any:
        if self._consumer is None:
            from kafka import KafkaConsumer

            self._consumer = KafkaConsumer(
                **client_options(self._settings), enable_auto_commit=False, auto_offset_reset="earliest"
            )
        return self._consumer

    def problems(self) -> list[str]:
        return broker_problems(self._settings)

    def incarnation(self, topic: str) -> str:
        with self._in_words():
            found = describe(self._client(), self._settings, [topic]).get(topic)
        if found is None:
            raise LogError(f"{self._settings.broker} has no topic {on_broker(self._settings, topic)} now")
        return found.incarnation

    def read(
        self, topic: str, begin: Mapping[int, int] | None = None, end: Mapping[int, int] | None = None
    ) -> Iterator[tuple[int, int, bytes]]:
        for each in self.messages(topic, begin, end):
            yield each.partition, each.offset, each.value

    def messages(
        self, topic: str, begin: Mapping[int, int] | None = None, end: Mapping[int, int] | None = None
    ) -> Iterator[StoredMessage]:
        from kafka import TopicPartition

        for partition, offset, stop in spans(self, topic, begin, end):
            yield from self._read_partition(TopicPartition(on_broker(self._settings, topic), partition), offset, stop)

    def _read_partition(self, place: Any, offset: int, stop: int) -> Iterator[StoredMessage]:
        with self._in_words():
            consumer = self._reader()
            consumer.assign([place])
            consumer.seek(place, offset)
        silent = 0
        while True:
            with self._in_words():
                records = consumer.poll(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS).get(place, [])
                reached = consumer.position(place)  # behind gaps of compaction and transactions, too
            for record in records:
                if record.offset < stop:
                    value, time_s = record.value or b"", record.timestamp / 1000
                    yield StoredMessage(place.partition, record.offset, time_s, value, record.headers)
            if reached >= stop:
                return
            silent = 0 if records else silent + 1
            if silent >= _SILENT_POLLS:
                raise LogError(
                    f"Kafka at {self._settings.broker} gives no message of {place.topic} partition {place.partition} from offset "
                    f"{reached} on, though it ends at {stop}: check that all its brokers are running"
                )

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        admin, self._admin = self._admin, None
        for client in (consumer, admin):
            if client is not None:
                client.close()
