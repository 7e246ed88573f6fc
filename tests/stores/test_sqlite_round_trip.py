"""What is written comes back as it was, whatever the log held."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.records import Delivery, Hit, Reject, key_hash, key_text, raw_ids
from app.stores.identities import key_name
from app.stores.sqlite.store import SqliteStore
from tests.properties import examples
from tests.stores import contract_rules, records
from tests.stores.records import SOURCE, delivery, hit, reject, with_store


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(records.hits(), max_size=12))
def test_hits_with_any_text_and_any_integer_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, given_hits: list[Hit]
) -> None:
    with_store(
        tmp_path_factory.mktemp("store") / "s.db", lambda store: contract_rules.hits_come_back(store, given_hits)
    )


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(records.rejects(), max_size=8))
def test_rejects_with_any_text_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, given_rejects: list[Reject]
) -> None:
    with_store(
        tmp_path_factory.mktemp("store") / "s.db", lambda store: contract_rules.rejects_come_back(store, given_rejects)
    )


def test_hits_of_a_key_come_by_time_source_and_position(tmp_path: Path) -> None:
    with_store(tmp_path / "s.db", contract_rules.hits_of_a_key_come_by_time_source_and_position)


def test_a_search_goes_on_until_all_keys_were_looked_at(tmp_path: Path) -> None:
    with_store(tmp_path / "s.db", contract_rules.a_search_goes_on_until_all_keys_were_looked_at)


def test_a_reject_comes_back_with_all_its_fields(tmp_path: Path) -> None:
    hostile = reject(7, line="\x1b[31m\0\ud800", detail="'x'", time=5.25)

    async def work(store: SqliteStore) -> list[Reject]:
        await store.writes.write_rejects([hostile, hostile])
        return [one async for one in store.reads.all_rejects()]

    assert with_store(tmp_path / "s.db", work) == [hostile]


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(records.deliveries(), max_size=8))
def test_deliveries_with_any_text_and_any_integer_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, given_deliveries: list[Delivery]
) -> None:
    with_store(
        tmp_path_factory.mktemp("store") / "s.db",
        lambda store: contract_rules.deliveries_come_back(store, given_deliveries),
    )


@given(st.lists(st.tuples(*[st.none() | records.texts] * 3), unique=True, max_size=5))
def test_no_two_keys_share_a_name(keys: list[tuple[str | None, str | None, str | None]]) -> None:
    assert len({key_name(*key) for key in keys}) == len(keys)


@given(records.texts, records.texts, records.texts)
def test_the_name_of_a_key_begins_with_the_hash_of_its_text(
    ip_address: str, user_agent: str, request_text: str
) -> None:
    assert key_name(ip_address, user_agent, request_text)[:16].hex() == key_hash(
        key_text(ip_address, user_agent, request_text)
    )


async def test_keys_that_join_alike_are_told_apart(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    first, second = ("1", "a_b", "c"), ("1_a", "b", "c")
    for ip_address, user_agent, request in (first, second):
        await store.writes.write_deliveries([delivery(ip_address=ip_address, user_agent=user_agent, request=request)])
    assert await store.reads.keys_by_hash(key_hash("1_a_b_c")) == [first, second]
    assert [one[:3] for one in await store.reads.deliveries_of(*second)] == [second]
    assert await store.reads.keys_by_hash(key_hash("1_a_b")) == []
    assert await store.reads.keys_by_hash("no hash") == []
    await store.close()


async def test_keys_are_found_by_a_part_of_their_text(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    hostile = ("9.9.9.9", "<script>'\"\0%", "GET /ü")
    await store.writes.write_hits(
        [hit(1), hit(2, ip_address=hostile[0], user_agent=hostile[1], request=hostile[2]), hit(3, request=None)]
    )
    assert (await store.reads.keys_by_text_part("CURL/8")).keys == [("10.0.0.1", "curl/8_1", "GET /a")]
    assert (await store.reads.keys_by_text_part("_GET /")).keys == [hostile, ("10.0.0.1", "curl/8_1", "GET /a")]
    assert (await store.reads.keys_by_text_part("_GET /", limit=1)).keys == [hostile]
    assert (await store.reads.keys_by_text_part("'\"\0%")).keys == [hostile]
    assert (await store.reads.keys_by_text_part("\ud800")).keys == []
    await store.close()


async def test_hits_come_by_time_bounded_and_counted(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    await store.writes.write_hits(
        [hit(position, time=1000.0 - position) for position in range(30)] + [hit(99, request="GET /b")]
    )
    found, count = await store.reads.hits_of("10.0.0.1", "curl/8_1", "GET /a", limit=3)
    assert [one.position for one in found] == [29, 28, 27]
    assert count == 30
    assert await store.reads.hits_of("10.0.0.1", "curl/8_1", "GET /c") == ([], 0)
    await store.close()


async def test_newest_deliveries_are_the_last_touched_of_each_or_all_verdicts(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    verdicts = ["complete", "partial", "unknown"]
    written = [delivery(window_start=float(n), last=float(n), verdict=verdicts[n % 3]) for n in range(30)]
    hidden = delivery(window_start=99.0, last=99.0, superseded_by=1.0)
    await store.writes.write_deliveries([*written, hidden])
    assert [one.last for one in await store.reads.newest_deliveries(4)] == [29.0, 28.0, 27.0, 26.0]
    assert [one.last for one in await store.reads.newest_deliveries(2, "partial")] == [28.0, 25.0]
    assert await store.reads.newest_deliveries(2, "no such verdict") == []
    await store.close()


async def test_walks_through_everything_take_more_than_one_slice(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    await store.writes.write_hits([hit(position) for position in range(4500)])
    await store.writes.write_rejects([reject(position) for position in range(4000)])
    await store.writes.write_deliveries([delivery(window_start=float(n)) for n in range(4001)])
    assert [one.position async for one in store.reads.all_hits()] == list(range(4500))
    assert [one.position async for one in store.reads.all_rejects()] == list(range(4000))
    assert [one.window_start async for one in store.reads.all_deliveries()] == [float(n) for n in range(4001)]
    await store.close()


async def test_what_no_store_can_keep_is_refused_with_a_reason_and_the_rest_is_written(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    good = [hit(position, hi=2**64) for position in range(40)]
    bad = [hit(100, time=float("nan")), hit(101, raw_id="no id"), hit(102, status=None)]
    refused = await store.writes.write_hits([*good[:20], *bad, *good[20:]])
    assert sorted((one.position, bool(reason)) for one, reason in refused) == [(100, True), (101, True), (102, True)]
    assert [one async for one in store.reads.all_hits()] == good

    wrong = [
        delivery(window_start=float("nan")),
        delivery(window_start=2.0, ranges=[[0, 10**5000]]),
        delivery(window_start=3.0, hit_ids=["xyz"]),
        delivery(window_start=4.0, last=float("nan")),
        delivery(window_start=5.0, reason="\ud800"),
    ]
    refused_deliveries = await store.writes.write_deliveries([*wrong, delivery()])
    assert sorted(str(one.window_start) for one, _ in refused_deliveries) == sorted(
        str(one.window_start) for one in wrong
    )
    assert [one async for one in store.reads.all_deliveries(superseded=True)] == [delivery()]

    refused_rejects = await store.writes.write_rejects([reject(1, raw_id="zz"), reject(2)])
    assert [one.position for one, _ in refused_rejects] == [1]
    assert await store.reads.counts() == await records.counted(store)
    await store.close()


async def test_sums_of_the_largest_integers_that_can_be_logged_stay_exact(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    covered = 10**4300 - 1
    for start in range(3):
        assert (
            await store.writes.write_deliveries(
                [delivery(window_start=float(start), covered_bytes=covered, bytes_sent=covered + 1)]
            )
            == []
        )
    assert (await store.reads.counts()).covered_bytes == 3 * covered
    assert (await store.reads.counts()).bytes_sent == 3 * (covered + 1)
    assert {one.bytes_sent for one in await store.reads.newest_deliveries(9)} == {covered + 1}
    await store.close()


def test_analysts_read_the_views_with_any_sql_tool(tmp_path: Path) -> None:
    async def work(store: SqliteStore) -> None:
        await store.writes.write_hits([hit(5), hit(6, raw_id="ab" * 16)])
        await store.writes.write_rejects([reject(9)])
        await store.writes.write_deliveries(
            [delivery(ranges=[[0, 9], [20, 29]]), delivery(window_start=1.0, superseded_by=2.0)]
        )

    with_store(tmp_path / "s.db", work, clock=lambda: 1234.0)
    connection = sqlite3.connect(tmp_path / "s.db")
    raw = (
        "SELECT time_utc, ip_address, request, source, position, given_id, ingested FROM raw_weblogs ORDER BY position"
    )
    assert connection.execute(raw).fetchall() == [
        ("2020-07-31 16:46:12.000", "10.0.0.1", "GET /a", SOURCE, 5, "", 1234.0),
        ("2020-07-31 16:46:13.000", "10.0.0.1", "GET /a", SOURCE, 6, "ab" * 16, 1234.0),
    ]
    reduced = "SELECT user_agent, byte_ranges, verdict, key_hash, ingested FROM reduced_weblogs"
    assert connection.execute(reduced).fetchall() == [
        ("curl/8_1", "0-9,20-29", "complete", key_hash("10.0.0.1_curl/8_1_GET /a"), 1234.0)
    ]
    rejected = "SELECT reason, line, position, ingested FROM weblogs_rejects"
    assert connection.execute(rejected).fetchall() == [("bad_time", "x", 9, 1234.0)]
    connection.close()


async def test_an_id_given_by_the_shipper_counts_once_wherever_the_line_stands(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    given_id, other_id = "ab" * 16, "cd" * 16
    first = hit(1, raw_id=given_id)
    await store.writes.write_hits([first, hit(2, raw_id=given_id, source="elsewhere")])
    await store.writes.write_hits([hit(1, raw_id=given_id), hit(1, raw_id=other_id), hit(1)])
    found = [one async for one in store.reads.all_hits()]
    assert [one.raw_id for one in found] == [given_id, other_id, raw_ids(SOURCE)(1)]
    assert found[0] == first
    assert (await store.reads.counts()).hits == 3
    await store.close()
