"""Retention deletes by the time of ingest, whatever the times in the log, and leaves nothing behind that nobody refers to."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.stores.sqlite import retention as sqlite_retention
from app.stores.sqlite.store import SqliteStore
from tests.stores import records
from tests.stores.records import delivery, dump, hit, reject

DAY = 86400.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "s.db", clock=clock)
    await store.open()
    yield store
    await store.close()


async def test_only_what_was_ingested_long_enough_ago_goes(store: SqliteStore, clock: Clock) -> None:
    for day in range(10):
        clock.now = day * DAY
        await store.writes.write_hits([hit(day * 10 + n, time=5e9, request=f"GET /{day}") for n in range(3)])
        await store.writes.write_rejects([reject(day * 10, reason=f"bad_{day % 2}")])
        await store.writes.write_deliveries([delivery(request=f"GET /{day}")])
    assert await store.retention.retain(9 * DAY, raw_days=3, reduced_days=7) == (6 * 4, 2)
    assert sorted({str(one.request) for one in [one async for one in store.reads.all_hits()]}) == [
        f"GET /{day}" for day in range(6, 10)
    ]
    assert sorted(one.request for one in [one async for one in store.reads.all_deliveries()]) == [
        f"GET /{day}" for day in range(2, 10)
    ]
    assert [one.position async for one in store.reads.all_rejects()] == [60, 70, 80, 90]
    assert await store.reads.counts() == await records.counted(store)
    assert await store.retention.retain(9 * DAY, raw_days=3, reduced_days=7) == (0, 0)


async def test_keys_go_with_the_last_record_that_names_them(store: SqliteStore, clock: Clock) -> None:
    await store.writes.write_hits([hit(1, request="GET /hit"), hit(2, request="GET /both")])
    await store.writes.write_deliveries([delivery(request="GET /both"), delivery(request="GET /delivery")])
    clock.now = 5 * DAY
    await store.writes.write_hits([hit(3, request="GET /later")])
    await store.retention.retain(5 * DAY, raw_days=1, reduced_days=100)
    assert {key[2] for key in (await store.reads.keys_by_text_part("GET")).keys} == {
        "GET /both",
        "GET /delivery",
        "GET /later",
    }
    await store.retention.retain(50 * DAY, raw_days=1, reduced_days=1)
    assert dump(store.path)["keys"] == [] and dump(store.path)["hits"] == []
    await store.writes.write_hits([hit(4, request="GET /hit")])
    assert (await store.reads.hits_of("10.0.0.1", "curl/8_1", "GET /hit"))[1] == 1


async def test_a_large_store_is_emptied_in_bounded_slices(
    store: SqliteStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_retention, "SLICE_ROWS", 64)
    await store.writes.write_hits([hit(position, request=f"GET /{position % 90}") for position in range(1000)])
    await store.writes.write_deliveries([delivery(window_start=float(n), request=f"GET /{n % 90}") for n in range(500)])
    clock.now = DAY
    await store.writes.write_hits([hit(5000, request="GET /new")])
    assert await store.retention.retain(10 * DAY, raw_days=9.5, reduced_days=9.5) == (1000, 500)
    assert [one.position async for one in store.reads.all_hits()] == [5000]
    assert await store.reads.counts() == await records.counted(store)
    assert [key[4] for key in dump(store.path)["keys"]] == ["GET /new"]


async def test_a_delivery_written_again_later_is_kept_from_then_on(store: SqliteStore, clock: Clock) -> None:
    await store.writes.write_deliveries([delivery(8)])
    clock.now = 5 * DAY
    await store.writes.write_deliveries([delivery(16)])
    assert await store.retention.retain(6 * DAY, raw_days=2, reduced_days=2) == (0, 0)
    assert await store.retention.retain(8 * DAY, raw_days=2, reduced_days=2) == (0, 1)


async def test_superseded_deliveries_go_without_being_counted_down(store: SqliteStore, clock: Clock) -> None:
    await store.writes.write_deliveries([delivery(8), delivery(15, superseded_by=1.0), delivery(8, window_start=1.0)])
    clock.now = DAY
    await store.writes.write_deliveries([delivery(8, window_start=2.0)])
    assert await store.retention.retain(1.5 * DAY, raw_days=1, reduced_days=1) == (0, 2)
    assert (await store.reads.counts()).deliveries == {"complete": 1}


async def test_a_clock_that_goes_back_makes_nothing_older_than_it_is(store: SqliteStore, clock: Clock) -> None:
    for position, now in enumerate((10 * DAY, 2 * DAY, 10 * DAY)):
        clock.now = now
        await store.writes.write_hits([hit(position)])
    assert await store.retention.retain(10 * DAY, raw_days=5, reduced_days=5) == (1, 0)
    assert [one.position async for one in store.reads.all_hits()] == [0, 2]


async def test_many_small_writes_share_one_note_of_their_time(store: SqliteStore, clock: Clock) -> None:
    for position in range(20):
        clock.now = position * 2.0
        await store.writes.write_hits([hit(position)])
    connection = sqlite3.connect(store.path)
    assert connection.execute("SELECT kind, first_no, last_no, time FROM ingests").fetchall() == [("hits", 1, 20, 0.0)]
    connection.close()
