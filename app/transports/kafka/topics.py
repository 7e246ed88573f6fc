"""The topics on Kafka: created once, by `python -m app init`; looked at by everybody else. Blocking."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from app.errors import LogError, SettingsError
from app.flows.deliveries import LINES, TOKENS
from app.flows.registry import TABLES, TOPICS, changelog_topic, group_of, progress_topic
from app.stores import STORES
from app.transports.kafka.admin import open_admin
from app.transports.kafka.diagnosis import unreachable
from app.transports.kafka.options import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = [
    "CHANGELOG_KEEPS_TOMBSTONES_S",
    "Droppable",
    "KafkaTopic",
    "admin",
    "broker_problems",
    "check_topics",
    "create_topics",
    "drop_topics",
    "droppable",
    "found_topics",
    "off_broker",
    "on_broker",
]

CHANGELOG_KEEPS_TOMBSTONES_S = 7 * 86400
"""A copy of the state that was away for longer may have missed that a key is gone."""

_CREATED_WITHIN_S = 30


class KafkaTopic(NamedTuple):
    """A topic as the broker describes it."""

    name: str
    incarnation: str
    """A topic created again has another one."""
    partitions: int
    replicas: int = 1
    """Of the partition that has the fewest."""
    altered: tuple[str, ...] = ()
    """What somebody configured so that the flow loses by it, a sentence each."""


_HARMFUL = "cleanup.policy", "max.message.bytes", "min.insync.replicas"


def _harm(name: str, replicas: int, wanted: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    """What of a topic's configuration deletes messages that count, or refuses them.

    >>> wanted = {"cleanup.policy": "compact", "max.message.bytes": "100"}
    >>> list(_harm("a", 1, wanted, {"cleanup.policy": "compact", "max.message.bytes": "200", "min.insync.replicas": "1"}))
    []
    >>> print(*_harm("a", 1, wanted, {"cleanup.policy": "delete", "max.message.bytes": "200", "min.insync.replicas": "2"}), sep="\\n")
    The topic a has cleanup.policy=delete and needs compact: set it back with kafka-configs.sh.
    The topic a has min.insync.replicas=2 and needs at most 1: set it back with kafka-configs.sh.
    """
    policy, largest, in_sync = (found.get(key) for key in _HARMFUL)
    needs = []
    if policy is not None and policy != wanted["cleanup.policy"]:
        needs.append((_HARMFUL[0], policy, wanted["cleanup.policy"]))
    if largest is not None and int(largest) < int(wanted["max.message.bytes"]):
        needs.append((_HARMFUL[1], largest, f"at least {wanted['max.message.bytes']}"))
    if in_sync is not None and int(in_sync) > replicas:
        needs.append((_HARMFUL[2], in_sync, f"at most {replicas}"))
    for key, value, needed in needs:
        yield f"The topic {name} has {key}={value} and needs {needed}: set it back with kafka-configs.sh."


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
    progress = common | {
        "cleanup.policy": "compact",
        "segment.bytes": str(1 << 20),
        "segment.ms": str(3600 * 1000),
        "min.cleanable.dirty.ratio": "0.1",
        "message.timestamp.type": "LogAppendTime",  # nothing else of Kafka tells its clock
    }
    flow_id = settings.flow_id
    changelogs = {changelog_topic(flow_id, table): changelog for table in TABLES}
    return dict.fromkeys(TOPICS, flow) | changelogs | {progress_topic(flow_id): progress}


def on_broker(settings: Settings, topic: str) -> str:
    """What a topic is called on the broker; groups, changelogs and the topic of progress begin with the prefix by themselves.

    >>> from app.settings import load
    >>> own = load({"WEBLOGS_BROKER": "kafka://a", "WEBLOGS_TOPIC_PREFIX": "test."})
    >>> on_broker(own, "votes"), off_broker(own, "test.votes"), on_broker(own, "test.weblogs-progress")
    ('test.votes', 'votes', 'test.weblogs-progress')
    """
    return f"{settings.topic_prefix}{topic}" if settings.on_kafka and topic in TOPICS else topic


def off_broker(settings: Settings, name: str) -> str:
    """The topic that has this name on the broker."""
    topic = name.removeprefix(settings.topic_prefix)
    return topic if settings.on_kafka and topic in TOPICS else name


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


def describe(client: Any, settings: Settings, topics: Iterable[str]) -> dict[str, KafkaTopic]:
    """Those of the topics that exist."""
    found = {}
    for told in client.describe_topics([on_broker(settings, topic) for topic in topics]):
        if told["error_code"] == 0:
            topic = off_broker(settings, told["name"])
            replicas = min(len(each["replica_nodes"]) for each in told["partitions"])
            found[topic] = KafkaTopic(told["name"], str(told["topic_id"]), len(told["partitions"]), replicas)
    return found


def create_topics(settings: Settings) -> tuple[list[KafkaTopic], list[str]]:
    """Creates what lacks and deletes nothing: all topics, and the names of the new ones.

    Safe to run by several at once. Raises LogError, and SettingsError where a topic has another number of partitions.
    """
    from kafka.admin import NewTopic
    from kafka.errors import TopicAlreadyExistsError

    wanted = _wanted(settings)
    with admin(settings) as client:
        found, created, deadline = describe(client, settings, wanted), [], time.monotonic() + _CREATED_WITHIN_S
        # more than once: a topic that is just being deleted is there, and gone a moment later
        while lacking := {topic: on_broker(settings, topic) for topic in wanted if topic not in found}:
            if time.monotonic() > deadline:
                raise LogError(
                    f"these topics are missing though they were created: {', '.join(lacking.values())}; run this again"
                )
            for topic, name in lacking.items():
                with suppress(TopicAlreadyExistsError):  # another `init` was faster
                    client.create_topics(
                        [NewTopic(name, settings.partitions, settings.kafka_replication, topic_configs=wanted[topic])]
                    )
                    created.append(name)
            client.wait_for_topics(list(lacking.values()), timeout_ms=1000 * _CREATED_WITHIN_S)
            found = describe(client, settings, wanted)
    _refuse(settings, dict(found))
    return [found[topic] for topic in wanted], list(dict.fromkeys(created))


def found_topics(settings: Settings) -> dict[str, KafkaTopic | None]:
    """Every topic by its name on the broker; None: it is missing. Raises LogError."""
    wanted = _wanted(settings)
    with admin(settings) as client:
        found = describe(client, settings, wanted)
        configs = _configs(client, [each.name for each in found.values()])
    for topic, each in found.items():
        harm = _harm(each.name, each.replicas, wanted[topic], configs.get(each.name, {}))
        found[topic] = each._replace(altered=tuple(harm))
    return {on_broker(settings, topic): found.get(topic) for topic in wanted}


def _configs(client: Any, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Topic on the broker -> what it is configured to; empty where the broker does not let us see it."""
    from kafka.admin import ConfigFilterType, ConfigResource, ConfigResourceType

    asked = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(_HARMFUL)) for name in names]
    told = client.describe_configs(asked, config_filter=ConfigFilterType.ALL) if asked else {}
    return {
        name: {key: each["value"] for key, each in configs.items()} for name, configs in told.get("topic", {}).items()
    }


