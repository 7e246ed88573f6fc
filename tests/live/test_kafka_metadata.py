"""A member of a group that asked for its topics while the broker was away."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from app.transports.kafka.assignor import KnownTopics
from tests.live.running import Live
from tests.services.server import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
TOPICS = ("weblogs", "weblogs_tokens", "weblogs_rejects", "weblogs_reduced")
PATIENCE_S = 40.0


async def partitions_of_a_member_that_knew_no_topics(
    live: Live, broker: Server, patience_s: float
) -> tuple[int, bytes | None]:
    """How many it has at last, and a message that it reads. Its first question for topics is answered by nobody; then it leads its group, as
    the only member."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=f"127.0.0.1:{broker.port}",
        group_id=uuid.uuid4().hex,
        auto_offset_reset="earliest",
        partition_assignment_strategy=[KnownTopics(RoundRobinPartitionAssignor, live.settings.partitions)],
    )
    await consumer.start()
    try:
        broker.kill()
        consumer.subscribe(TOPICS)
        await asyncio.sleep(1)
        broker.start()
        await asyncio.to_thread(broker.wait_ready)
        for _ in range(int(patience_s / 0.2)):
            if consumer.assignment():
                break
            await asyncio.sleep(0.2)
        found = len(consumer.assignment())
        await asyncio.to_thread(live.send, "weblogs", 3, b"one")
        async with asyncio.timeout(patience_s):
            return found, (await consumer.getone()).value
    finally:
        await consumer.stop()


def test_a_worker_that_starts_while_the_broker_goes_away_gets_its_partitions_soon(
    tmp_path: Path, broker: Server
) -> None:
    with Live(tmp_path, broker) as live:
        found = asyncio.run(partitions_of_a_member_that_knew_no_topics(live, broker, PATIENCE_S))
        assert found == (len(TOPICS) * live.settings.partitions, b"one")
