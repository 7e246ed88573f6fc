"""The reading half of the Faust transport on the embedded log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, cast

from faust.assignor.client_assignment import ClientAssignment
from faust.transport.consumer import Consumer as BaseConsumer
from faust.transport.consumer import ensure_TPset
from faust.types import TP, ConsumerMessage

from app.transports.bundles import MAX_MESSAGES, Bundle, Bundled, InOrder, bundled
from app.transports.embedded.producer import partition_of
from app.transports.embedded.shared_log import SharedLog
from app.transports.messages import LogRow, unpack_headers, unpack_pairs

__all__ = ["EmbeddedConsumer"]


class EmbeddedConsumer(InOrder, BaseConsumer):
    """Reads all partitions of the subscribed topics: there is one worker, so there is nobody to share them with."""

    consumer_stopped_errors: ClassVar[tuple[type[BaseException], ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shared: SharedLog | None = None
        self._positions: dict[TP, int] = {}
        self._assigned: set[TP] = set()
        self._partitions: dict[str, int] = {}
        self._news = asyncio.Event()

    # -- lifetime

    async def on_start(self) -> None:
        self._shared = cast(Any, self.transport).open_log()
        if not self.app.client_only:
            self._log.log.lock_worker()
        self._log.listen(self._news.set)
        await super().on_start()

    async def on_stop(self) -> None:
        if self._shared is None:
            return
        try:
            await super().on_stop()
        finally:
            shared, self._shared = self._shared, None
            shared.unlisten(self._news.set)
            await shared.release()

    @property
    def _log(self) -> SharedLog:
        if self._shared is None:
            raise RuntimeError("the consumer is not started")
        return self._shared

    # -- subscription

    async def create_topic(
        self, topic: str, partitions: int, replication: int, *, compacting: bool | None = None, **_: Any
    ) -> None:
        """Create the topic where it lacks. Replication and retention have no meaning here."""
        await self._log.submit(lambda tx: tx.create_topic(topic, partitions, bool(compacting)))

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Take all partitions of these topics. The assignment itself runs on its own: Faust waits for this call first."""
        names = sorted(topics)
        wanted = {name: self._wanted_partitions(name) for name in names}
        group = self.app.conf.id

        def subscribe(tx: Any) -> dict[str, int]:
            found = {}
            for name, partitions in wanted.items():
                topic = tx.find_topic(name) or tx.create_topic(name, partitions)
                found[name] = topic.partitions
            if not self.app.client_only:
                tx.register_group(group, names)
            return found

        self._partitions = await self._log.submit(subscribe)
        assigned = {TP(name, number) for name, count in self._partitions.items() for number in range(count)}
        if assigned != self._assigned:
            self.add_future(self._assign(assigned))

    def _wanted_partitions(self, topic: str) -> int:
        declared = (channel.partitions for channel in self.app.topics if topic in channel.topics and channel.partitions)
        return next(declared, None) or self.app.conf.topic_partitions

    async def _assign(self, assigned: set[TP]) -> None:
        app = self.app
        app.on_rebalance_start()
        await self.on_partitions_revoked(self._assigned - assigned)
        app.consumer_generation_id += 1
        self._assigned = assigned
        self._positions = {tp: offset for tp, offset in self._positions.items() if tp in assigned}
        self._tell_assignor(assigned)
        await self.on_partitions_assigned(set(assigned), app.consumer_generation_id)

    def _tell_assignor(self, assigned: set[TP]) -> None:
        # recovery and the router of table views ask the assignor, and nobody else would tell it
        by_topic: dict[str, list[int]] = {}
        for topic, partition in sorted(assigned):
            by_topic.setdefault(topic, []).append(partition)
        assignor: Any = self.app.assignor
        assignor._assignment = ClientAssignment(actives=by_topic, standbys={})
        assignor._active_tps = set(assigned)
        assignor._standby_tps = set()
        url = str(self.app.conf.canonical_url)
        changelogs = self.app.tables.changelog_topics
        assignor.changelog_distribution = {
            url: {topic: numbers for topic, numbers in by_topic.items() if topic in changelogs}
        }
        assignor.external_topic_distribution = {
            url: {topic: numbers for topic, numbers in by_topic.items() if topic not in changelogs}
        }

    def assignment(self) -> set[TP]:
        return set(self._assigned)

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    # -- fetching

    async def _wait_next_records(self, timeout: float) -> tuple[Any, set[TP] | None]:
        # as in the base class, which sleeps a whole second while the queues of all partitions are full
        if not self.flow_active:
            await self.wait(cast(Any, self.can_resume_flow))
        active = None if self.app.client_only else self._get_active_partitions()
        return await self._getmany(active, timeout), active

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, list[Any]]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            self._news.clear()
            records = await self._fetch_news(active_partitions)
            if records:
                return records
            remaining = deadline - loop.time()
            if remaining <= 0 or self.should_stop:
                return {}
            try:
                await asyncio.wait_for(self._news.wait(), remaining)
            except TimeoutError:
                return {}

    async def _fetch_news(self, active: set[TP] | None) -> dict[TP, list[Any]]:
        ends, positions = self._log.ends, self._positions
        among = self._assigned if active is None else active
        wanted = [(tp, positions[tp]) for tp in among if tp in positions and positions[tp] < ends.get(tp, 0)]
        if not wanted:
            return {}
        found = {}
        for tp, position, records, following in await self._log.run(self._fetch, wanted):
            if (
                self._positions.get(tp) == position
            ):  # else it was moved meanwhile, and these are not the records to read
                self._positions[tp] = following
                found[tp] = records
        return found

    def _fetch(self, wanted: list[tuple[TP, int]]) -> list[tuple[TP, int, list[LogRow], int]]:
        """Runs in a reader thread; by partition: where it was read from, the records, and where to go on."""
        log = self._log.log
        share = self.app.conf.stream_buffer_maxsize // len(wanted)
        found = []
        for tp, position in wanted:
            rows = log.read(tp.topic, tp.partition, position, MAX_MESSAGES, share)
            if self._takes_bundles(tp):
                records = rows = bundled(rows, _single, _bundle)
            else:
                records = _single_records(rows, position)
            if rows:
                last = rows[-1]
                following = last.offset + (1 if last.packed is None else last.packed)
                found.append((tp, position, records, following))
        return found

    def _to_message(self, tp: TP, record: LogRow) -> ConsumerMessage:
        offset, _, timestamp, key, value, headers = record
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            offset,
            timestamp,
            0,
            unpack_headers(headers),
            key,
            value,
            None,
            len(key) if key is not None else 0,
            len(value) if value is not None else 0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    def on_buffer_drop(self, tp: TP) -> None:
        super().on_buffer_drop(tp)
        self._news.set()

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        super().resume_partitions(tps)
        self._news.set()

    # -- positions

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """To the committed offset of the group, or the earliest there is. Changelogs are not consumed by commits."""
        committed = await self._log.run(self._log.log.committed, self.app.conf.id)
        bounds = await self._log.run(self._log.log.bounds)
        from_end = self.app.conf.consumer_auto_offset_reset == "latest"
        offsets = {}
        for tp in self._assigned:
            if not self._is_changelog_tp(tp):
                first, end = bounds[tp]
                offsets[tp] = max(committed.get(tp, end if from_end else first), first)
        self._move(offsets)
        return offsets

    async def perform_seek(self) -> None:
        """What was trimmed before this group read it (a store that was added later) is told."""
        await super().perform_seek()
        if getattr(self.app, "takes_bundles", False) and (lost := await self.gone()):
            await cast(Any, self.app).tell_losses(lost)
            await self.pass_over({tp: end for tp, _, end in lost})

    async def gone(self) -> list[tuple[TP, int, int]]:
        """What is trimmed and was not committed: partition, first offset, offset after the last."""
        committed = await self._log.run(self._log.log.committed, self.app.conf.id)
        bounds = await self._log.run(self._log.log.bounds)
        ours = (tp for tp in sorted(self._assigned) if self._takes_bundles(tp))
        spans = [(tp, committed.get(tp, 0), bounds[tp][0]) for tp in ours]
        return [span for span in spans if span[1] < span[2]]

    async def unread(self) -> list[tuple[TP, int, int]]:
        """Nothing that a look could pass over: each offset of this log has a message."""
        return []

    async def pass_over(self, offsets: Mapping[TP, int]) -> None:
        """Go on at these offsets, now and after a restart."""
        await self._commit(offsets)
        self._committed_offset.update(offsets)

    async def _seek(self, tp: TP, offset: int) -> None:
        self._move({tp: max(offset, 0)})

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        self._move({tp: max(offset, 0) for tp, offset in partitions.items()})
        self._read_offset.update({tp: offset or None for tp, offset in partitions.items()})

    def _move(self, offsets: Mapping[TP, int]) -> None:
        self._positions.update(offsets)
        self._news.set()

    async def position(self, tp: TP) -> int | None:
        return self._positions.get(tp)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        group = self.app.conf.id
        known: dict[Any, int] = dict(offsets)
        await self._log.submit(lambda tx: tx.commit(group, known))
        return True

    def highwater(self, tp: TP) -> int:
        return self._log.ends.get(tp, 0)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        bounds = await self._log.run(self._log.log.bounds)
        return {tp: bounds[tp][1] for tp in ensure_TPset(partitions or self._assigned)}

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        bounds = await self._log.run(self._log.log.bounds)
        return {tp: bounds[tp][0] for tp in ensure_TPset(partitions or self._assigned)}

    def topic_partitions(self, topic: str) -> int | None:
        return self._partitions.get(topic)

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        if partition is not None:
            return partition
        return partition_of(key, self._partitions[topic], 0) if topic in self._partitions else None

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing to verify: the base class would look for a stalled broker connection."""

    def verify_recovery_event_path(self, now: float, tp: TP) -> None:
        """Nothing to verify, as above."""


def _single(row: LogRow) -> Bundled:
    return Bundled(row.offset, row.timestamp, row.value, unpack_headers(row.headers))


def _bundle(last: LogRow, bundle: Bundle) -> LogRow:
    return last._replace(key=None, value=bundle, headers=None)  # type: ignore[arg-type]


def _single_records(rows: list[LogRow], position: int) -> list[LogRow]:
    """Batches of a changelog taken apart; messages as they are."""
    records: list[LogRow] = []
    for row in rows:
        if row.packed is None:
            records.append(row)
        else:
            pairs = unpack_pairs(row.value or b"")
            single = (LogRow(row.offset + place, None, row.timestamp, *pair, None) for place, pair in enumerate(pairs))
            records += (record for record in single if record.offset >= position)
    return records
