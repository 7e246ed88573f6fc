"""Repeats change nothing, the highest version wins, superseded deliveries are hidden."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.records import Delivery
from app.stores.sqlite.store import SqliteStore
from tests.properties import examples
from tests.stores import contract_rules, records
from tests.stores.contract_rules import LIFE
from tests.stores.records import delivery, dump, hit, reject, with_store


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(st.sampled_from(LIFE), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_in_any_order_and_any_batches_the_highest_version_wins(
    tmp_path_factory: pytest.TempPathFactory, versions: list[Delivery], rnd: random.Random
) -> None:
    batches: list[list[Delivery]] = [[]]
    for one in versions:
        if rnd.random() < 0.5:
            batches.append([])
        batches[-1].append(one)

    with_store(
        tmp_path_factory.mktemp("store") / "s.db", lambda store: contract_rules.the_highest_version_wins(store, batches)
    )


async def test_an_equal_version_is_refused_silently(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    await store.writes.write_deliveries([delivery(8, covered_bytes=1), delivery(8, covered_bytes=2)])
    assert await store.writes.write_deliveries([delivery(8, covered_bytes=3)]) == []
    assert [one.covered_bytes for one in await store.reads.deliveries_of(*delivery()[:3])] == [1]
    await store.close()


async def test_a_superseded_delivery_is_visible_again_when_a_higher_version_opens_it(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    seen = []
    for one in LIFE:
        await store.writes.write_deliveries([one])
        seen.append(
            (len(await store.reads.newest_deliveries(9)), sum((await store.reads.counts()).deliveries.values()))
        )
    assert seen == [(1, 1), (1, 1), (0, 0), (1, 1), (1, 1)]
    assert (await store.reads.counts()).bytes_sent == 2**70
    await store.close()


async def test_windows_of_a_key_come_newest_first(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    await store.writes.write_deliveries([delivery(window_start=start) for start in (2.0, 3.0, 1.0)])
    assert [one.window_start for one in await store.reads.deliveries_of(*delivery()[:3])] == [3.0, 2.0, 1.0]
    await store.close()


def test_the_same_batches_again_leave_every_byte_of_the_tables_as_it_was(tmp_path: Path) -> None:
    rnd = random.Random(7)
    hits = [hit(position, user_agent=f"agent {rnd.randrange(50)}") for position in range(700)]
    rejects = [reject(position, reason=rnd.choice(["bad_time", "bad_range"])) for position in range(90)]
    deliveries = [delivery(rnd.randrange(1, 5) * 8, window_start=float(rnd.randrange(40))) for _ in range(300)]

    async def write(store: SqliteStore) -> None:
        await store.writes.write_hits(hits)
        await store.writes.write_rejects(rejects)
        await store.writes.write_deliveries(deliveries)

    path = tmp_path / "s.db"
    with_store(path, write)
    before = dump(path)
    assert len(before["hits"]) == 700 and len(before["rejects"]) == 90

    async def write_again(store: SqliteStore) -> None:
        await write(store)
        rnd.shuffle(hits)
        await store.writes.write_hits(hits[:300])
        await write(store)

    with_store(path, write_again)
    assert dump(path) == before


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.sampled_from(LIFE)), max_size=30))
def test_counts_equal_what_reading_every_record_counts(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[int, int, Delivery]]
) -> None:
    async def work(store: SqliteStore) -> None:
        for position, (key, window, one) in enumerate(writes):
            await store.writes.write_deliveries([one._replace(request=f"GET /{key}", window_start=float(window))])
            await store.writes.write_hits([hit(position % 7, request=f"GET /{key}")])
            await store.writes.write_rejects([reject(position % 5, reason=f"bad_{position % 2}")])
        assert await store.reads.counts() == await records.counted(store)

    with_store(tmp_path_factory.mktemp("store") / "s.db", work)
