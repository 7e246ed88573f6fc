"""The table that writes the changes of a message as one changelog batch.

Faust's own table sends a changelog record for each key, one by one, changes the local state first, and shares one dict
between partitions. This one keeps a state for each partition, appends all changes of a message as one batch that the log
takes whole or not at all, waits for it, and only then changes the local state. It recovers by one bulk read, and it fences
each partition that it takes, so the previous owner can no longer write. Partitions that another worker owns and this one
stands by for are read along in the same way, so that taking them over means to read the last second only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import faust
import mode
from faust.types import TP

from app.domain.records import FOREIGN
from app.engine.outside import MakePart, PartsOf
from app.engine.partition import StatePart
from app.engine.reading import still_ours
from app.engine.state_forms import NumberedState, StateForms
from app.errors import UnknownForm
from app.process.crash_points import crash_point
from app.process.exit import EXIT_REFUSED

__all__ = ["BatchTable", "add_table"]

log = logging.getLogger(__name__)
STAND_BY_INTERVAL_S = 1.0


class BatchTable(faust.Table[bytes, bytes]):
    """Keys and values are bytes; a state of its own for each partition. Add it with `app.tables.add`."""

    app: Any
    """An app.engine.faust_app.App."""

    def __init__(self, *args: Any, make_part: MakePart, forms: StateForms, **kwargs: Any) -> None:
        """`make_part`: the state of a partition, as it was left on disk or empty; `forms`: of its values."""
        super().__init__(*args, key_type=bytes, value_type=bytes, **kwargs)
        self.parts: dict[int, StatePart] = {}
        """partition -> state; those that this worker stands by for are in `_standby`"""
        self._standby: dict[int, StatePart] = {}
        self._states: dict[int, tuple[StatePart, NumberedState]] = {}
        """The parts as steps see them, each one and the same as long as its part is."""
        self._make_part = make_part
        self._forms = forms
        self._ends: dict[int, int] = {}
        self._locks: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        """partition -> held while it is written or recovered"""
        self._changelog: Any = None
        self.recovered = 0
        """Changelog records read by all recoveries of this process."""
        self.app.on_partitions_revoked.connect(self._await_writes, weak=False)

    def state_for(self, event: Any) -> NumberedState | None:
        """What the messages of an event are to be merged into.

        None: the partition is not ours any more, or not yet; the messages will come again. What is computed from another
        state, though it is never written, would be sent: deliveries that never were.
        """
        partition = event.message.partition
        part = self.parts.get(partition) if still_ours(self.app, event) else None
        if part is None:
            return None
        known = self._states.get(partition)
        if known is None or known[0] is not part:
            known = self._states[partition] = (part, NumberedState(part, self._forms, self._where(partition)))
        return known[1]

    def _where(self, partition: int) -> str:
        return f"the state {self.name}/{partition}"

    async def write(self, event: Any, changes: Mapping[bytes, bytes | None]) -> bool:
        """Append the changes (None deletes) to the changelog of the event's partition, then apply them.

        False: the partition is not ours any more; write nothing, ack nothing, the message will come again. A failed
        append ends the process, for only a fresh recovery tells whether it took place.
        """
        partition = event.message.partition
        async with self._locks[partition]:
            part = self.parts.get(partition)
            if part is None or not still_ours(self.app, event):
                return False
            pairs = self._forms.numbered(changes)
            try:
                next_offset = await self._changelog.append(partition, pairs)
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                self.app.outside.die(f"the changelog of {self.name}/{partition} took no write", error)
            crash_point("changelog")
            part.apply(pairs, next_offset)
            crash_point("applied")
            return True

    # -- what Faust calls

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Drop the state of lost partitions. Quick: the heartbeat waits for it."""
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)
        ours = {tp for tp in assigned if tp.topic == self.changelog_topic_name}
        mine = {tp.partition for tp in ours}
        for held in (self.parts, self._standby):
            for partition in [partition for partition in held if partition not in mine]:
                held.pop(partition).close()
                self._states.pop(partition, None)
        if ours:
            self._ends = {tp.partition: end or 0 for tp, end in (await self.app.consumer.highwaters(*ours)).items()}

    async def _await_writes(self, *_: Any, **__: Any) -> None:
        """No write may be under way when the worker leaves its generation: it would be applied to a state dropped meanwhile."""
        for lock in list(self._locks.values()):
            async with lock:
                pass

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
            beside = sorted(tp.partition for tp in standby_tps if tp.topic == self.changelog_topic_name)
            async with AsyncExitStack() as held:
                for partition in sorted({*mine, *beside}):
                    await held.enter_async_context(self._locks[partition])
                if generation == self.app.consumer_generation_id:  # a late call would fence the new owner
                    await self._recover(mine, beside)
            # Faust now seeks and clears the queues of its streams. Nothing may be fetched until then: it would be lost.
            self.app.consumer.stop_flow()
        except asyncio.CancelledError:
            raise
        except UnknownForm as error:
            self.app.outside.die(str(error), code=EXIT_REFUSED)
        except BaseException as error:
            self.app.outside.die(f"the state of {self.name} could not be read from its changelog", error)

    async def _recover(self, mine: list[int], beside: list[int]) -> None:
        began, before = time.monotonic(), self.recovered
        if self._changelog is None:
            transport: Any = self.app.transport
            self._changelog = transport.open_changelog(self.changelog_topic_name, self.app.conf.topic_partitions)
        await asyncio.gather(*map(self._changelog.take, mine))
        log_id = await self._changelog.incarnation() if mine or beside else ""
        for partition in mine:
            part = self.parts.get(partition)
            if part is None:
                part = self._standby.pop(partition, None)
            if part is None:
                part = self._make_part(partition, log_id)
            await self._read_on(partition, part, crash_point)
            self.parts[partition] = part
        for partition in beside:
            owned = self.parts.pop(partition, None)
            if owned is not None or partition not in self._standby:
                await self._changelog.leave(partition)
                self._standby[partition] = self._make_part(partition, log_id) if owned is None else owned
        if mine:
            log.info(
                "%s: %d changelog records read in %.1f s", self.name, self.recovered - before, time.monotonic() - began
            )

    async def _read_on(self, partition: int, part: StatePart, passed: Callable[[str], None]) -> None:
        """Take in what the changelog has beyond the part."""
        end = await self._changelog.end_offset(partition)
        if part.next_offset > end:
            log.warning(
                "%s/%d on disk is ahead of its changelog, which has lost records: it is read anew", self.name, partition
            )
            part.wipe()
        begin = part.next_offset
        foreign = 0
        async for found in self._changelog.read(partition, begin):
            pairs = [pair for pair in found if pair[0]]  # without a key it says nothing of the state
            foreign += len(found) - len(pairs)
            self._forms.check(pairs, self._where(partition))
            self.recovered += len(pairs)
            part.apply(pairs, begin)  # cut off here, all is read again: values are absolute
            passed("recovery")
        part.apply((), end)
        if foreign:
            detail = f"{foreign} records of {self.changelog_topic_name}/{partition} have no key"
            self.app.outside.counters.put_aside(FOREIGN, detail)
            log.error("Passed over: %s", detail)

    @mode.Service.task
    async def _stand_by(self) -> None:
        while not self.should_stop:
            for partition in list(self._standby):
                async with self._locks[partition]:
                    part = self._standby.get(partition)
                    if part is not None:
                        try:
                            await self._read_on(partition, part, lambda _: None)
                        except UnknownForm as error:
                            self.app.outside.die(str(error), code=EXIT_REFUSED)
                        except Exception as error:  # the broker is away; what lacks is read later
                            log.warning("%s/%d, standing by: %s", self.name, partition, error)
            await self.sleep(STAND_BY_INTERVAL_S)

    async def on_stop(self) -> None:
        await super().on_stop()
        if self._changelog is not None:
            await self._changelog.close()
        for part in (*self.parts.values(), *self._standby.values()):
            part.close()

    @property
    def entries(self) -> int:
        """Keys held, over all partitions that are ours, those that begin with NUL left out; about, where they are on disk."""
        return sum(part.entries for part in self.parts.values())


def add_table(app: Any, name: str, parts_of: PartsOf, forms: StateForms) -> BatchTable:
    """A table of the app; `parts_of` makes its states where nothing else is asked for from outside."""
    outside = app.outside
    make_part = (outside.parts_of or parts_of)(name, outside.settings)
    table = BatchTable(app, name=name, partitions=outside.settings.partitions, make_part=make_part, forms=forms)
    app.tables.add(table)
    return table
