"""spend_reduced -> each store: the transactions that count, and the sums of them."""

from __future__ import annotations

from app.engine.batches import acknowledge, batches, or_end
from app.engine.store_writes import stores, write_until_taken
from app.engine.topology import Sink, sinks
from app.messages.events import decode_counted_transactions, gathered


def _store_spend(name: str, sink: Sink) -> None:
    @sink.app.agent(sink.spend, name="store_spend")
    @or_end
    async def store_spend(stream):
        async for batch in batches(sink.app, stream):
            transactions, sums = gathered(decode_counted_transactions(taken.value) for taken in batch)
            ledgers = stores[name].ledgers
            await write_until_taken(sink.app, name, ledgers.write_transactions, transactions)
            await write_until_taken(sink.app, name, ledgers.write_spend_sums, sums)
            await acknowledge(stream, batch)


for _name, _sink in sinks.items():
    _store_spend(_name, _sink)
