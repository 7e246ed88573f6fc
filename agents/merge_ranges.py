"""weblogs_tokens -> [byte_ranges] -> weblogs_reduced: merge hits into deliveries.

For each message: compute the new values aside, send the records, append the changelog, change the local state, ack.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from app.domain.open_deliveries import SizeOf, no_sizes
from app.domain.requests import query_rule
from app.engine.foreign import put_damage_aside, readable
from app.engine.reading import Agent, TakenMessage, acknowledge, batches, by_partition
from app.engine.sending import send_all
from app.engine.table import BatchTable
from app.flows.deliveries import REDUCED, TOKENS
from app.messages.records import encode_deliveries
from app.messages.tokens import decode_tokens
from app.process.crash_points import crash_point
from app.sources.identity.sizes import Sizes, with_learned
from app.steps.merger import Merger
from app.transports.messages import Message

__all__ = ["RangeMerging", "merge_ranges"]

MAX_BATCH_BYTES = 2 << 20
ENOUGH_BYTES = 1 << 20
"""What two batches of lines give. Each key of a batch is read from the state and written to it, its changelog and its topic once."""
log = logging.getLogger(__name__)


class RangeMerging:
    """The agent."""

    def __init__(self, app: Any, table: BatchTable) -> None:
        self._app, self._table, self._outside = app, table, app.outside
        own = app.outside.settings
        query = query_rule(own.query)
        given = Sizes(Path(own.sizes), query) if own.sizes else None
        learned = Sizes(own.learned_sizes_path, query, may_lack=True) if own.learn_sizes else None
        self._files = [each for each in (given, learned) if each is not None]
        size_of: SizeOf = given or no_sizes
        if learned is not None:
            size_of = with_learned(learned, size_of)
        self._merger = Merger(own.rules, size_of, own.state_ttl, own.changelog_batch_bytes)

    async def run(self, stream: Any) -> None:
        """Merge all that the stream brings."""
        async for batch in batches(self._app, stream, MAX_BATCH_BYTES, ENOUGH_BYTES):
            for sizes in self._files:
                if sizes.is_changed and (problem := await asyncio.to_thread(sizes.refresh)) is not None:
                    log.error("%s; the sizes known before stay", problem)
            # The partitions side by side: while one waits for the disk, the next is computed, and one sync serves them all.
            parts = by_partition(batch).values()
            for part, done in zip(parts, await asyncio.gather(*map(self.merge, parts)), strict=True):
                if done:
                    await acknowledge(stream, part)
            crash_point("acked")
            del batch, parts, part  # nothing of them is kept until the next

    async def merge(self, part: list[TakenMessage]) -> bool:
        """Messages of one partition. False: it is not ours any more; they will come again, to whoever owns it."""
        partition = part[-1].partition
        state = self._table.state_for(part[-1].event)
        if state is None:
            return False
        first = True
        for step in self._merger.steps(partition, state, await readable(self._app, TOKENS, part, decode_tokens)):
            if not first:
                crash_point("slice")
            first = False
            if step.damages:
                await put_damage_aside(self._app, self._table.name, partition, step.damages)
            if step.records:
                now = self._outside.clock()
                values = encode_deliveries(step.records)
                await send_all(self._app, [Message(REDUCED, partition, None, each, {}, now) for each in values])
                crash_point("outputs")
            if step.changes and not await self._table.write(part[-1].event, step.changes):
                return False
        return True


def merge_ranges(app: Any, table: BatchTable) -> Agent:
    """The agent, on the table byte_ranges."""
    return RangeMerging(app, table).run
