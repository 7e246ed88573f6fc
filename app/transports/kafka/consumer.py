"""Faust's consumer of Kafka, which bundles small messages, forgets what it fetched from before a seek, and knows what is committed.

After a rebalance Faust seeks to the committed offsets and sets its flow going again, while a fetch from the positions
before may still be under way. What that fetch brings would be taken for what follows the committed offset, and the
messages between the two would be passed by.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from app.transports.bundles import Bundle, Bundled, InOrder, bundled
from app.transports.kafka.assignor import KnownTopics
from app.transports.kafka.commit import commit_once

__all__ = ["FETCH_WAIT_MS", "Consumer"]

log = logging.getLogger(__name__)

FETCH_WAIT_MS = 50
"""This long a broker keeps a fetch that finds nothing. One fetch is under way at a time: one of partitions at their end holds up those that
have more. Faust has it wait for 1.5 s (decision 0018)."""


class _Thread(driver.AIOKafkaConsumerThread):
    """Where the consumer is made."""

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._partition_assignment_strategy = [KnownTopics(self._assignor, self.app.conf.topic_partitions)]
        return consumer

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        now = time.monotonic()
        self.tp_last_committed_at.update(dict.fromkeys(offsets, now))
        try:
            return await commit_once(
                self._ensure_consumer(), {TopicPartition(*tp): offset for tp, offset in offsets.items()}
            )
        except Exception as error:
            self.log.exception("what is done could not be committed")
            await self.crash(error)
            return False


class Consumer(InOrder, driver.Consumer):
    """A fetch counts only if no seek went on meanwhile."""

    def __post_init__(self) -> None:
        self._seeks_ended = 0
        self._seeks_under_way = 0

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        self._seeks_under_way += 1
        try:
            await super().perform_seek()
        finally:
            self._seeks_under_way -= 1
            self._seeks_ended += 1

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        """False: nothing is committed, and nothing is taken for it: the messages come again, and are acknowledged again."""
        assigned = self.assignment()
        ours = {tp: offset for tp, offset in offsets.items() if tp in assigned}
        if not ours or not await self._commit(ours):
            return False
        self._committed_offset.update(ours)
        self.app.monitor.on_tp_commit(ours)
        return True

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        ended = self._seeks_ended
        records = await super()._getmany(active_partitions, timeout)
        if self._seeks_ended == ended and not self._seeks_under_way:
            return {
                tp: bundled(found, _single, _bundle) if self._takes_bundles(tp) else found
                for tp, found in (records or {}).items()
            }
        if records:
            # Nobody knows whether they are from before the seek or after it, and the next fetch goes on behind them.
            try:
                await self.perform_seek()
            except Exception as error:  # a rebalance: its end seeks once more; if not, the agents see the hole
                log.warning("the consumer could not seek back: %s", error)
        return {}


def _single(record: ConsumerRecord) -> Bundled:
    return Bundled(record.offset, record.timestamp / 1000, record.value, record.headers)


def _bundle(last: ConsumerRecord, bundle: Bundle) -> ConsumerRecord:
    return replace(last, key=None, value=bundle, headers=())
