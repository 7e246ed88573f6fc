"""Repeats change nothing, the highest version wins, superseded deliveries are hidden, what is lost or altered is mended."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.records import Delivery
from app.stores.contract import Store
from tests.stores import contract_rules, elastic, records
from tests.stores.contract_rules import LIFE
from tests.stores.records import delivery, hit, reject

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


def test_in_any_order_and_any_batches_the_highest_version_wins() -> None:
    def examples(run: Callable[[elastic.Work], Any]) -> None:
        @settings(max_examples=25, deadline=None)
        @given(st.lists(st.sampled_from(LIFE), min_size=1, max_size=8), st.randoms(use_true_random=False))
        def check(versions: list[Delivery], rnd: random.Random) -> None:
            batches: list[list[Delivery]] = [[]]
            for one in versions:
                if rnd.random() < 0.5:
                    batches.append([])
                batches[-1].append(one)
            run(lambda store: contract_rules.the_highest_version_wins(store, batches))

        check()

    elastic.for_each(examples)


def test_counts_equal_what_reading_every_record_counts() -> None:
    def examples(run: Callable[[elastic.Work], Any]) -> None:
        @settings(max_examples=15, deadline=None)
        @given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.sampled_from(LIFE)), max_size=30))
        def check(writes: list[tuple[int, int, Delivery]]) -> None:
            async def work(store: Store) -> None:
                for start, size, one in writes:
                    await store.writes.write_deliveries(
                        [one._replace(window_start=float(start + n)) for n in range(size)]
                    )
                    await store.writes.write_hits([hit(n) for n in range(size)])
                    await store.writes.write_rejects([reject(n, reason=f"bad_{n % 2}") for n in range(size)])
                assert await store.reads.counts() == await records.counted(store)

            run(work)

        check()

    elastic.for_each(examples)


async def test_a_superseded_delivery_is_hidden_by_the_filter_of_the_alias_and_visible_again_when_a_higher_version_opens_it() -> (
    None
):
    async with elastic.opened() as store:
        seen = []
        for one in LIFE:
            await store.writes.write_deliveries([one])
            through_alias = await elastic.search(store, store.names.reduced, {"match_all": {}})
            seen.append(
                (
                    len(through_alias),
                    len(await store.reads.newest_deliveries(9)),
                    sum((await store.reads.counts()).deliveries.values()),
                )
            )
        assert seen == [(1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1), (1, 1, 1)]
        assert (await store.reads.counts()).bytes_sent == 2**70


async def test_the_same_batches_again_leave_every_byte_of_the_documents_as_it_was() -> None:
    rnd = random.Random(7)
    hits = [
        hit(position, user_agent=f"agent {rnd.randrange(50)}", time=1596213967.0 + position * 3600)
        for position in range(200)
    ]
    rejects = [reject(position, reason=rnd.choice(["bad_time", "bad_range"])) for position in range(90)]
    deliveries = [delivery(rnd.randrange(1, 5) * 8, window_start=float(rnd.randrange(40))) for _ in range(300)]
    now = [1e9]
    async with elastic.opened(clock=lambda: now[0]) as store:

        async def write() -> None:
            assert await store.writes.write_hits(hits) == []
            assert await store.writes.write_rejects(rejects) == []
            assert await store.writes.write_deliveries(deliveries) == []

        await write()
        before = await elastic.documents(store)
        assert len(before) == 200 + 90 + len({one.window_start for one in deliveries})
        now[0] += 1000.0
        await write()
        rnd.shuffle(hits)
        await store.writes.write_hits(hits[:50])
        assert await elastic.documents(store) == before


async def test_a_delivery_that_was_altered_or_deleted_on_the_server_is_mended_by_writing_it_again() -> None:
    async with elastic.opened() as store:
        written = [delivery(16, window_start=float(n)) for n in range(3)]
        await store.writes.write_deliveries(written)
        good = await elastic.documents(store)
        path = f"/{good[0]['_index']}/_doc/"
        altered = {**good[0]["_source"], "covered_bytes": 1}
        params = {"version": "16", "version_type": "external_gte"}
        await store.connection.call("PUT", path + good[0]["_id"], altered, params=params)
        await store.connection.call("DELETE", path + good[1]["_id"])
        await store.writes.write_deliveries(written)
        assert [one["_version"] for one in await elastic.documents(store)] == [16, 16, 16]
        assert sorted([one async for one in store.reads.all_deliveries()]) == written


async def test_older_versions_count_as_done() -> None:
    async with elastic.opened() as store:
        await store.writes.write_deliveries([delivery(24)])
        assert await store.writes.write_deliveries([delivery(8, covered_bytes=1)]) == []
        assert await store.reads.deliveries_of(*delivery()[:3]) == [delivery(24)]
