"""The table that writes the changes of a message as one changelog batch.

Faust's own table sends a changelog record for each key, one by one, changes the local state first, and shares one dict
between partitions. This one keeps a state for each partition, appends all changes of a message as one batch that the log
takes whole or not at all, waits for it, and only then changes the local state. It recovers by one bulk read, and it fences
each partition that it takes: whoever owned it before can write no more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import faust
from faust.types import TP

from app.crash import crash_point
from app.ending import die
from app.intake import still_ours
from app.transports.changelog import open_changelog

__all__ = ["BatchTable"]

log = logging.getLogger(__name__)


class BatchTable(faust.Table):
    """Keys and values are bytes; one dict a partition. Add it with `app.tables.add`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parts: dict[int, dict[bytes, bytes]] = {}
        """partition -> state"""
        self._next: dict[int, int] = {}
        """partition -> offset after the last changelog record in the state"""
        self._ends: dict[int, int] = {}
        self._named: dict[int, set[bytes]] = {}
        """partition -> keys that begin with NUL: names of the state's own, not of what it counts"""
        self._locks: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        """partition -> held while it is written or recovered"""
        self._changelog: Any = None
        self.recovered = 0
        """Changelog records read by all recoveries of this process."""

    async def write(self, event: Any, changes: Mapping[bytes, bytes | None]) -> bool:
        """Append the changes (None deletes) to the changelog of the event's partition, then apply them.

        False: the partition is not ours any more; write nothing, ack nothing, the message will come again. A failed
        append ends the process, for only a fresh recovery tells whether it took place.
        """
        partition = event.message.partition
        async with self._locks[partition]:
            if not still_ours(self.app, event) or partition not in self._next:
                return False
            try:
                self._next[partition] = await self._changelog.append(partition, list(changes.items()))
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                die(f"the changelog of {self.name}/{partition} took no write", error)
            crash_point("changelog")
            self._apply(partition, changes.items())
            crash_point("applied")
            return True

    def _apply(self, partition: int, pairs: Any) -> None:
        state, named = self.parts.setdefault(partition, {}), self._named.setdefault(partition, set())
        for key, value in pairs:
            if value is None:
                state.pop(key, None)
                named.discard(key)
            else:
                state[key] = value
                if key[0] == 0:
                    named.add(key)

    # -- what Faust calls

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0) -> None:
        """Drop the state of lost partitions. Quick: the heartbeat waits for it."""
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)
        ours = {tp for tp in assigned if tp.topic == self.changelog_topic_name}
        mine = {tp.partition for tp in ours}
        for partition in [partition for partition in self._next if partition not in mine]:
            self.parts.pop(partition, None)
            self._named.pop(partition, None)
            del self._next[partition]
        if ours:
            self._ends = {tp.partition: end or 0 for tp, end in (await self.app.consumer.highwaters(*ours)).items()}

    def persisted_offset(self, tp: TP) -> int | None:
        """As if all were recovered: Faust reads no changelog, we do."""
        return self._ends.get(tp.partition, 0) - 1

    def apply_changelog_batch(self, batch: Any) -> None:
        """Nothing: see on_recovery_completed."""

    async def on_changelog_event(self, event: Any) -> None:
        """Nothing: see on_recovery_completed."""

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Fence and read the partitions that are ours now. Faust swallows exceptions here, so none gets out."""
        generation = self.app.consumer_generation_id
        try:
            mine = sorted(tp.partition for tp in active_tps if tp.topic == self.changelog_topic_name)
            async with AsyncExitStack() as held:
                for partition in mine:
                    await held.enter_async_context(self._locks[partition])
                if generation == self.app.consumer_generation_id:  # a late call would fence the new owner
                    await self._recover(mine)
            # Faust now seeks and clears the queues of its streams. Nothing may be fetched until then: it would be lost.
            self.app.consumer.stop_flow()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            die(f"the state of {self.name} could not be read from its changelog", error)

    async def _recover(self, partitions: list[int]) -> None:
        began, before = time.monotonic(), self.recovered
        if self._changelog is None:
            self._changelog = open_changelog(self.app, self.changelog_topic_name, self.app.conf.topic_partitions)
        for partition in partitions:
            await self._changelog.take(partition)
        for partition in partitions:
            self._apply(partition, ())
            async for pairs in self._changelog.read(partition, self._next.get(partition, 0)):
                self.recovered += len(pairs)
                self._apply(partition, pairs)
                crash_point("recovery")
            self._next[partition] = await self._changelog.end_offset(partition)
        if partitions:
            log.info("%s: %d changelog records read in %.1f s", self.name, self.recovered - before, time.monotonic() - began)

    async def on_stop(self) -> None:
        await super().on_stop()
        if self._changelog is not None:
            await self._changelog.close()

    @property
    def entries(self) -> int:
        """Keys held, over all partitions, those that begin with NUL left out."""
        return sum(map(len, self.parts.values())) - sum(map(len, self._named.values()))
