"""Who gets which partitions when the leader has not heard of the topics."""

from __future__ import annotations

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from app.transports.kafka.assignor import KnownTopics

MEMBERS = {name: RoundRobinPartitionAssignor.metadata(["a", "b"]) for name in ("one", "two", "three")}


@pytest.mark.parametrize("partitions", [1, 4, 7])
def test_every_partition_goes_to_one_member_though_the_leader_knows_no_topic(partitions: int) -> None:
    cluster = ClusterMetadata(bootstrap_servers="127.0.0.1:1")
    assert not any(each.assignment for each in RoundRobinPartitionAssignor.assign(cluster, MEMBERS).values()), (
        "aiokafka's own gives nothing"
    )
    told = KnownTopics(RoundRobinPartitionAssignor, partitions).assign(cluster, MEMBERS)
    given = sorted(
        (topic, number) for each in told.values() for topic, numbers in each.assignment for number in numbers
    )
    assert given == [(topic, number) for topic in ("a", "b") for number in range(partitions)]
