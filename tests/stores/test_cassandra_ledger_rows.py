"""How votes and spending stand in Cassandra's rows: no server needed."""

from __future__ import annotations

import pytest

from app.domain.counted import Sum
from app.flows.spending import SPENDING, Transaction
from app.flows.votes import VOTES, Vote
from app.stores.cassandra.ledger_rows import SHARDS, event_row, sum_rows
from app.stores.cassandra.ledger_writes import insert_statements
from app.stores.cassandra.ledgers import bounds, days
from app.stores.cassandra.values import bigint, int32, text, varint

TTL, STAMP = int32(77), bigint(5)


def columns(statement: str) -> int:
    """Marks of a prepared statement."""
    return insert_statements("k")[statement].count("?")


def test_a_row_has_a_value_for_every_mark_of_its_statement_and_knows_its_size() -> None:
    rows = [
        event_row(VOTES, Vote("v", 1, 1.0, None, "\0u", "ü"), STAMP, TTL, 3),
        event_row(SPENDING, Transaction("t", "u", 1.0, -5), STAMP, TTL, 3),
        *(
            row
            for resolution in ("kiosk", "window", "total", "second")
            for row in sum_rows(VOTES, Sum(resolution, "1/k", 0, 0, 0, 1, 0, 0), TTL, 3)
        ),
        *sum_rows(SPENDING, Sum("total", "u", 0, 0, 0, 1, 10**30, 0), TTL, 3),
    ]
    for row in rows:
        assert len(row.values) == columns(row.statement)
        assert row.size > sum(len(value) for value in row.values if value) and row.record == 3


def test_kiosks_stand_by_candidate_and_day_other_sums_by_resolution_and_day() -> None:
    (kiosk,) = sum_rows(VOTES, Sum("kiosk", "2/a/b", 3 * 86400 + 600, 1, 9, 5, 0, 2), TTL, 0)
    assert kiosk.statement == "insert vote_counts"
    assert kiosk.values[:4] == [bigint(2), bigint(3), bigint(3 * 86400 + 600), text("a/b")]
    (window,) = sum_rows(VOTES, Sum("window", "2", -600, 1, 0, 5, 0, 2), TTL, 0)
    assert window.values[:4] == [text("window"), bigint(-1), bigint(-600), text("2")]


@pytest.mark.parametrize(("resolution", "ttl"), [("window", 77), ("kiosk", 77), ("total", 0), ("second", 2 * 86400)])
def test_totals_live_for_ever_and_seconds_for_two_days(resolution: str, ttl: int) -> None:
    (row,) = sum_rows(VOTES, Sum(resolution, "2/k", 0, 0, 0, 1, 0, 0), TTL, 0)
    assert row.values[-1] == int32(ttl)


def test_the_timestamp_of_a_sum_is_its_version() -> None:
    each = Sum("hour", "u", 3600, 0, 0, 7, 10**20, 3)
    (row,) = sum_rows(SPENDING, each, TTL, 0)
    assert row.values[-2:] == [bigint(each.version), TTL] and varint(10**20) in row.values


def test_a_total_stands_once_more_in_one_of_the_shards_of_all_users() -> None:
    shards = {sum_rows(SPENDING, Sum("total", f"u{i}", 0, 0, 0, 1, 5, 0), TTL, 0)[1].values[0] for i in range(500)}
    assert shards == {int32(shard) for shard in range(SHARDS)}


def test_a_range_asks_for_the_days_that_it_touches() -> None:
    assert list(days(*bounds(0.5, 86400.0))) == [0]
    assert list(days(*bounds(-1.0, 86400.5))) == [-1, 0, 1]
    assert list(days(*bounds(5.0, 5.0))) == []
