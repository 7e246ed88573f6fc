"""weblogs_tokens -> each store's raw_weblogs: every hit, counted for a delivery or not."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.records import Hit
from app.engine.batches import Taken, acknowledge, batches, or_end
from app.engine.store_writes import stores, write_until_taken
from app.engine.topology import Sink, sinks
from app.messages.forms import read_at
from app.messages.tokens import decode_tokens, hits_of
from app.settings import settings

_keep = settings().store_raw == "all"


def _store_raw(name: str, sink: Sink) -> None:
    @sink.app.agent(sink.tokens, name="store_raw")
    @or_end
    async def store_raw(stream):
        async for batch in batches(sink.app, stream):
            # no name for the hits: it would keep them until the next batch
            await write_until_taken(sink.app, name, stores[name].writes.write_hits, _hits(batch) if _keep else [])
            await acknowledge(stream, batch)
            del batch


def _hits(batch: Iterable[Taken]) -> list[Hit]:
    return [hit for taken in batch for hit in hits_of(read_at("weblogs_tokens", taken, decode_tokens))]


for _name, _sink in sinks.items():
    _store_raw(_name, _sink)
