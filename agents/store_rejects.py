"""weblogs_rejects -> each store's weblogs_rejects: every line that is no hit, with its reason and place."""

from __future__ import annotations

from app.engine.batches import acknowledge, batches, or_end
from app.engine.store_writes import stores, write_until_taken
from app.engine.topology import Sink, sinks
from app.messages.forms import read_at
from app.messages.records import decode_rejects
from app.settings import settings

_keep = settings().store_raw != "none"


def _store_rejects(name: str, sink: Sink) -> None:
    @sink.app.agent(sink.rejects, name="store_rejects")
    @or_end
    async def store_rejects(stream):
        async for batch in batches(sink.app, stream):
            read = (read_at("weblogs_rejects", taken, decode_rejects) for taken in batch if _keep)
            rejects = [reject for some in read for reject in some]
            await write_until_taken(sink.app, name, stores[name].writes.write_rejects, rejects)
            await acknowledge(stream, batch)


for _name, _sink in sinks.items():
    _store_rejects(_name, _sink)
