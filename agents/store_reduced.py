"""weblogs_reduced -> each store's reduced_weblogs: the newest version of each delivery."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.records import Delivery
from app.engine.batches import Taken, acknowledge, batches, or_end
from app.engine.store_writes import stores, write_until_taken
from app.engine.topology import Sink, sinks
from app.messages import hits as wire


def _store_reduced(name: str, sink: Sink) -> None:
    @sink.app.agent(sink.reduced, name="store_reduced")
    @or_end
    async def store_reduced(stream):
        async for batch in batches(sink.app, stream):
            # no name for the records: it would keep them until the next batch
            await write_until_taken(sink.app, name, stores[name].write_deliveries, _newest(batch))
            await acknowledge(stream, batch)
            del batch


def _newest(batch: Iterable[Taken]) -> list[Delivery]:
    newest: dict[tuple, Delivery] = {}
    for taken in batch:
        for record in wire.decode_deliveries(taken.value):
            known = newest.get(record[:4])
            if known is None or known.version < record.version:
                newest[record[:4]] = record
    return list(newest.values())


for _name, _sink in sinks.items():
    _store_reduced(_name, _sink)
