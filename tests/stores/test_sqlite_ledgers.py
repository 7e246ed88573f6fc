"""Votes and spending in the embedded store."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.domain.counted import Sum
from app.flows.spending import SPENDING, Transaction
from app.flows.votes import VOTES, Vote
from app.stores.contract import Store
from app.stores.sqlite.store import SqliteStore
from tests.stores import ledger_rules

DAY_S = 86400.0


@pytest.mark.parametrize("rule", ledger_rules.RULES, ids=lambda rule: rule.__name__)
async def test_the_embedded_store_keeps(rule: Callable[[Store], Awaitable[None]], tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    await rule(store)
    await store.close()


async def test_an_older_store_gets_the_tables_that_it_lacks(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    await store.close()
    with closing(sqlite3.connect(tmp_path / "s.db")) as connection:
        for kind, name in connection.execute(
            "SELECT type, name FROM sqlite_master WHERE name IN ('spending', 'votes')"
        ).fetchall():
            connection.execute(f"DROP {kind} {name}")
    await store.open()
    await ledger_rules.votes_come_back_once(store)
    await store.close()


async def test_what_is_past_its_retention_goes_and_totals_stay(tmp_path: Path) -> None:
    now = [1_600_000_000.0]
    store = SqliteStore(tmp_path / "s.db", clock=lambda: now[0])
    await store.open()
    ledgers = store.ledgers
    sums = [Sum(resolution, "1", 0, 0, 0, 1, 0, 0) for resolution in ("kiosk", "window", "total", "second")]
    for _ in range(2):
        await ledgers.write_events(VOTES, [Vote(f"v{now[0]}", 1, 1.0)])
        await ledgers.write_events(SPENDING, [Transaction(f"t{now[0]}", "u", 1.0, 5)])
        await ledgers.write_sums(VOTES, sums)
        await ledgers.write_sums(
            SPENDING, [Sum("minute", "u", int(now[0]), 0, 0, 1, 5, 0), Sum("total", "u", 0, 0, 0, 1, 5, 0)]
        )
        now[0] += 3 * DAY_S
    assert await store.retain(now[0] - DAY_S, 3, 90) == (1, 1)  # the older vote; the count by second
    assert await store.retain(now[0] + 86.5 * DAY_S, 1000, 90) == (
        0,
        4,
    )  # a transaction and its minute, kiosk and window
    assert [each.resolution async for each in ledgers.all_sums(VOTES)] == ["total"]
    assert [each.resolution async for each in ledgers.all_sums(SPENDING)] == ["minute", "total"]
    await store.close()
