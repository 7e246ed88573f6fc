"""Commits offsets to Kafka within one generation of the group.

aiokafka tries a commit again and again while the broker is away, and takes the generation of each try for its own: offsets from
before a rebalance are then committed after it, over those of the partition's new owner. And Faust takes offsets for committed that the
broker refused. In both cases what is committed lags behind what is done until the partition's next message, which may never come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalGenerationError, KafkaError, RebalanceInProgressError, UnknownMemberIdError
from aiokafka.structs import OffsetAndMetadata

from app.process.pauses import pauses

__all__ = ["SIGNED", "commit_once", "unsigned"]

SIGNED = "weblogs"
"""Stands beside each offset that a worker commits; tools with which an operator moves an offset write nothing there."""
RETRY_AFTER_S = 0.1
_REBALANCED = (IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError)


async def commit_once(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> bool:
    """Commit the offsets of partitions that are assigned, once the broker answers; in the consumer's event loop.

    False: the group was or is rebalanced, nothing is committed, and the partitions are read again from what was committed before.
    Raises KafkaError where the broker refuses for another reason.
    """
    coordinator: Any = consumer._coordinator
    generation = coordinator.generation
    known = {at: OffsetAndMetadata(offset, SIGNED) for at, offset in offsets.items()}
    async for _ in pauses(RETRY_AFTER_S, RETRY_AFTER_S):
        await coordinator.ensure_coordinator_known()
        try:
            async with coordinator._commit_lock:
                # The request takes its generation from the coordinator, without an await in between; below 0 it is out of the group.
                if not 0 <= generation == coordinator.generation or not known.keys() <= consumer.assignment():
                    return False
                await asyncio.shield(coordinator._do_commit_offsets(None, known))
                return True
        except _REBALANCED:
            return False
        except KafkaError as error:
            if not error.retriable:
                raise
    raise AssertionError("pauses() has no end")


async def unsigned(consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """The committed offsets among these that no worker committed; in the consumer's event loop. Raises KafkaError."""
    coordinator: Any = consumer._coordinator
    told = await coordinator.fetch_committed_offsets(list(places))
    return {at: found.offset for at, found in told.items() if found.offset >= 0 and found.metadata != SIGNED}
