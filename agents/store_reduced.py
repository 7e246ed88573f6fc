"""weblogs_reduced -> each store's reduced_weblogs: the newest version of each delivery."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from app.domain.records import Delivery
from app.domain.versions import newest_by
from app.engine.batches import Taken, acknowledge, batches, or_end
from app.engine.store_writes import stores, write_until_taken
from app.engine.topology import Sink, sinks
from app.messages.forms import read_at
from app.messages.records import decode_deliveries

_names = attrgetter("ip_address", "user_agent", "request", "window_start")


def _store_reduced(name: str, sink: Sink) -> None:
    @sink.app.agent(sink.reduced, name="store_reduced")
    @or_end
    async def store_reduced(stream):
        async for batch in batches(sink.app, stream):
            # no name for the records: it would keep them until the next batch
            await write_until_taken(sink.app, name, stores[name].writes.write_deliveries, _newest(batch))
            await acknowledge(stream, batch)
            del batch


def _newest(batch: Iterable[Taken]) -> list[Delivery]:
    read = (read_at("weblogs_reduced", taken, decode_deliveries) for taken in batch)
    return newest_by(_names, (record for some in read for record in some))


for _name, _sink in sinks.items():
    _store_reduced(_name, _sink)
