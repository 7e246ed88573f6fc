"""How far consumer groups are, on either broker."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from app.transports.kafka.admin import open_admin
from app.transports.kafka.options import unreachable
from app.transports.kafka.topics import FLOW_TOPICS, READ_BY_FLOW, READ_BY_STORES

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["KafkaStanding", "Standing", "topics_of_group"]


class Standing(NamedTuple):
    """How far consumer groups are. Offsets are those of the next message to read."""

    lag: dict[tuple[str, str, int], int]
    """(group, topic, partition) -> messages not committed"""
    committed: dict[str, dict[tuple[str, int], int]]
    """group -> (topic, partition) -> offset"""


def topics_of_group(group: str, app_id: str) -> tuple[str, ...]:
    """What a group reads: the flow what comes in, a store what comes out.

    >>> topics_of_group("weblogs", "weblogs")
    ('weblogs', 'weblogs_tokens', 'votes', 'spend')
    >>> topics_of_group("weblogs-cassandra", "weblogs")
    ('weblogs_tokens', 'weblogs_rejects', 'weblogs_reduced', 'votes_reduced', 'spend_reduced')
    """
    return READ_BY_FLOW if group == app_id else READ_BY_STORES


class KafkaStanding:
    """Asks the brokers; blocking, one caller at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin: Any = None
        self._lock = threading.Lock()

    def look(self, groups: Sequence[str]) -> Standing:
        """Lag and committed offsets of the groups. Raises LogError."""
        from kafka.errors import KafkaError

        with self._lock:
            try:
                return self._look(groups)
            except (KafkaError, OSError) as error:
                self.close()
                raise unreachable(self._settings, error) from error

    def ends(self) -> dict[tuple[str, int], int]:
        """(topic, partition) -> end offset, of the flow's topics. Raises LogError."""
        from kafka.errors import KafkaError

        with self._lock:
            try:
                return self._bounds()[1]
            except (KafkaError, OSError) as error:
                self.close()
                raise unreachable(self._settings, error) from error

    def groups(self) -> dict[str, list[str]]:
        """The groups of the flow and of the settings' stores, with the topics that they read."""
        own = self._settings
        return {
            group: list(topics_of_group(group, own.app_id))
            for group in (own.app_id, *(f"{own.app_id}-{name}" for name in own.store_names))
        }

    def committed(self, group: str) -> dict[tuple[str, int], int]:
        """(topic, partition) -> offset. Raises LogError."""
        return self.look([group]).committed[group]

    def close(self) -> None:
        client, self._admin = self._admin, None
        if client is not None:
            client.close()

    def _client(self) -> Any:
        if self._admin is None:
            self._admin = open_admin(self._settings, request_timeout_ms=5_000)
        return self._admin

    def _bounds(self) -> tuple[dict[tuple[str, int], int], dict[tuple[str, int], int]]:
        """First and end offsets."""
        from kafka import TopicPartition
        from kafka.admin import OffsetSpec

        client = self._client()
        places = [
            TopicPartition(topic, partition) for topic in FLOW_TOPICS for partition in range(self._settings.partitions)
        ]
        first, end = (
            {
                (at.topic, at.partition): told.offset
                for at, told in client.list_partition_offsets(dict.fromkeys(places, spec)).items()
            }
            for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST)
        )
        return first, end

    def _look(self, groups: Sequence[str]) -> Standing:
        first, end = self._bounds()
        lag: dict[tuple[str, str, int], int] = {}
        committed: dict[str, dict[tuple[str, int], int]] = {}
        told = self._client().list_group_offsets(list(groups))
        for group in groups:
            offsets = {
                (at.topic, at.partition): place.offset for at, place in told.get(group, {}).items() if place.offset >= 0
            }
            committed[group] = offsets
            for topic in topics_of_group(group, self._settings.app_id):
                for partition in range(self._settings.partitions):
                    at = (topic, partition)
                    lag[group, topic, partition] = max(0, end[at] - max(offsets.get(at, 0), first[at]))
        return Standing(lag, committed)
