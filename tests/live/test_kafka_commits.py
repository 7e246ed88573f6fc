"""Commits that a rebalance overtakes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from app.transports.kafka.commit import commit_once
from tests.live.running import Live
from tests.services.server import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
BEFORE, AFTER = 5, 7


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is awaited tells nobody
            await asyncio.sleep(0.1)


async def committed_after_a_commit_that_waited(broker: Server) -> tuple[bool, list[int | None]]:
    """The first member's commit waits, as it does while a broker is away, until a second member has come and committed what it was given.

    Whether the first one's succeeded, and what is committed at last, by partition.
    """
    options = {
        "bootstrap_servers": f"127.0.0.1:{broker.port}",
        "group_id": uuid.uuid4().hex,
        "enable_auto_commit": False,
    }
    first, second = (AIOKafkaConsumer("weblogs", **options) for _ in range(2))
    await first.start()
    try:
        await until(lambda: len(first.assignment()) == 4)
        every = sorted(first.assignment())
        async with first._coordinator._commit_lock:
            late = asyncio.create_task(commit_once(first, dict.fromkeys(every, BEFORE)))
            await asyncio.sleep(0.5)
            await second.start()
            try:
                await until(lambda: len(second.assignment()) == len(first.assignment()) == 2)
                assert await commit_once(second, dict.fromkeys(second.assignment(), AFTER))
            finally:
                await second.stop()
        succeeded = await late
        return succeeded, [await first.committed(at) for at in every]
    finally:
        await first.stop()


def test_a_commit_from_before_a_rebalance_does_not_overwrite_what_the_new_owner_committed(
    tmp_path: Path, broker: Server
) -> None:
    with Live(tmp_path, broker):
        succeeded, offsets = asyncio.run(committed_after_a_commit_that_waited(broker))
    assert not succeeded
    assert sorted(offset or 0 for offset in offsets) == [0, 0, AFTER, AFTER]
