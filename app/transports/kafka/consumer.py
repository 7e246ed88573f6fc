"""Faust's consumer of Kafka, which bundles small messages, forgets what it fetched from before a seek, and knows what is committed.

After a rebalance Faust seeks to the committed offsets and sets its flow going again, while a fetch from the positions
before may still be under way. What that fetch brings would be taken for what follows the committed offset, and the
messages between the two would be passed by.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from app.errors import WeblogsError
from app.messages.progress import GroupProgress
from app.settings import settings
from app.transports.bundles import Bundle, Bundled, InOrder, bundled
from app.transports.kafka.assignor import KnownTopics
from app.transports.kafka.commit import commit_once, unsigned
from app.transports.kafka.topics import off_broker

__all__ = ["FETCH_WAIT_MS", "KafkaWorkerConsumer"]

log = logging.getLogger(__name__)

FETCH_WAIT_MS = 50
"""This long a broker keeps a fetch that finds nothing. One fetch is under way at a time: one of partitions at their end holds up those that
have more. Faust has it wait for 1.5 s (decision 0018)."""


class _Thread(driver.AIOKafkaConsumerThread):
    """Where the consumer is made."""

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        # the other half was taken from the last fetch
        consumer._fetch_max_bytes = self.app.conf.stream_buffer_maxsize // 2
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

    async def unsigned(self, tps: Sequence[TP]) -> dict[TP, int]:
        """See app.transports.kafka.commit."""

        async def ask() -> dict[TP, int]:
            found = await unsigned(self._ensure_consumer(), [TopicPartition(*tp) for tp in tps])
            return {TP(*at): offset for at, offset in found.items()}

        told: dict[TP, int] = await self.call_thread(ask)
        return told


class KafkaWorkerConsumer(InOrder, driver.Consumer):
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
            if getattr(self.app, "takes_bundles", False):
                await cast(Any, self.app).end_if_made_anew()
            await self._seek_to_beginnings()
            if getattr(self.app, "takes_bundles", False):
                await self._tell_losses()
        finally:
            self._seeks_under_way -= 1
            self._seeks_ended += 1

    async def _seek_to_beginnings(self) -> None:
        """aiokafka leaves a partition of which nothing is committed where it was, behind messages that are to be read again."""
        fresh = [tp for tp in self._read() if not self._committed_offset.get(tp)]
        if fresh:
            first = await self.earliest_offsets(*fresh)
            await self.seek_wait({tp: first[tp] for tp in fresh if first.get(tp) is not None})

    def _read(self) -> list[TP]:
        """The partitions whose messages agents read."""
        changelogs = self.app.tables.changelog_topics
        return sorted(tp for tp in self.assignment() if tp.topic not in changelogs)

    async def _tell_losses(self) -> None:
        """What the log has deleted unread, and what lies between the mark and an offset that no worker committed."""
        deleted = await self.gone()
        moved = await cast(_Thread, self._thread).unsigned(self._read())
        marks = await self._marks() if deleted or moved else {}

        def mark_of(tp: TP, default: int) -> int:
            return marks.get((self.app.conf.id, off_broker(settings(), tp.topic), tp.partition), default)

        # a group that was away for long has no offsets any more, and its marks
        begun = [(tp, first or mark_of(tp, 0), end) for tp, first, end in deleted]
        lost = [span for span in begun if span[1] < span[2]]
        lost += [(tp, mark, offset) for tp, offset in moved.items() if (mark := mark_of(tp, offset)) < offset]
        if lost:
            await cast(Any, self.app).tell_losses(lost)
        if deleted or moved:
            gone = {tp: end for tp, _, end in (*deleted, *lost)}
            await self.pass_over({tp: max(gone.get(tp, 0), moved.get(tp, 0)) for tp in {*gone, *moved}})

    async def _marks(self) -> Mapping[tuple[str, str, int], int]:
        try:
            progress: GroupProgress = await cast(Any, self.transport).progress()
        except WeblogsError as error:
            cast(Any, self.app).outside.die(f"what was read before is not known: {error}")
            raise
        return progress.marks

    async def gone(self) -> list[tuple[TP, int, int]]:
        """What is deleted and was not committed: partition, first offset, offset after the last."""
        ours = self._read()
        first = await self.earliest_offsets(*ours) if ours else {}
        spans = [(tp, self._committed_offset.get(tp) or 0, first.get(tp) or 0) for tp in ours]
        return [span for span in spans if span[1] < span[2]]

    async def unread(self) -> list[tuple[TP, int, int]]:
        """What the log has beyond what was committed: partition, first offset, offset after the last."""
        ours = self._read()
        ends = await self.highwaters(*ours) if ours else {}
        spans = [(tp, self._committed_offset.get(tp) or 0, ends.get(tp) or 0) for tp in ours]
        return [span for span in spans if span[1] < span[2]]

    async def pass_over(self, offsets: Mapping[TP, int]) -> None:
        """Go on at these offsets, now and after a restart."""
        await self._commit_offsets(offsets)

    async def begin_anew(self, topics: Collection[str]) -> None:
        """After a restart all of these topics is read from its beginning."""
        await self._commit_offsets({tp: 0 for tp in self._read() if tp.topic in topics})

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        """False: nothing is committed, and nothing is taken for it: the messages come again, and are acknowledged again."""
        assigned = self.assignment()
        ours = {tp: offset for tp, offset in offsets.items() if tp in assigned}
        if not ours:
            return False
        if getattr(self.app, "takes_bundles", False):
            await cast(Any, self.app).note_read(ours)
        if not await self._commit(ours):
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
