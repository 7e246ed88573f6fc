"""The counted flows: a table, an agent that counts, and an agent for each store, made of a kind of events.

For each partition of a batch: compute aside, send the outputs, append the changelog, change the local state, ack.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Generic, NamedTuple, TypeVar

from app.domain.counted import CountedKind
from app.domain.records import Reject, raw_ids
from app.engine.batches import Taken, acknowledge, batches, by_partition, or_end
from app.engine.outputs import send_all
from app.engine.partition import counting_parts
from app.engine.store_writes import stores, write_until_taken
from app.engine.table import BatchTable
from app.engine.topology import Sink, app, counted_topics, sinks
from app.messages.events import decode_counted, encode_counted, gathered, read_events
from app.messages.records import encode_rejects
from app.process.counters import counters
from app.process.crash_points import crash_point
from app.settings import settings
from app.steps.ledger import Arrived, Ledger
from app.transports.messages import Message

__all__ = ["EventFlow", "counting_flow", "counting_table", "storing_agents"]

MAX_BATCH_BYTES = 1 << 20
"""Counting this much blocks the event loop for some tens of milliseconds."""
_INDEX_BITS = 24
_MAX_SHOWN_CHARS = 4096

Event = TypeVar("Event", bound=tuple[Any, ...])


class EventFlow(NamedTuple, Generic[Event]):
    """From a topic of events to their sums."""

    app: Any
    kind: CountedKind[Event]
    table: BatchTable
    ledger: Ledger[Event]

    @property
    def source(self) -> str:
        """The topic of the events."""
        return self.kind.name

    def agent(self, name: str) -> Any:
        """The agent that counts."""

        @self.app.agent(counted_topics[self.source], name=name)
        @or_end
        async def count(stream: Any) -> None:
            await self.run(stream)

        return count

    async def run(self, stream: Any) -> None:
        """Count all that the stream brings."""
        topic = ""
        async for batch in batches(self.app, stream, MAX_BATCH_BYTES):
            topic = topic or f"{self.source}@{await self.app.topics_log.incarnation(self.source)}"
            # the partitions side by side: while one waits for the disk the next is computed, and one sync serves them all
            parts = by_partition(batch).values()
            for part, done in zip(
                parts, await asyncio.gather(*(self._count(topic, part) for part in parts)), strict=True
            ):
                if done:
                    await acknowledge(stream, part)
            crash_point("count_acked")

    async def _count(self, topic: str, part: list[Taken]) -> bool:
        """Messages of one partition. False: it is not ours any more; they will come again, to whoever owns it."""
        partition = part[-1].partition
        state = self.table.state_for(part[-1].event)
        if state is None:
            return False
        messages, rejects = self._arrived(topic, part)
        await self._send_rejects(rejects, partition)
        first = True
        for step in self.ledger.steps(topic, partition, state, messages):
            if not first:
                crash_point("count_slice")
            first = False
            if step.events or step.sums:
                now = time.time()
                values = encode_counted(step.events, step.sums)
                await send_all(
                    self.app, [Message(self.kind.reduced, partition, None, value, {}, now) for value in values]
                )
                crash_point("count_outputs")
            if not await self.table.write(part[-1].event, step.changes):
                return False
            crash_point("count_written")
            counters.events[self.source, "counted"] += len(step.events)
            counters.events[self.source, "repeats"] += step.repeats
        return True

    def _arrived(self, topic: str, part: list[Taken]) -> tuple[list[Arrived[Event]], list[Reject]]:
        messages: list[Arrived[Event]] = []
        rejects: list[Reject] = []
        for message in part:
            events, bad = read_events(self.kind, message.value)
            messages.append(Arrived(message.offset, message.timestamp, events))
            if bad:
                source = f"{topic}/{message.partition}"
                identify = raw_ids(source)
                for index, why, text in bad:
                    position = message.offset << _INDEX_BITS | index
                    rejects.append(
                        Reject(
                            "bad_columns",
                            why,
                            text[:_MAX_SHOWN_CHARS],
                            identify(position),
                            source,
                            position,
                            message.timestamp,
                        )
                    )
        return messages, rejects

    async def _send_rejects(self, rejects: list[Reject], partition: int) -> None:
        if rejects:
            counters.events[self.source, "bad"] += len(rejects)
            values = encode_rejects(rejects)
            await send_all(
                self.app, [Message("weblogs_rejects", partition, None, value, {}, time.time()) for value in values]
            )


def counting_table(kind: CountedKind[Any]) -> BatchTable:
    """The flow's table of a kind. Partitioned like its topic; keys and values: see app.steps.ledger."""
    table = BatchTable(
        app,
        name=kind.table,
        key_type=bytes,
        value_type=bytes,
        partitions=app.conf.topic_partitions,
        make_part=counting_parts(kind.table),
    )
    app.tables.add(table)
    return table


def counting_flow(kind: CountedKind[Any], table: BatchTable) -> EventFlow[Any]:
    """The flow that counts a kind's events into its table."""
    own = settings()
    return EventFlow(app, kind, table, Ledger(kind.rules(own), own.changelog_batch_bytes))


def storing_agents(kind: CountedKind[Any], name: str) -> list[Any]:
    """For each store of this worker the agent that writes what counts of a kind."""

    def storing(store: str, sink: Sink) -> Any:
        @sink.app.agent(sink.counted[kind.name], name=name)
        @or_end
        async def write(stream: Any) -> None:
            ledgers = stores[store].ledgers
            async for batch in batches(sink.app, stream):
                events, sums = gathered(decode_counted(kind, taken.value) for taken in batch)
                await write_until_taken(sink.app, store, lambda some: ledgers.write_events(kind, some), events)
                await write_until_taken(sink.app, store, lambda some: ledgers.write_sums(kind, some), sums)
                await acknowledge(stream, batch)

        return write

    return [storing(store, sink) for store, sink in sinks.items()]
