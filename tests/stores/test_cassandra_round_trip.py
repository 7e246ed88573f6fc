"""On a real Cassandra: what is written comes back as it was, whatever the log held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.records import Delivery, Hit, Reject, key_hash, key_text
from tests.stores import contract_rules, records
from tests.stores.cassandra_stores import Bench, fresh_keyspace
from tests.stores.records import SOURCE, delivery, hit, reject

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
few = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)

HOSTILE = [
    "'; DROP KEYSPACE weblogs; --",
    'INSERT INTO raw_weblogs JSON \'{"a": "\\u0000"}\' USING TTL 1;',
    '{"query": {"match_all": {}}}, "$where": "1", \\" \\\\ \\/ \n\r\t',
    '+status:206 AND (agent:"curl*" OR ip:[* TO *]) ~2 ^4 !x /re.*/ \\',
    "${jndi:ldap://x} %s %n {0} ? :name $1 \u2028 \ufeff é😀",
]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with fresh_keyspace() as keyspace:
        bench = Bench(keyspace)
        try:
            yield bench
        finally:
            bench.close()


@few
@given(st.lists(records.hits(), max_size=12))
def test_hits_with_any_text_and_any_integer_come_back_exactly(bench: Bench, given_hits: list[Hit]) -> None:
    bench.empty()
    expected: dict[tuple[Any, ...], Hit] = {}
    for one in given_hits:
        expected.setdefault((one.raw_id, one.time, *one[1:4]), one)

    async def work() -> None:
        store = bench.store
        assert await store.writes.write_hits(given_hits) == []
        assert {(one.raw_id, one.time, *one[1:4]): one async for one in store.reads.all_hits()} == expected
        for one in expected.values():
            found, count = await store.reads.hits_of(one.ip_address, one.user_agent, one.request)
            assert one in found and count == len(found)
        assert (await store.reads.counts()).hits == len(expected)

    bench.run(work())


def test_hits_of_a_key_come_by_time_source_and_position(bench: Bench) -> None:
    bench.empty()
    bench.run(contract_rules.hits_of_a_key_come_by_time_source_and_position(bench.store))


def test_a_search_goes_on_until_all_keys_were_looked_at(bench: Bench) -> None:
    bench.empty()
    bench.run(contract_rules.a_search_goes_on_until_all_keys_were_looked_at(bench.store))


@few
@given(st.lists(records.rejects(), max_size=8))
def test_rejects_with_any_text_come_back_exactly(bench: Bench, given_rejects: list[Reject]) -> None:
    bench.empty()
    expected: dict[tuple[str, str], Reject] = {}
    for one in given_rejects:
        expected.setdefault((one.raw_id, one.reason), one)

    async def work() -> None:
        assert await bench.store.writes.write_rejects(given_rejects) == []
        assert {(one.raw_id, one.reason): one async for one in bench.store.reads.all_rejects()} == expected
        assert sum((await bench.store.reads.counts()).rejects.values()) == len(expected)

    bench.run(work())


@few
@given(st.lists(records.deliveries(), max_size=8))
def test_deliveries_come_back_exactly_or_are_refused_for_a_version_that_is_no_timestamp(
    bench: Bench, given_deliveries: list[Delivery]
) -> None:
    bench.empty()
    kept = [one for one in given_deliveries if one.version <= 1 << 42]
    expected: dict[tuple[Any, ...], list[Delivery]] = {}
    for one in kept:
        same = expected.setdefault(one[:4], [])
        if not same or same[0].version <= one.version:
            expected[one[:4]] = [*[other for other in same if other.version == one.version], one]

    async def work() -> None:
        store = bench.store
        refused = await store.writes.write_deliveries(given_deliveries)
        assert [one for one, reason in refused] == [one for one in given_deliveries if one not in kept]
        assert all("version" in reason for _, reason in refused)
        stored = {one[:4]: one async for one in store.reads.all_deliveries(superseded=True)}
        assert stored.keys() == expected.keys()
        assert all(one in expected[name] for name, one in stored.items())
        visible = [one for one in stored.values() if one.superseded_by is None]
        assert await store.reads.counts() == await records.counted(store)
        newest = await store.reads.newest_deliveries(100)
        assert len(newest) == len(visible) and all(one in newest for one in visible)
        for one in visible:
            assert one in await store.reads.deliveries_of(*one[:3])
            assert one[:3] in await store.reads.keys_by_hash(key_hash(key_text(*one[:3])))

    bench.run(work())


def test_hostile_texts_of_8_kb_are_stored_and_found(bench: Bench) -> None:
    bench.empty()
    keys = [(f"10.0.0.{n}", (text * 300)[:8192], ("GET /" + text * 300)[:8192]) for n, text in enumerate(HOSTILE)]

    async def work() -> None:
        store = bench.store
        for ip_address, user_agent, request in keys:
            fields: dict[str, Any] = {"ip_address": ip_address, "user_agent": user_agent, "request": request}
            assert await store.writes.write_hits([hit(1, **fields, method=user_agent)]) == []
            assert await store.writes.write_deliveries([delivery(**fields)]) == []
            assert await store.writes.write_rejects([reject(1, line=user_agent, detail=request)]) == []
        for key in keys:
            assert await store.reads.keys_by_hash(key_hash(key_text(*key))) == [key]
            assert (await store.reads.keys_by_text_part(key[1][:200])).keys == [key]
            assert [one[:3] for one in await store.reads.deliveries_of(*key)] == [key]
            ((found,), count) = await store.reads.hits_of(*key)
            assert found == hit(1, ip_address=key[0], user_agent=key[1], request=key[2], method=key[1]) and count == 1

    bench.run(work())


def test_texts_too_long_for_a_key_come_back_whole(bench: Bench) -> None:
    bench.empty()
    long: dict[str, Any] = {"user_agent": "é" * 40_000, "request": "GET /" + "\ud800" * 70_000}
    other = {**long, "user_agent": "é" * 39_999 + "e"}

    async def work() -> None:
        store = bench.store
        assert await store.writes.write_hits([hit(1, **long), hit(2, **other)]) == []
        assert await store.writes.write_deliveries([delivery(**long), delivery(**other)]) == []
        found = sorted([one async for one in store.reads.all_hits()], key=lambda one: one.position)
        assert found == [hit(1, **long), hit(2, **other)]
        assert await store.reads.hits_of("10.0.0.1", **long) == ([hit(1, **long)], 1)
        assert await store.reads.deliveries_of("10.0.0.1", **other) == [delivery(**other)]
        assert len(await store.reads.newest_deliveries(9)) == 2
        key = ("10.0.0.1", long["user_agent"], long["request"])
        assert await store.reads.keys_by_hash(key_hash(key_text(*key))) == [key]

    bench.run(work())


def test_absent_empty_and_nul_parts_of_a_key_are_told_apart(bench: Bench) -> None:
    bench.empty()
    agents = [None, "", "\0", "\0n", "\0e", "n", "\\x00"]

    async def work() -> None:
        store = bench.store
        await store.writes.write_hits([hit(n, user_agent=agent) for n, agent in enumerate(agents)])
        for n, agent in enumerate(agents):
            assert await store.reads.hits_of("10.0.0.1", agent, "GET /a") == ([hit(n, user_agent=agent)], 1)
        assert await store.reads.keys_by_hash(key_hash("10.0.0.1__GET /a")) == [("10.0.0.1", "", "GET /a")]

    bench.run(work())


def test_keys_that_join_alike_are_told_apart(bench: Bench) -> None:
    bench.empty()
    first, second = ("1", "a_b", "c"), ("1_a", "b", "c")

    async def work() -> None:
        store = bench.store
        for ip_address, user_agent, request in (first, second):
            await store.writes.write_deliveries(
                [delivery(ip_address=ip_address, user_agent=user_agent, request=request)]
            )
        assert sorted(await store.reads.keys_by_hash(key_hash("1_a_b_c"))) == sorted([first, second])
        assert [one[:3] for one in await store.reads.deliveries_of(*second)] == [second]
        assert await store.reads.keys_by_hash(key_hash("1_a_b")) == []
        assert await store.reads.keys_by_hash("no hash") == []

    bench.run(work())


def test_keys_are_found_by_a_part_of_their_text_newest_day_first(bench: Bench) -> None:
    bench.empty()
    hostile = ("9.9.9.9", "<script>'\"\0%", "GET /ü")
    later = {"ip_address": hostile[0], "user_agent": hostile[1], "request": hostile[2]}

    async def work() -> None:
        store = bench.store
        await store.writes.write_hits([hit(1), hit(2 * 86400, **later), hit(3, request=None)])
        assert (await store.reads.keys_by_text_part("CURL/8")).keys == [("10.0.0.1", "curl/8_1", "GET /a")]
        assert (await store.reads.keys_by_text_part("_GET /")).keys == [hostile, ("10.0.0.1", "curl/8_1", "GET /a")]
        assert (await store.reads.keys_by_text_part("_GET /", limit=1)).keys == [hostile]
        assert (await store.reads.keys_by_text_part("'\"\0%")).keys == [hostile]
        assert (await store.reads.keys_by_text_part("\ud800")).keys == []

    bench.run(work())


def test_hits_come_by_time_across_days_bounded_and_counted(bench: Bench) -> None:
    bench.empty()
    hits = [hit(position, time=1e9 - 40_000.0 * position) for position in range(30)]

    async def work() -> None:
        store = bench.store
        await store.writes.write_hits([*hits, hit(99, request="GET /b"), hit(100, time=-5.5), hit(101, time=1e300)])
        found, count = await store.reads.hits_of("10.0.0.1", "curl/8_1", "GET /a", limit=4)
        assert [one.position for one in found] == [100, 29, 28, 27]
        assert count == 32
        found, _ = await store.reads.hits_of("10.0.0.1", "curl/8_1", "GET /a")
        assert [one.time for one in found] == sorted(one.time for one in found) and len(found) == 32
        assert await store.reads.hits_of("10.0.0.1", "curl/8_1", "GET /c") == ([], 0)

    bench.run(work())


def test_newest_deliveries_are_the_last_touched_of_each_or_all_verdicts(bench: Bench) -> None:
    bench.empty()
    verdicts = ["complete", "partial", "unknown"]
    written = [delivery(window_start=float(n), last=n * 600.0, verdict=verdicts[n % 3]) for n in range(60)]
    hidden = delivery(window_start=99.0, last=99_000.0, superseded_by=1.0)

    async def work() -> None:
        store = bench.store
        await store.writes.write_deliveries([*written, hidden])
        # seen earlier in a younger hour: that entry of the index counts no more
        await store.writes.write_deliveries([delivery(6, window_start=5.0, last=77_000.0, verdict="unknown")])
        assert [one.last / 600 for one in await store.reads.newest_deliveries(4)] == [59.0, 58.0, 57.0, 56.0]
        assert [one.last / 600 for one in await store.reads.newest_deliveries(2, "partial")] == [58.0, 55.0]
        assert len(await store.reads.newest_deliveries(100)) == 60
        assert await store.reads.newest_deliveries(2, "no such verdict") == []

    bench.run(work())


def test_walks_through_everything_take_more_than_one_page(bench: Bench) -> None:
    bench.empty()

    async def work() -> None:
        store = bench.store
        await store.writes.write_hits([hit(position) for position in range(4500)])
        await store.writes.write_rejects([reject(position) for position in range(4000)])
        await store.writes.write_deliveries([delivery(window_start=float(n)) for n in range(4001)])
        assert sorted([one.position async for one in store.reads.all_hits()]) == list(range(4500))
        assert sorted([one.position async for one in store.reads.all_rejects()]) == list(range(4000))
        assert sorted([one.window_start async for one in store.reads.all_deliveries()]) == [
            float(n) for n in range(4001)
        ]
        assert [one.window_start for one in await store.reads.deliveries_of(*delivery()[:3])] == [
            float(n) for n in reversed(range(4001))
        ]
        assert await store.reads.counts() == await records.counted(store)

    bench.run(work())


def test_what_no_column_can_hold_is_refused_with_a_reason_and_the_rest_is_written(bench: Bench) -> None:
    bench.empty()

    async def work() -> None:
        store = bench.store
        good = [hit(position, hi=2**64) for position in range(40)]
        bad = [hit(100, time=float("nan")), hit(101, raw_id="no id"), hit(102, status=None), hit(103, flags=2**40)]
        refused = await store.writes.write_hits([*good[:20], *bad, *good[20:]])
        assert [(one.position, bool(reason)) for one, reason in refused] == [(n, True) for n in (100, 101, 102, 103)]
        assert sorted([one async for one in store.reads.all_hits()], key=lambda one: one.position) == good

        wrong = [
            delivery(window_start=float("nan")),
            delivery(window_start=3.0, hit_ids=["xyz"]),
            delivery(window_start=4.0, last=float("nan")),
            delivery(window_start=5.0, verdict="perhaps"),
            delivery(-1, window_start=6.0),
        ]
        refused_deliveries = await store.writes.write_deliveries([*wrong, delivery()])
        assert [str(one.window_start) for one, _ in refused_deliveries] == [str(one.window_start) for one in wrong]
        assert [one async for one in store.reads.all_deliveries(superseded=True)] == [delivery()]
        assert [one.position for one, _ in await store.writes.write_rejects([reject(1, raw_id="zz"), reject(2)])] == [1]

    bench.run(work())


def test_a_record_that_the_server_refuses_is_found_among_many_and_told_in_its_words(bench: Bench) -> None:
    bench.empty()
    many = [hit(position, request=f"GET /{position % 9}") for position in range(300)]
    poison = hit(1000, source="x" * (5 << 20), request="GET /7")  # above the largest message that the server takes

    async def work() -> None:
        store = bench.store
        refused = await store.writes.write_hits([*many[:150], poison, *many[150:]])
        assert [one for one, _ in refused] == [poison]
        assert "bytes" in refused[0][1] and "maximum" in refused[0][1]
        assert sorted([one async for one in store.reads.all_hits()]) == sorted(many)
        assert SOURCE in {one.source async for one in store.reads.all_hits()}

    bench.run(work())
