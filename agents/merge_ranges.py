"""weblogs_tokens -> [byte_ranges] -> weblogs_reduced: merge hits into deliveries.

For each message: compute the new values aside, send the records, append the changelog, change the local state, ack.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from app.domain.open_deliveries import no_sizes
from app.engine.batches import Taken, acknowledge, batches, by_partition, or_end
from app.engine.outputs import send_all
from app.engine.topology import app, weblogs_tokens
from app.messages.forms import read_at
from app.messages.records import encode_deliveries
from app.messages.tokens import decode_tokens
from app.process.crash_points import crash_point
from app.settings import settings
from app.sources.identity.sizes import Sizes
from app.steps.merger import Merger
from app.transports.messages import Message
from tables.byte_ranges import byte_ranges

MAX_BATCH_BYTES = 2 << 20
log = logging.getLogger(__name__)
_settings = settings()
sizes = Sizes(Path(_settings.sizes)) if _settings.sizes else None
merger = Merger(_settings.rules, sizes or no_sizes, _settings.state_ttl, _settings.changelog_batch_bytes)


@app.agent(weblogs_tokens, name="merge_ranges")
@or_end
async def merge_ranges(stream):
    async for batch in batches(app, stream, MAX_BATCH_BYTES):
        if sizes is not None and (problem := sizes.refresh()) is not None:
            log.error("%s; the sizes known before stay", problem)
        # The partitions side by side: while one waits for the disk, the next is computed, and one sync serves them all.
        parts = by_partition(batch).values()
        for part, done in zip(parts, await asyncio.gather(*map(_merge, parts)), strict=True):
            if done:
                await acknowledge(stream, part)
        crash_point("acked")
        del batch, parts, part  # nothing of them is kept until the next


async def _merge(part: list[Taken]) -> bool:
    """Messages of one partition. False: it is not ours any more; they will come again, to whoever owns it."""
    partition = part[-1].partition
    state = byte_ranges.state_for(part[-1].event)
    if state is None:
        return False
    first = True
    for step in merger.steps(partition, state, [read_at("weblogs_tokens", each, decode_tokens) for each in part]):
        if not first:
            crash_point("slice")
        first = False
        if step.records:
            now = time.time()
            await send_all(
                app,
                [
                    Message("weblogs_reduced", partition, None, each, {}, now)
                    for each in encode_deliveries(step.records)
                ],
            )
            crash_point("outputs")
        if step.changes and not await byte_ranges.write(part[-1].event, step.changes):
            return False
    return True
