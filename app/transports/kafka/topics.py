"""The topics on Kafka: created once, by `python -m app init`; looked at by everybody else. Blocking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from app.errors import SettingsError
from app.flows.registry import TABLES, TOPICS, changelog_topic
from app.transports.kafka.admin import open_admin
from app.transports.kafka.diagnosis import unreachable
from app.transports.kafka.options import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = [
    "CHANGELOG_KEEPS_TOMBSTONES_S",
    "Topic",
    "admin",
    "check_topics",
    "create_topics",
    "drop_topics",
]

CHANGELOG_KEEPS_TOMBSTONES_S = 7 * 86400
"""A copy of the state that was away for longer may have missed that a key is gone."""


class Topic(NamedTuple):
    """A topic as the broker describes it."""

    name: str
    incarnation: str
    """A topic created again has another one."""
    partitions: int


def _wanted(settings: Settings) -> dict[str, dict[str, str]]:
    """Name -> configuration."""
    common = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
    flow = common | {"cleanup.policy": "delete", "retention.ms": str(int(settings.kafka_retention * 1000))}
    changelog = common | {
        "cleanup.policy": "compact",
        "delete.retention.ms": str(CHANGELOG_KEEPS_TOMBSTONES_S * 1000),
        "segment.bytes": str(128 << 20),
        "segment.ms": str(24 * 3600 * 1000),
        "max.compaction.lag.ms": str(48 * 3600 * 1000),
    }
    return dict.fromkeys(TOPICS, flow) | {changelog_topic(settings.app_id, table): changelog for table in TABLES}


@contextmanager
def admin(settings: Settings) -> Iterator[Any]:
    """An admin client. Raises LogUnreachable where the brokers do not answer, SettingsError where they let nobody in."""
    from kafka.errors import KafkaError

    try:
        client = open_admin(settings, request_timeout_ms=20_000)
    except (KafkaError, OSError) as error:
        raise unreachable(settings, error) from error
    try:
        yield client
    except (KafkaError, OSError) as error:
        raise unreachable(settings, error) from error
    finally:
        client.close()


def describe(client: Any, names: Sequence[str]) -> dict[str, Topic]:
    """Those of the topics that exist."""
    found = {}
    for told in client.describe_topics(list(names)):
        if told["error_code"] == 0:
            found[told["name"]] = Topic(told["name"], str(told["topic_id"]), len(told["partitions"]))
    return found


def create_topics(settings: Settings) -> tuple[list[Topic], list[str]]:
    """Creates what lacks and deletes nothing: all topics, and the names of the new ones.

    Safe to run by several at once. Raises LogError, and SettingsError where a topic has another number of partitions.
    """
    from kafka.admin import NewTopic
    from kafka.errors import TopicAlreadyExistsError

    wanted = _wanted(settings)
    with admin(settings) as client:
        lacking = [name for name in wanted if name not in describe(client, list(wanted))]
        created = []
        for name in lacking:
            try:
                client.create_topics(
                    [NewTopic(name, settings.partitions, settings.kafka_replication, topic_configs=wanted[name])]
                )
                created.append(name)
            except TopicAlreadyExistsError:
                pass  # another `init` was faster
        if lacking:
            client.wait_for_topics(lacking, timeout_ms=30_000)
        found = describe(client, list(wanted))
    _refuse_other_partitions(settings, found)
    return [found[name] for name in wanted], created


def check_topics(settings: Settings) -> dict[str, Topic]:
    """All topics by name. Raises SettingsError where one lacks or has another number of partitions, LogError."""
    with admin(settings) as client:
        found = describe(client, list(_wanted(settings)))
    if lacking := [name for name in _wanted(settings) if name not in found]:
        raise SettingsError(f"{settings.broker} has no topic {', '.join(lacking)}: run `python -m app init` first")
    _refuse_other_partitions(settings, found)
    return found


def _refuse_other_partitions(settings: Settings, found: dict[str, Topic]) -> None:
    for topic in found.values():
        if topic.partitions != settings.partitions:
            raise SettingsError(
                f"the topic {topic.name} has {topic.partitions} partitions, WEBLOGS_PARTITIONS={settings.partitions}: they must agree; "
                "all topics have the same number, fixed when they are created"
            )


def drop_topics(settings: Settings) -> list[str]:
    """Deletes the topics and the consumer groups of this app id, with all that is in them; the names of the topics. Raises LogError."""
    with admin(settings) as client:
        names = list(describe(client, list(_wanted(settings))))
        if names:
            client.delete_topics(names)
        groups = [group["group_id"] for group in client.list_groups()]
        ours = [group for group in groups if group == settings.app_id or group.startswith(f"{settings.app_id}-")]
        if ours:
            client.delete_groups(ours)  # one that still has members stays; its offsets went with the topics
    return names
