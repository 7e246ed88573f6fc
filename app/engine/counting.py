"""From a topic of events to their sums: what all flows that count have in common.

For each partition of a batch: compute aside, send the outputs, append the changelog, change the local state, ack.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from app.domain.counted import CountedKind
from app.domain.records import Reject, raw_ids
from app.engine.foreign import put_damage_aside
from app.engine.losses import named_topic
from app.engine.reading import TakenMessage, acknowledge, batches, by_partition
from app.engine.sending import send_all
from app.engine.table import BatchTable
from app.flows.deliveries import REJECTS
from app.messages.events import Read, encode_counted, read_events
from app.messages.forms import place_of
from app.messages.records import encode_rejects
from app.process.crash_points import crash_point
from app.steps.ledger import Arrived, Ledger
from app.transports.messages import Message

__all__ = ["EventCounting"]

MAX_BATCH_BYTES = 1 << 20
"""Counting this much blocks the event loop for some tens of milliseconds."""
_INDEX_BITS = 24
_MAX_SHOWN_CHARS = 4096


class EventCounting:
    """The agent that counts the events of one kind."""

    def __init__(
        self,
        app: Any,
        kind: CountedKind[Any],
        table: BatchTable,
        events_of: Callable[[bytes, str], Read[Any]] | None = None,
    ) -> None:
        """`events_of` reads a message of another flow, of which the kind counts something; errors name the place that it is given."""
        self._app, self._table, self._outside = app, table, app.outside
        self._kind, self._source = kind, kind.topic_in
        self._events_of = events_of or (lambda value, place: read_events(kind, value))
        settings = app.outside.settings
        self._ledger: Ledger[Any] = Ledger(kind.rules(settings), settings.changelog_batch_bytes)

    async def run(self, stream: Any) -> None:
        """Count all that the stream brings."""
        async for batch in batches(self._app, stream, MAX_BATCH_BYTES):
            topic = await named_topic(self._app, self._source, stream.channel.queue)
            # the partitions side by side: while one waits for the disk the next is computed, and one sync serves them all
            parts = by_partition(batch).values()
            for part, done in zip(
                parts, await asyncio.gather(*(self.count(topic, part) for part in parts)), strict=True
            ):
                if done:
                    await acknowledge(stream, part)
            crash_point("count_acked")

    async def count(self, topic: str, part: list[TakenMessage]) -> bool:
        """Messages of one partition. False: it is not ours any more; they will come again, to whoever owns it."""
        partition = part[-1].partition
        state = self._table.state_for(part[-1].event)
        if state is None:
            return False
        messages, rejects = self._arrived(topic, part)
        await self._send_rejects(rejects, partition)
        counts = self._outside.counters.events
        first = True
        for step in self._ledger.steps(topic, partition, state, messages):
            if not first:
                crash_point("count_slice")
            first = False
            if step.damages:
                await put_damage_aside(self._app, self._kind.table, partition, step.damages)
            if step.events or step.sums:
                kept = step.events if self._kind.events_table else ()
                await self._send(self._kind.reduced, partition, encode_counted(kept, step.sums))
                crash_point("count_outputs")
            if not await self._table.write(part[-1].event, step.changes):
                return False
            crash_point("count_written")
            counts[self._kind.name, "counted"] += len(step.events)
            counts[self._kind.name, "repeats"] += step.repeats
        return True

    def _arrived(self, topic: str, part: list[TakenMessage]) -> tuple[list[Arrived[Any]], list[Reject]]:
        messages: list[Arrived[Any]] = []
        rejects: list[Reject] = []
        for message in part:
            place = place_of(self._source, message.partition, message.offset)
            events, bad = self._events_of(message.value, place)
            messages.append(Arrived(message.offset, message.timestamp, events))
            if bad:
                source = f"{topic}/{message.partition}"
                identify = raw_ids(source)
                for index, why, text in bad:
                    position = message.offset << _INDEX_BITS | index
                    shown = text[:_MAX_SHOWN_CHARS]
                    rejects.append(
                        Reject("bad_columns", why, shown, identify(position), source, position, message.timestamp)
                    )
        return messages, rejects

    async def _send_rejects(self, rejects: list[Reject], partition: int) -> None:
        if rejects:
            self._outside.counters.events[self._kind.name, "bad"] += len(rejects)
            await self._send(REJECTS, partition, encode_rejects(rejects))

    async def _send(self, topic: str, partition: int, values: list[bytes]) -> None:
        now = self._outside.clock()
        await send_all(self._app, [Message(topic, partition, None, value, {}, now) for value in values])
