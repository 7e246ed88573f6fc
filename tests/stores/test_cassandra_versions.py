"""On a real Cassandra: repeats change nothing, the highest version wins whole, superseded deliveries are hidden, hand-made damage is mended."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.records import Delivery
from app.errors import UnreadableRecord
from app.stores.cassandra.rows import STAMPED_COLUMNS
from app.stores.cassandra.store import CassandraStore
from tests.stores import records
from tests.stores.cassandra_stores import FLOOR_AGE_S, Bench, cql, fresh_keyspace, own_settings, with_cassandra
from tests.stores.records import delivery, hit, reject

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
few = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)

LIFE = [
    delivery(8, verdict="partial", reason="gap", covered_bytes=10),
    delivery(16, verdict="unknown", reason="size_changed", covered_bytes=20),
    delivery(23, superseded_by=5.0, covered_bytes=20),
    delivery(24, covered_bytes=30, bytes_sent=None),
    delivery(25, covered_bytes=30, bytes_sent=2**70, final=True),
]
"""One delivery as it grows: superseded once, and opened again by a hit that came later."""
KEY = delivery()[:3]
WHERE = "ip_address = '10.0.0.1' AND user_agent = 'curl/8_1' AND request = 'GET /a'"


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with fresh_keyspace() as keyspace:
        bench = Bench(keyspace)
        try:
            yield bench
        finally:
            bench.close()


@few
@given(st.lists(st.sampled_from(LIFE), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_in_any_order_and_any_batches_the_highest_version_wins(
    bench: Bench, versions: list[Delivery], rnd: random.Random
) -> None:
    bench.empty()
    batches: list[list[Delivery]] = [[]]
    for one in versions:
        if rnd.random() < 0.5:
            batches.append([])
        batches[-1].append(one)
    best = max(versions, key=lambda one: one.version)

    async def work() -> None:
        store = bench.store
        for batch in batches:
            assert await store.writes.write_deliveries(batch) == []
        assert [one async for one in store.reads.all_deliveries(superseded=True)] == [best]
        visible = [] if best.superseded_by is not None else [best]
        assert await store.reads.deliveries_of(*KEY) == visible
        assert await store.reads.newest_deliveries(5) == visible
        assert await store.reads.deliveries_of(*KEY, superseded=True) == [best]
        assert await store.reads.counts() == await records.counted(store)

    bench.run(work())


def test_a_superseded_delivery_is_visible_again_when_a_higher_version_opens_it(bench: Bench) -> None:
    bench.empty()

    async def work() -> None:
        seen = []
        for one in LIFE:
            await bench.store.writes.write_deliveries([one])
            seen.append(
                (
                    len(await bench.store.reads.newest_deliveries(9)),
                    sum((await bench.store.reads.counts()).deliveries.values()),
                )
            )
        assert seen == [(1, 1), (1, 1), (0, 0), (1, 1), (1, 1)]
        assert (await bench.store.reads.counts()).bytes_sent == 2**70

    bench.run(work())


def test_two_contents_of_one_version_never_mix_and_the_one_that_knows_the_size_wins(bench: Bench) -> None:
    without = delivery(8, covered_bytes=7, missing=[[9, 9]], bytes_sent=None)
    known = delivery(8, total_bytes=900, size_known=True, verdict="partial", reason="end_missing", covered_bytes=5)
    other = delivery(8, total_bytes=800, size_known=True, verdict="complete", covered_bytes=6)

    async def work() -> None:
        for order in permutations([without, known, other]):
            for one in order:
                await bench.store.writes.write_deliveries([one])
            found.append(await bench.store.reads.deliveries_of(*KEY))
            await asyncio.to_thread(bench.empty)

    found: list[Any] = []
    bench.empty()
    bench.run(work())
    assert found[0] in ([known], [other])
    assert all(one == found[0] for one in found)


def test_the_same_batches_again_leave_every_byte_of_the_rows_as_it_was() -> None:
    rnd = random.Random(7)
    hits = [hit(position, user_agent=f"agent {rnd.randrange(50)}") for position in range(700)]
    rejects = [reject(position, reason=rnd.choice(["bad_time", "bad_range"])) for position in range(90)]
    deliveries = [delivery(rnd.randrange(1, 5) * 8, window_start=float(rnd.randrange(40))) for _ in range(300)]

    async def write(store: CassandraStore) -> None:
        await store.writes.write_hits(hits)
        await store.writes.write_rejects(rejects)
        await store.writes.write_deliveries(deliveries)

    async def write_again(store: CassandraStore) -> None:
        await write(store)
        rnd.shuffle(hits)
        await store.writes.write_hits(hits[:300])
        await write(store)

    with fresh_keyspace() as keyspace:
        stamps = ", ".join(f"WRITETIME({column})" for column in STAMPED_COLUMNS.split(", "))
        asked = [
            "SELECT * FROM KS.raw_weblogs",
            "SELECT * FROM KS.rejects",
            "SELECT * FROM KS.reduced_weblogs",
            f"SELECT {stamps} FROM KS.reduced_weblogs",
            "SELECT * FROM KS.deliveries_by_last",
            "SELECT * FROM KS.keys_by_hash",
            "SELECT * FROM KS.buckets",
        ]
        with_cassandra(keyspace, write)
        before = cql(keyspace, *asked)
        assert [len(rows) for rows in before[:4]] == [700, 90, 40, 40]
        with_cassandra(keyspace, write_again)
        assert cql(keyspace, *asked) == before
        highest = {one.window_start: one.version for one in sorted(deliveries, key=lambda one: one.version)}
        told = cql(keyspace, "SELECT window_start, version, WRITETIME(verdict) FROM KS.reduced_weblogs")[0]
        assert {row[0]: row[1] for row in told} == highest
        assert all(row[2] // 1_000_000 == row[1] for row in told)


@few
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.sampled_from(LIFE)), max_size=20))
def test_counts_equal_what_reading_every_record_counts(bench: Bench, writes: list[tuple[int, int, Delivery]]) -> None:
    bench.empty()

    async def work() -> None:
        for position, (key, window, one) in enumerate(writes):
            await bench.store.writes.write_deliveries([one._replace(request=f"GET /{key}", window_start=float(window))])
            await bench.store.writes.write_hits([hit(position % 7, request=f"GET /{key}")])
            await bench.store.writes.write_rejects([reject(position % 5, reason=f"bad_{position % 2}")])
        assert await bench.store.reads.counts() == await records.counted(bench.store)

    bench.run(work())


DAMAGE = {
    "altered": f"UPDATE KS.reduced_weblogs SET verdict = 'unknown', covered = 1 WHERE {WHERE} AND window_start = %s",
    "a cell deleted": f"DELETE bytes_sent FROM KS.reduced_weblogs WHERE {WHERE} AND window_start = %s",
    "row deleted": f"DELETE FROM KS.reduced_weblogs WHERE {WHERE} AND window_start = %s",
    "partition deleted": f"DELETE FROM KS.reduced_weblogs WHERE {WHERE}",
    "nonsense": f"UPDATE KS.reduced_weblogs SET verdict = 'xyz', hit_ids = 0x01, version = 9999 WHERE {WHERE} AND window_start = %s",
    "superseded": f"UPDATE KS.reduced_weblogs SET superseded_by = 1 WHERE {WHERE} AND window_start = %s",
    "by a clock 70 years ahead": f"DELETE FROM KS.reduced_weblogs USING TIMESTAMP {4 * 10**15} WHERE {WHERE} AND window_start = %s",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_delivery_damaged_by_the_clock_is_mended_and_later_versions_still_win(bench: Bench, damage: str) -> None:
    bench.empty()
    right, later = LIFE[1], LIFE[4]
    neighbour = right._replace(window_start=1.0)
    statement = DAMAGE[damage].replace("%s", repr(right.window_start))

    async def work() -> None:
        store = bench.store
        await store.writes.write_deliveries([right, neighbour])
        await asyncio.to_thread(cql, bench.keyspace, statement)
        if damage == "nonsense":
            with pytest.raises(UnreadableRecord, match="hit_ids"):
                await store.reads.deliveries_of(*KEY)
        else:
            assert await store.reads.deliveries_of(*KEY) != [right, neighbour]
        writer = CassandraStore(
            own_settings(bench.keyspace), floor_age_s=FLOOR_AGE_S
        )  # another worker, with its own memory
        await writer.open()
        await writer.writes.write_deliveries([delivery(request="GET /else")])
        await store.mending.mend_deliveries([right, neighbour])
        assert await store.reads.deliveries_of(*KEY) == [right, neighbour]
        assert right in await store.reads.newest_deliveries(9)
        await store.mending.mend_deliveries([right, neighbour])  # again changes nothing
        await writer.writes.write_deliveries([LIFE[0], LIFE[0]._replace(window_start=1.0)])  # an older version
        assert await store.reads.deliveries_of(*KEY) == [right, neighbour]
        await writer.writes.write_deliveries([later, later._replace(window_start=1.0)])
        assert await store.reads.deliveries_of(*KEY) == [later, later._replace(window_start=1.0)]
        await writer.close()

    bench.run(work())


def test_mending_what_is_right_or_missing_takes_no_floor(bench: Bench) -> None:
    bench.empty()

    async def work() -> None:
        await bench.store.writes.write_deliveries([LIFE[0]])
        await bench.store.mending.mend_deliveries([LIFE[1], LIFE[1]._replace(window_start=1.0)])
        assert len(await bench.store.reads.deliveries_of(*KEY)) == 2

    bench.run(work())
    assert cql(bench.keyspace, "SELECT * FROM KS.reduced_floors") == [[]]


def test_mending_brings_a_delivery_back_to_an_older_version(bench: Bench) -> None:
    bench.empty()

    async def work() -> None:
        await bench.store.writes.write_deliveries([LIFE[4]])
        await bench.store.mending.mend_deliveries([LIFE[0]])
        assert await bench.store.reads.deliveries_of(*KEY) == [LIFE[0]]
        await bench.store.writes.write_deliveries([LIFE[3]])
        assert await bench.store.reads.deliveries_of(*KEY) == [LIFE[3]]

    bench.run(work())


def test_a_removed_delivery_is_gone_and_can_be_written_again(bench: Bench) -> None:
    bench.empty()
    by_hand = f"UPDATE KS.reduced_weblogs SET covered = 1 WHERE {WHERE} AND window_start = 1.0"
    bare = "INSERT INTO KS.reduced_weblogs (ip_address, user_agent, request, window_start) VALUES ('10.0.0.1', 'curl/8_1', 'GET /a', 2.0)"

    async def work() -> None:
        store = bench.store
        one, two = LIFE[1], LIFE[1]._replace(window_start=1.0)
        await store.writes.write_deliveries([one, two])
        await asyncio.to_thread(cql, bench.keyspace, by_hand, bare)
        assert len(await store.reads.deliveries_of(*KEY)) == 3
        await store.mending.remove_deliveries([(KEY, one.window_start), (KEY, 1.0), (KEY, 2.0), (KEY, 77.0)])
        assert await store.reads.deliveries_of(*KEY, superseded=True) == []
        assert await store.reads.newest_deliveries(9) == []
        assert await store.reads.counts() == await records.counted(store)
        three = LIFE[1]._replace(window_start=2.0)
        await store.writes.write_deliveries([one, two, three])
        assert await store.reads.deliveries_of(*KEY) == [one, three, two]

    bench.run(work())


def test_hits_that_were_altered_deleted_or_doubled_by_hand_are_mended(bench: Bench) -> None:
    bench.empty()
    hits = [hit(n, total_bytes=None) for n in range(4)]
    row = f"{WHERE} AND day = '2020-07-31' AND time = %s AND raw_id = '%s'"
    damage = [
        f"UPDATE KS.raw_weblogs SET hi = 7, total_bytes = 9 WHERE {row % (hits[0].time, hits[0].raw_id)}",
        f"DELETE FROM KS.raw_weblogs WHERE {row % (hits[1].time, hits[1].raw_id)}",
        f"DELETE FROM KS.raw_weblogs USING TIMESTAMP {18 * 10**17} WHERE {row % (hits[2].time, hits[2].raw_id)}",
    ]
    double = hits[3]._replace(time=hits[3].time + 0.5)

    async def work() -> None:
        store = bench.store
        await store.writes.write_hits([*hits, double])
        await asyncio.to_thread(cql, bench.keyspace, *damage)
        found = [one async for one in store.reads.all_hits()]
        assert len(found) == 3 and double in found and hits[0] not in found
        await store.mending.remove_hits([double])
        await store.mending.mend_hits(hits)
        assert [one async for one in store.reads.all_hits()] == hits
        assert await store.reads.hits_of(*KEY) == (hits, 4)
        assert (await store.reads.counts()).hits == 4
        await store.mending.remove_hits(hits[:1])
        await store.writes.write_hits(hits[:1])
        assert [one async for one in store.reads.all_hits()] == hits

    bench.run(work())