def check_topics(settings: Settings) -> dict[str, KafkaTopic]:
    """All topics. Raises SettingsError where one lacks or has another number of partitions, LogError."""
    with admin(settings) as client:
        found = describe(client, settings, _wanted(settings))
    _refuse(settings, {topic: found.get(topic) for topic in _wanted(settings)})
    return found


def _refuse(settings: Settings, found: Mapping[str, KafkaTopic | None]) -> None:
    if problems := _topic_problems(settings, found):
        raise SettingsError(" ".join(problems))


def broker_problems(settings: Settings) -> list[str]:
    """What a start would refuse, and what is told and no reason to stand still, a sentence each. Raises LogError."""
    found = found_topics(settings)
    altered = [sentence for each in found.values() if each for sentence in each.altered]
    return _topic_problems(settings, found) + altered + _other_flows(settings)


def _other_flows(settings: Settings) -> list[str]:
    """A sentence for each flow of another app id that merges the same lines now: its deliveries go where ours go."""
    from kafka.errors import BrokerResponseError

    both, read = {on_broker(settings, topic) for topic in (LINES, TOKENS)}, dict[str, set[str]]()
    with admin(settings) as client:
        for group in _active(client):
            with suppress(BrokerResponseError):  # one that ends now, or whose offsets nobody may see
                read |= _read_by(client, [group])
    return [
        f"The group {group} reads {' and '.join(sorted(both))}, too. With another WEBLOGS_WINDOW its deliveries stand beside ours:"
        " give one of the two another WEBLOGS_TOPIC_PREFIX, and stores of its own."
        for group, topics in sorted(read.items())
        if group != settings.flow_id and both <= topics
    ]


def _active(client: Any) -> list[str]:
    """Groups that have members."""
    states = {each["group_id"]: each.get("group_state") for each in client.list_groups()}
    return sorted(group for group, state in states.items() if state not in ("Empty", "Dead"))


def _read_by(client: Any, groups: list[str]) -> dict[str, set[str]]:
    """The topics of which each has committed offsets."""
    read = client.list_group_offsets(groups) if groups else {}
    return {group: {at.topic for at in places} for group, places in read.items()}


def _topic_problems(settings: Settings, found: Mapping[str, KafkaTopic | None]) -> list[str]:
    """What is missing or has another number of partitions, a sentence for all topics of which the same is wrong."""
    names: dict[int, list[str]] = {}
    for topic, each in found.items():
        partitions = 0 if each is None else each.partitions
        if partitions != settings.partitions:
            names.setdefault(partitions, []).append(on_broker(settings, topic))
    if missing := names.pop(0, []):
        said = [f"{settings.broker} has no topic {', '.join(missing)}: run `python -m app init` first."]
    else:
        said = []
    return said + [
        f"{', '.join(same)} {'has' if len(same) == 1 else 'have'} {number} partitions, WEBLOGS_PARTITIONS={settings.partitions}:"
        " they must agree. What to do: docs/how-to/more-partitions.md."
        for number, same in sorted(names.items())
    ]


class Droppable(NamedTuple):
    """What `topics drop` deletes."""

    topics: list[str]
    groups: list[str]
    active: list[str]
    """Groups with members that have read these topics, also those of other app ids."""


def droppable(settings: Settings) -> Droppable:
    """Topics of this prefix, changelogs and groups of this app id, as far as they exist. Raises LogError."""
    ours = {settings.flow_id, *(group_of(settings.flow_id, store) for store in STORES)}
    with admin(settings) as client:
        topics = sorted(topic.name for topic in describe(client, settings, _wanted(settings)).values())
        there = ours.intersection(group["group_id"] for group in client.list_groups())
        read = _read_by(client, _active(client))
    active = [group for group, its in sorted(read.items()) if group in ours or its.intersection(topics)]
    return Droppable(topics, sorted(there), active)


def drop_topics(settings: Settings, found: Droppable) -> None:
    """Deletes them, with all that is in them. Raises LogError."""
    with admin(settings) as client:
        if found.topics:
            client.delete_topics(found.topics)
        if found.groups:
            client.delete_groups(found.groups)  # one that still has members stays; its offsets went with the topics
