"""Elasticsearch or Cassandra that is not there: every call about votes and spending says so, and can be made again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from app.domain.counted import Sum
from app.errors import StoreUnreachable
from app.flows.spending import SPENDING, Transaction
from app.flows.votes import VOTES, Vote
from app.settings import Settings
from app.stores import open_store
from app.stores.ledger_contract import Ledgers
from tests.ports import free_port


async def walk(ledgers: Ledgers) -> None:
    async for _ in ledgers.all_events(VOTES):
        pass


async def walk_sums(ledgers: Ledgers) -> None:
    async for _ in ledgers.all_sums(VOTES):
        pass


async def walk_transactions(ledgers: Ledgers) -> None:
    async for _ in ledgers.all_events(SPENDING):
        pass


CALLS: dict[str, Callable[[Ledgers], Awaitable[object]]] = {
    "write_votes": lambda ledgers: ledgers.write_events(VOTES, [Vote("v", 1, 1.0)]),
    "write_transactions": lambda ledgers: ledgers.write_events(SPENDING, [Transaction("t", "u", 1.0, 5)]),
    "write_vote_sums": lambda ledgers: ledgers.write_sums(VOTES, [Sum("kiosk", "1/k", 0, 0, 0, 1, 0, 0)]),
    "write_spend_sums": lambda ledgers: ledgers.write_sums(SPENDING, [Sum("total", "u", 0, 0, 0, 1, 5, 0)]),
    "put_names": lambda ledgers: ledgers.put_names("candidates", {"1": "Ada"}),
    "vote_sums": lambda ledgers: ledgers.sums(VOTES, None, "window", 0, 600),
    "kiosk_sums": lambda ledgers: ledgers.sums(VOTES, str(1), "kiosk", 0, 600),
    "spend_sums": lambda ledgers: ledgers.sums(SPENDING, "u", "hour", 0, 600),
    "transactions": lambda ledgers: ledgers.events(SPENDING, "u", 0, 600, 10),
    "spent": lambda ledgers: ledgers.spent(SPENDING, "u", 0, 600),
    "top": lambda ledgers: ledgers.top(SPENDING, 3),
    "names": lambda ledgers: ledgers.names("users"),
    "drop": lambda ledgers: ledgers.drop(),
    "all_votes": walk,
    "all_sums": walk_sums,
    "all_transactions": walk_transactions,
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", ["elasticsearch", "cassandra"])
async def test_a_store_that_is_away_says_so(name: str, call: str) -> None:
    port = free_port()
    settings = Settings(elasticsearch_url=f"http://127.0.0.1:{port}", cassandra_port=port)
    store = open_store(name, settings)
    for _ in range(2):
        with pytest.raises(StoreUnreachable):
            await CALLS[call](store.ledgers)
    await store.close()
