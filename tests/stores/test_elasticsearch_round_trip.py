"""Whatever a log holds comes back from Elasticsearch exactly, and is found by what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.records import Delivery, Hit, Reject, delivery_id, key_hash, key_text
from tests.stores import contract_rules, elastic, records
from tests.stores.records import delivery, hit, reject

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

HOSTILE = [
    '\'; DROP TABLE raw_weblogs; -- "quoted" \\ $$ /* CQL */ ',
    '{"query": {"match_all": {}}, "x": [1, {"y": "\\u0000"}]}\n{"delete": {"_id": "1"}}\n',
    'a AND (b OR NOT c) +d -e "f g"~2 h* i? j^2 k:[1 TO 9] l:{1 TO 2} && || ! \\: /regex.*/ ',
]


def test_hits_with_any_text_and_any_integer_come_back_exactly() -> None:
    def examples(run: Callable[[elastic.Work], Any]) -> None:
        @settings(max_examples=25, deadline=None)
        @given(st.lists(records.hits(), max_size=8, unique_by=lambda one: one.raw_id))  # one line has one time
        def check(given_hits: list[Hit]) -> None:
            run(lambda store: contract_rules.hits_come_back(store, given_hits + given_hits[:3]))

        check()

    elastic.for_each(examples)


def test_hits_of_a_key_come_by_time_source_and_position() -> None:
    elastic.for_each(lambda run: run(contract_rules.hits_of_a_key_come_by_time_source_and_position))


def test_a_search_looks_at_all_keys() -> None:
    elastic.for_each(lambda run: run(contract_rules.a_search_goes_on_until_all_keys_were_looked_at))


def test_rejects_with_any_text_come_back_exactly() -> None:
    def examples(run: Callable[[elastic.Work], Any]) -> None:
        @settings(max_examples=25, deadline=None)
        @given(st.lists(records.rejects(), max_size=8))
        def check(given_rejects: list[Reject]) -> None:
            run(lambda store: contract_rules.rejects_come_back(store, given_rejects))

        check()

    elastic.for_each(examples)


def test_deliveries_with_any_text_and_any_integer_come_back_exactly() -> None:
    def examples(run: Callable[[elastic.Work], Any]) -> None:
        versions = st.integers(0, 2**63 - 1)

        @settings(max_examples=25, deadline=None)
        @given(
            st.lists(
                st.builds(lambda one, version: one._replace(version=version), records.deliveries(), versions),
                max_size=8,
            )
        )
        def check(given_deliveries: list[Delivery]) -> None:
            run(lambda store: contract_rules.deliveries_come_back(store, given_deliveries))

        check()

    elastic.for_each(examples)


async def test_versions_that_elasticsearch_can_not_count_are_refused_and_the_rest_is_written() -> None:
    async with elastic.opened() as store:
        refused = await store.writes.write_deliveries(
            [delivery(2**63, window_start=1.0), delivery(8), delivery(-1, window_start=2.0)]
        )
        assert sorted(one.version for one, _ in refused) == [-1, 2**63]
        assert all("is not within 0..2**63-1" in reason for _, reason in refused)
        assert [one async for one in store.reads.all_deliveries()] == [delivery(8)]


@pytest.mark.parametrize("text", HOSTILE, ids=["CQL", "JSON", "Lucene"])
async def test_fields_of_8_kb_and_64_kib_full_of_another_language_are_stored_and_found_as_they_are(text: str) -> None:
    short, long = (text * (8000 // len(text) + 1))[:8000], (text * (65_536 // len(text) + 1))[:65_536]
    async with elastic.opened() as store:
        for at, (agent, request) in enumerate([(short, short[::-1]), (long, long[::-1])]):
            one = hit(at, user_agent=agent, request=request, ip_address=f"host-{at}.example")
            whole = delivery(user_agent=agent, request=request, ip_address=one.ip_address)
            assert await store.writes.write_hits([one]) == [] and await store.writes.write_deliveries([whole]) == []
            assert await store.writes.write_rejects([reject(at, line=agent + request, detail=agent)]) == []
            key = (str(one.ip_address), agent, request)
            assert await store.reads.keys_by_hash(key_hash(key_text(*key))) == [key]
            assert await store.reads.deliveries_of(*key) == [whole]
            assert await store.reads.hits_of(*key) == ([one], 1)
        assert (await store.reads.keys_by_text_part(short[3000:3400])).keys == [("host-0.example", short, short[::-1])]
        assert await elastic.search(store, store.names.reduced, {"term": {"user_agent": short}}) == [
            delivery_id("host-0.example", short, short[::-1], records.TIME)
        ]
        assert sorted([one.line async for one in store.reads.all_rejects()]) == sorted(
            [short + short[::-1], long + long[::-1]]
        )


async def test_keys_that_join_alike_are_told_apart() -> None:
    async with elastic.opened() as store:
        first, second = ("1", "a_b", "c"), ("1_a", "b", "c")
        for ip_address, user_agent, request in (first, second):
            await store.writes.write_deliveries(
                [delivery(ip_address=ip_address, user_agent=user_agent, request=request)]
            )
        assert await store.reads.keys_by_hash(key_hash("1_a_b_c")) == [first, second]
        assert [one[:3] for one in await store.reads.deliveries_of(*second)] == [second]
        assert await store.reads.keys_by_hash(key_hash("1_a_b")) == []
        assert await store.reads.keys_by_hash("no hash") == []


async def test_keys_are_found_by_a_part_of_their_text_newest_first() -> None:
    async with elastic.opened() as store:
        hostile = ("9.9.9.9", "<script>'\"\0%*?\\", "GET /ü")
        await store.writes.write_hits(
            [hit(1), hit(2, ip_address=hostile[0], user_agent=hostile[1], request=hostile[2]), hit(3, request=None)]
        )
        plain = ("10.0.0.1", "curl/8_1", "GET /a")
        assert (await store.reads.keys_by_text_part("CURL/8")).keys == [plain]
        assert (await store.reads.keys_by_text_part("_GET /")).keys == [hostile, plain]
        assert (await store.reads.keys_by_text_part("_GET /", limit=1)).keys == [hostile]
        assert (await store.reads.keys_by_text_part("'\"\0%*?\\_get")).keys == [hostile]
        assert (await store.reads.keys_by_text_part("0.1_curl/8_1_GET /a")).keys == [plain]
        assert (await store.reads.keys_by_text_part("8_1_G")).keys == [plain]
        assert (await store.reads.keys_by_text_part("8_1_1")).keys == []
        assert (await store.reads.keys_by_text_part("\ud800")).keys == []


async def test_hits_come_by_time_bounded_and_counted() -> None:
    async with elastic.opened() as store:
        await store.writes.write_hits(
            [hit(position, time=1000.0 - position) for position in range(30)] + [hit(99, request="GET /b")]
        )
        found, count = await store.reads.hits_of("10.0.0.1", "curl/8_1", "GET /a", limit=3)
        assert [one.position for one in found] == [29, 28, 27]
        assert count == 30
        assert await store.reads.hits_of("10.0.0.1", "curl/8_1", "GET /c") == ([], 0)


async def test_newest_deliveries_are_the_last_touched_of_each_or_all_verdicts() -> None:
    async with elastic.opened() as store:
        verdicts = ["complete", "partial", "unknown"]
        written = [delivery(window_start=float(n), last=float(n), verdict=verdicts[n % 3]) for n in range(30)]
        hidden = delivery(window_start=99.0, last=99.0, superseded_by=1.0)
        await store.writes.write_deliveries([*written, hidden])
        assert [one.last for one in await store.reads.newest_deliveries(4)] == [29.0, 28.0, 27.0, 26.0]
        assert [one.last for one in await store.reads.newest_deliveries(2, "partial")] == [28.0, 25.0]
        assert await store.reads.newest_deliveries(2, "no such verdict") == []


async def test_walks_through_everything_take_more_than_one_slice_and_more_hits_than_one_answer_has() -> None:
    async with elastic.opened() as store:
        await store.writes.write_hits([hit(position) for position in range(10_500)])
        await store.writes.write_rejects([reject(position) for position in range(1300)])
        await store.writes.write_deliveries([delivery(window_start=float(n)) for n in range(1301)])
        assert sorted([one.position async for one in store.reads.all_hits()]) == list(range(10_500))
        assert sorted([one.position async for one in store.reads.all_rejects()]) == list(range(1300))
        assert sorted([one.window_start async for one in store.reads.all_deliveries()]) == [
            float(n) for n in range(1301)
        ]
        assert [one.window_start for one in await store.reads.deliveries_of(*delivery()[:3])] == [
            float(n) for n in range(1300, -1, -1)
        ]
        found, count = await store.reads.hits_of(*delivery()[:3], limit=20_000)
        assert [one.position for one in found] == list(range(10_500)) and count == 10_500


async def test_what_no_store_can_keep_is_refused_with_a_reason_and_the_rest_is_written() -> None:
    async with elastic.opened() as store:
        good = [hit(position, hi=2**64) for position in range(40)]
        bad = [hit(100, time=float("nan")), hit(101, raw_id="no id"), hit(102, status=None), hit(103, hi=10**5000)]
        refused = await store.writes.write_hits([*good[:20], *bad, *good[20:]])
        assert sorted((one.position, bool(reason)) for one, reason in refused) == [
            (position, True) for position in range(100, 104)
        ]
        assert sorted([one async for one in store.reads.all_hits()]) == good

        wrong = [
            delivery(window_start=float("nan")),
            delivery(window_start=2.0, ranges=[[0, 10**5000]]),
            delivery(last=float("nan")),
        ]
        refused_deliveries = await store.writes.write_deliveries([*wrong, delivery(window_start=4.0)])
        assert sorted(str(one.window_start) for one, _ in refused_deliveries) == sorted(
            str(one.window_start) for one in wrong
        )
        assert [one.window_start async for one in store.reads.all_deliveries(superseded=True)] == [4.0]

        refused_rejects = await store.writes.write_rejects([reject(1, raw_id="zz"), reject(2)])
        assert [one.position for one, _ in refused_rejects] == [1]
        assert await store.reads.counts() == await records.counted(store)


async def test_sums_stay_exact_beyond_doubles_and_beyond_64_bits() -> None:
    async with elastic.opened() as store:
        sizes = [2**53 - 1, 2**53 - 3, 2**53, 2**63, 2**70 + 1, 10**4000 + 7, 3, 5]
        await store.writes.write_deliveries(
            [delivery(window_start=float(n), covered_bytes=size, bytes_sent=size + 1) for n, size in enumerate(sizes)]
        )
        await store.writes.write_deliveries([delivery(window_start=99.0, covered_bytes=2**70, superseded_by=1.0)])
        counts = await store.reads.counts()
        assert counts.covered_bytes == sum(sizes) and counts.bytes_sent == sum(sizes) + len(sizes)


async def test_an_id_given_by_the_shipper_counts_once_wherever_the_line_stands() -> None:
    async with elastic.opened() as store:
        given_id = "ab" * 16
        first = hit(1, raw_id=given_id)
        await store.writes.write_hits([first])
        await store.writes.write_hits([hit(2, raw_id=given_id, source="elsewhere")])
        assert [one async for one in store.reads.all_hits()] == [first]


async def test_which_deliveries_hold_a_byte_is_one_query() -> None:
    async with elastic.opened() as store:
        await store.writes.write_deliveries(
            [
                delivery(request="GET /a", ranges=[[0, 499], [1000, 1999]], missing=[[500, 999]]),
                delivery(request="GET /b", ranges=[[500, 2**70]]),
                delivery(request="GET /c", ranges=[[500, 600]], superseded_by=1.0),
            ]
        )
        names = {request: delivery_id("10.0.0.1", "curl/8_1", f"GET /{request}", records.TIME) for request in "abc"}
        for byte, holding in [(0, "a"), (499, "a"), (500, "b"), (1500, "ab"), (2**63 - 1, "b")]:
            found = await elastic.search(store, store.names.reduced, {"term": {"byte_ranges": byte}})
            assert found == sorted(names[one] for one in holding), byte
        assert await elastic.search(store, store.names.reduced, {"term": {"missing": 700}}) == [names["a"]]


async def test_a_delivery_of_10_000_ranges_is_kept() -> None:
    async with elastic.opened() as store:
        large = delivery(
            ranges=[[n * 10, n * 10 + 4] for n in range(10_000)],
            missing=[[n * 10 + 5, n * 10 + 9] for n in range(10_000)],
        )
        assert await store.writes.write_deliveries([large]) == []
        assert await store.reads.deliveries_of(*large[:3]) == [large]


async def test_addresses_are_found_by_network_and_host_names_as_text() -> None:
    async with elastic.opened() as store:
        addresses = ["10.1.2.3", "2001:db8::1", "client.example"]
        await store.writes.write_hits([hit(n, ip_address=address) for n, address in enumerate(addresses)])
        raw = {one.ip_address: one.raw_id async for one in store.reads.all_hits()}
        assert await elastic.search(store, store.names.raw, {"term": {"ip_address.ip": "10.0.0.0/8"}}) == [
            raw["10.1.2.3"]
        ]
        assert await elastic.search(store, store.names.raw, {"term": {"ip_address.ip": "2001:db8::/32"}}) == [
            raw["2001:db8::1"]
        ]
        assert await elastic.search(store, store.names.raw, {"term": {"ip_address": "client.example"}}) == [
            raw["client.example"]
        ]
