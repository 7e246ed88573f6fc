"""Votes and spending in Elasticsearch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from app.domain.counted import Sum
from app.flows.registry import COUNTED
from app.flows.spending import SPENDING, Transaction
from app.flows.votes import VOTES, Vote
from app.stores.contract import Store
from app.stores.elasticsearch.store import ElasticsearchStore
from tests.stores import elastic, ledger_rules

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@pytest.fixture
async def store() -> AsyncIterator[ElasticsearchStore]:
    async with elastic.opened() as store:
        yield store


@pytest.mark.parametrize("rule", ledger_rules.RULES, ids=lambda rule: rule.__name__)
async def test_elasticsearch_keeps(rule: Callable[[Store], Awaitable[None]], store: ElasticsearchStore) -> None:
    await rule(store)


async def test_indices_that_are_gone_are_made_again_by_the_next_write(store: ElasticsearchStore) -> None:
    await elastic.remove_ledgers(store)
    await ledger_rules.votes_come_back_once(store)


async def test_what_is_past_its_retention_goes_and_totals_stay() -> None:
    now = [1_600_000_000.0]
    async with elastic.opened(clock=lambda: now[0]) as store:
        ledgers = store.ledgers
        await ledgers.write_events(VOTES, [Vote("v", 1, 1.0)])
        await ledgers.write_events(SPENDING, [Transaction("t", "u", 1.0, 5)])
        await ledgers.write_sums(
            VOTES, [Sum(resolution, "1", 0, 0, 0, 1, 0, 0) for resolution in ("window", "total", "second")]
        )
        await ledgers.write_sums(SPENDING, [Sum("minute", "u", 0, 0, 0, 1, 5, 0), Sum("total", "u", 0, 0, 0, 1, 5, 0)])
        assert await store.retention.retain(now[0] + 3 * 86400, 7, 90) == (0, 1)
        assert await store.retention.retain(now[0] + 100 * 86400, 7, 90) == (1, 3)
        left = [each.resolution for kind in COUNTED for each in [one async for one in ledgers.all_sums(kind)]]
        assert left == ["total", "total"]
