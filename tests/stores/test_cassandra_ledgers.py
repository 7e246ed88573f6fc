"""Votes and spending in Cassandra."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import pytest

from app.domain.counted import Sum
from app.flows.spending import SPENDING, Transaction
from app.flows.votes import VOTES, Vote
from app.stores.cassandra.store import CassandraStore
from app.stores.contract import Store
from tests.stores import ledger_rules
from tests.stores.cassandra_stores import cql, fresh_keyspace, with_cassandra

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def keyspace() -> Iterator[str]:
    with fresh_keyspace() as keyspace:
        yield keyspace


@pytest.mark.parametrize("rule", ledger_rules.RULES, ids=lambda rule: rule.__name__)
def test_cassandra_keeps(rule: Callable[[Store], Awaitable[None]], keyspace: str) -> None:
    async def work(store: CassandraStore) -> None:
        await store.ledgers.drop()
        await rule(store)

    with_cassandra(keyspace, work)
    cql(keyspace, "TRUNCATE KS.names")


def test_no_batch_of_events_is_larger_than_a_server_takes_by_default(
    keyspace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The servers of the tests warn from there on; by default they refuse it."""

    async def work(store: CassandraStore) -> None:
        await store.ledgers.write_events(
            VOTES, [Vote(f"vote-{n:08}", n % 7, n / 10, f"kiosk-{n % 99}", f"user-{n:08}") for n in range(3000)]
        )
        await store.ledgers.write_events(
            SPENDING, [Transaction(f"t-{n:010}", f"user-{n % 9}", n / 10, n) for n in range(3000)]
        )
        sums = [Sum(kind, "2/k", 60 * n, 0, 0, 1, 0, 0) for n in range(1500) for kind in ("kiosk", "window")]
        await store.ledgers.write_sums(VOTES, sums)
        await store.ledgers.write_sums(SPENDING, [sum_._replace(resolution="minute") for sum_ in sums])

    with_cassandra(keyspace, work)
    assert not [text for text in caplog.messages if "Server warning" in text]


def test_a_users_range_and_a_candidates_day_are_one_partition_each(keyspace: str) -> None:
    async def work(store: CassandraStore) -> None:
        await store.ledgers.drop()
        await store.ledgers.write_sums(
            SPENDING, [Sum("hour", "u1", start, 0, 0, 1, 5, 0) for start in range(0, 36_000, 3600)]
        )
        await store.ledgers.write_sums(VOTES, [Sum("kiosk", f"2/k{kiosk}", 600, 0, 0, 1, 0, 0) for kiosk in range(5)])

    with_cassandra(keyspace, work)
    spend, votes = cql(
        keyspace,
        "SELECT count(*) FROM KS.spend_sums WHERE user_id = 'u1' AND resolution = 'hour' AND start >= 3600 AND start < 18000",
        "SELECT count(*) FROM KS.vote_counts WHERE candidate_id = 2 AND day = 0 AND window_start >= 0",
    )
    assert (spend, votes) == ([(4,)], [(5,)])
