"""votes_reduced -> each store: the votes that count, and the sums of them."""

from __future__ import annotations

from app.engine.batches import acknowledge, batches, or_end
from app.engine.store_writes import stores, write_until_taken
from app.engine.topology import Sink, sinks
from app.messages.events import decode_counted_votes, gathered


def _store_votes(name: str, sink: Sink) -> None:
    @sink.app.agent(sink.votes, name="store_votes")
    @or_end
    async def store_votes(stream):
        async for batch in batches(sink.app, stream):
            votes, sums = gathered(decode_counted_votes(taken.value) for taken in batch)
            ledgers = stores[name].ledgers
            await write_until_taken(sink.app, name, ledgers.write_votes, votes)
            await write_until_taken(sink.app, name, ledgers.write_vote_sums, sums)
            await acknowledge(stream, batch)


for _name, _sink in sinks.items():
    _store_votes(_name, _sink)
