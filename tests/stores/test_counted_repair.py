"""Votes and spending in Elasticsearch and Cassandra: damages by hand are named by `check`, mended by `repair`, and gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.checking.mender import Mender
from app.checking.reconciliation import CheckRun, check_stores, reconcile
from app.checking.report import CheckReport, Difference
from app.flows.spending import SPENDING
from app.flows.votes import VOTES
from app.settings import Settings
from app.stores.contract import Store
from app.stores.elasticsearch.store import ElasticsearchStore
from app.transports.broker_view import open_view
from app.transports.messages import Message
from tests.checking.counted_world import CountedWorld, all_counted, some_transactions, some_votes, write_counted
from tests.checking.world import BASE_S
from tests.stores import elastic
from tests.stores.cassandra_stores import cql, fresh_keyspace, own_settings, with_cassandra

pytestmark = pytest.mark.timeout(600)
UNREADABLE = [
    (record, "unreadable")
    for record in ("transaction", "transaction sum", "transaction sum", "vote", "vote sum", "vote sum")
]
"""A damaged one of each, and a sum of a resolution that there is not."""

Found = list[tuple[str, str]]


async def damages_are_named_mended_and_gone(
    world: CountedWorld, store: Store, damage: Callable[[], Awaitable[Found]]
) -> None:
    """`damage` gives (record, kind) of what it did; of what cannot be read it is named as such, and as missing if the topic has it."""
    group = f"weblogs-{store.name}"

    async def take(messages: Sequence[Message]) -> None:
        await write_counted(store, messages)
        with world.log() as log:
            log.register_group(group, [VOTES.reduced, SPENDING.reduced])
            world.commit(log, group)

    async def found() -> Found:
        told: list[Difference] = []
        opened = open_view(world.settings)
        assert opened is not None
        with closing(opened) as view:
            await check_stores(CheckRun(world.settings, view), [store], CheckReport(told.append))
        return sorted((each.record, each.kind) for each in told if each.record != "count")

    await take(world.count(VOTES, some_votes(), stored=False))
    await take(world.count(SPENDING, some_transactions(), stored=False))
    assert await found() == []
    before = await all_counted(store)
    done = await damage()
    named = await found()
    if all(kind == "unreadable" for _, kind in done):  # what it would say is missing then
        named = [each for each in named if each[1] == "unreadable"]
        assert set(named) == set(done) and len(named) >= len(done)
    else:
        assert named == sorted(done)
    for look in range(3):  # as `repair` does it
        report = CheckReport()
        opened = open_view(world.settings)
        assert opened is not None
        with closing(opened) as view:
            await reconcile(CheckRun(world.settings, view), store, report, Mender(store, report) if look < 2 else None)
        if not report.differences:
            break
    assert await found() == []
    assert await all_counted(store) == before
    await take(world.count(VOTES, some_votes(30, 100), stored=False))
    await take(world.count(SPENDING, some_transactions(30, 100), stored=False))
    assert await found() == [], "later versions show above what was mended"


@pytest.mark.live
def test_elasticsearch_is_mended(tmp_path: Path) -> None:
    async def run() -> None:
        async with elastic.opened() as store:
            await damages_are_named_mended_and_gone(CountedWorld(tmp_path), store, lambda: damage_documents(store))

    asyncio.run(run())


async def damage_documents(store: ElasticsearchStore) -> Found:
    def path(table: str, rest: str) -> str:
        return f"/{store.names.prefix}{table}/{rest}"

    async def some(table: str, **terms: Any) -> dict[str, Any]:
        query = {"bool": {"filter": [{"term": {field: value}} for field, value in terms.items()]}}
        answer = await store.connection.call("POST", path(table, "_search"), {"size": 1, "query": query})
        return answer["hits"]["hits"][0]

    async def put(table: str, source: dict[str, Any], name: str = "") -> None:
        method = "PUT" if name else "POST"
        await store.connection.call(method, path(table, f"_doc/{name}"), source, params={"refresh": "true"})

    async def delete(table: str, name: str) -> None:
        await store.connection.call("DELETE", path(table, f"_doc/{name}"), params={"refresh": "true"})

    await delete("votes", (await some("votes", vote_id="v4"))["_id"])
    altered = await some("votes", vote_id="v5")
    await put("votes", altered["_source"] | {"candidate_id": 7}, altered["_id"])
    await put("votes", (await some("votes", vote_id="v6"))["_source"])
    await put("votes", altered["_source"] | {"vote_id": "x"})
    await delete("transactions", (await some("transactions", transaction_id="t4"))["_id"])
    window = await some("vote_sums", resolution="window")
    await put("vote_sums", window["_source"] | {"events": 99}, window["_id"])
    await delete("vote_sums", (await some("vote_sums", resolution="total", group="1"))["_id"])
    await put("spend_sums", (await some("spend_sums", resolution="hour"))["_source"])
    await put("spend_sums", (await some("spend_sums", resolution="day"))["_source"] | {"group": "nobody"})
    return [
        ("vote", "missing"),
        ("vote", "altered"),
        ("vote", "doubled"),
        ("vote", "extra"),
        ("transaction", "missing"),
        ("vote sum", "altered"),
        ("vote sum", "missing"),
        ("transaction sum", "doubled"),
        ("transaction sum", "extra"),
    ]


@pytest.mark.live
def test_cassandra_is_mended(tmp_path: Path) -> None:
    with fresh_keyspace() as keyspace:

        async def damage() -> Found:
            return await asyncio.to_thread(damage_rows, keyspace)

        with_cassandra(keyspace, lambda store: damages_are_named_mended_and_gone(CountedWorld(tmp_path), store, damage))


def damage_rows(keyspace: str) -> Found:
    """Events are written with timestamps that are far ahead of the clock: a person needs higher ones. Sums go by their version."""
    high = "USING TIMESTAMP 5000000000000000"
    votes, totals, days = cql(
        keyspace,
        "SELECT candidate_id, day, window_start, kiosk_id, partition, share FROM KS.vote_counts LIMIT 1",
        "SELECT start, candidate_id, partition, share FROM KS.vote_sums WHERE resolution = 'total' AND day = 0 LIMIT 1",
        "SELECT start, partition, share FROM KS.spend_sums WHERE user_id = 'u1' AND resolution = 'day' LIMIT 1",
    )
    candidate, day, start, kiosk, partition, share = votes[0]
    total_start, total_candidate, total_partition, total_share = totals[0]
    day_start, day_partition, day_share = days[0]
    cql(
        keyspace,
        f"DELETE FROM KS.votes {high} WHERE vote_id = 'v4'",
        f"UPDATE KS.votes {high} SET candidate_id = 7 WHERE vote_id = 'v5'",
        f"INSERT INTO KS.votes (vote_id, candidate_id, time) VALUES ('x', 1, {BASE_S + 50})",
        f"INSERT INTO KS.transactions (user_id, transaction_id, time, cents) VALUES ('u1', 't1', {BASE_S + 50}, 5)",
        f"UPDATE KS.vote_counts SET votes = 99 WHERE candidate_id = {candidate} AND day = {day} AND window_start = {start}"
        f" AND kiosk_id = '{kiosk}' AND partition = {partition} AND share = {share}",
        f"DELETE FROM KS.vote_sums WHERE resolution = 'total' AND day = 0 AND start = {total_start}"
        f" AND candidate_id = '{total_candidate}' AND partition = {total_partition} AND share = {total_share}",
        f"UPDATE KS.spend_sums SET cents = 1 WHERE user_id = 'u1' AND resolution = 'day' AND start = {day_start}"
        f" AND partition = {day_partition} AND share = {day_share}",
        "INSERT INTO KS.spend_sums (user_id, resolution, start, partition, share, cents, transactions, repeats)"
        f" VALUES ('nobody', 'day', {day_start}, 0, 0, 1, 1, 0)",
    )
    return [
        ("vote", "missing"),
        ("vote", "altered"),
        ("vote", "extra"),
        ("transaction", "doubled"),
        ("vote sum", "altered"),
        ("vote sum", "missing"),
        ("transaction sum", "altered"),
        ("transaction sum", "extra"),
    ]


def test_sqlite_rows_that_cannot_be_read_are_named_and_mended(tmp_path: Path) -> None:
    world = CountedWorld(tmp_path)

    async def damage() -> Found:
        for statement in (
            "UPDATE votes SET candidate_id = 'x' WHERE vote_id = 'v4'",
            "UPDATE votes SET vote_id = x'ff' WHERE vote_no = (SELECT max(vote_no) FROM votes)",
            "UPDATE transactions SET cents = 'much' WHERE transaction_id = 't4'",
            "UPDATE vote_sums SET events = 'x' WHERE (resolution, grp) = ('total', '1')",
            "INSERT INTO vote_sums SELECT 'year', start, grp, partition, share, events, amount, repeats, version, ingested"
            " FROM vote_sums WHERE resolution = 'total' LIMIT 1",
            "UPDATE spend_sums SET amount = x'00' WHERE (resolution, grp) = ('total', 'u1')",
            "INSERT INTO spend_sums (resolution, start, grp, partition, share, events, amount, repeats, version, ingested)"
            " SELECT 'year', start, grp, partition, share, events, amount, repeats, version, ingested FROM spend_sums"
            " WHERE resolution = 'total' LIMIT 1",
        ):
            assert world.sql(statement) >= 1, statement
        return UNREADABLE

    world.with_store(lambda store: damages_are_named_mended_and_gone(world, store, damage))


@pytest.mark.live
def test_elasticsearch_documents_that_cannot_be_read_are_named_and_mended(tmp_path: Path) -> None:
    async def damage(store: ElasticsearchStore) -> Found:
        async def put(table: str, change: dict[str, Any], name: str = "", **terms: Any) -> None:
            filters = [{"term": {field: value}} for field, value in terms.items()]
            path = f"/{store.names.prefix}{table}/"
            query = {"size": 1, "query": {"bool": {"filter": filters}}}
            hit = (await store.connection.call("POST", f"{path}_search", query))["hits"]["hits"][0]
            await store.connection.call(
                "PUT", f"{path}_doc/{name or hit['_id']}", hit["_source"] | change, params={"refresh": "true"}
            )

        await put("votes", {"candidate_id": None}, vote_id="v4")
        await put("transactions", {"cents": "7"}, transaction_id="t4")
        await put("vote_sums", {"events": None}, resolution="total", group="1")
        await put("vote_sums", {"resolution": "year"}, "foreign", resolution="total", group="2")
        await put("spend_sums", {"amount": [1, 2]}, resolution="total", group="u1")
        await put("spend_sums", {"resolution": "year"}, "foreign", resolution="total", group="u2")
        return UNREADABLE

    async def run() -> None:
        async with elastic.opened() as store:
            await damages_are_named_mended_and_gone(CountedWorld(tmp_path), store, lambda: damage(store))

    asyncio.run(run())


@pytest.mark.live
def test_cassandra_rows_that_cannot_be_read_are_named_and_mended(tmp_path: Path) -> None:
    """What is missing in a row: CQL knows the types."""
    high = "USING TIMESTAMP 5000000000000000"

    def damage(keyspace: str) -> Found:
        totals, transactions, spent = cql(
            keyspace,
            "SELECT start, candidate_id, partition, share FROM KS.vote_sums WHERE resolution = 'total' AND day = 0 LIMIT 1",
            "SELECT user_id, time, transaction_id FROM KS.transactions LIMIT 1",
            "SELECT start, partition, share FROM KS.spend_sums WHERE user_id = 'u1' AND resolution = 'day' LIMIT 1",
        )
        (start, candidate, partition, share), (user, time, one) = totals[0], transactions[0]
        day, day_partition, day_share = spent[0]
        cql(
            keyspace,
            f"DELETE candidate_id FROM KS.votes {high} WHERE vote_id = 'v4'",
            f"DELETE cents FROM KS.transactions {high} WHERE user_id = '{user}' AND time = {time!r} AND transaction_id = '{one}'",
            f"DELETE votes FROM KS.vote_sums WHERE resolution = 'total' AND day = 0 AND start = {start}"
            f" AND candidate_id = '{candidate}' AND partition = {partition} AND share = {share}",
            "INSERT INTO KS.vote_sums (resolution, day, start, candidate_id, partition, share, votes, repeats)"
            " VALUES ('year', 0, 0, '1', 0, 0, 1, 0)",
            f"DELETE cents FROM KS.spend_sums WHERE user_id = 'u1' AND resolution = 'day' AND start = {day}"
            f" AND partition = {day_partition} AND share = {day_share}",
            "INSERT INTO KS.spend_sums (user_id, resolution, start, partition, share, cents, transactions, repeats)"
            " VALUES ('u1', 'year', 0, 0, 0, 1, 1, 0)",
        )
        return UNREADABLE

    with fresh_keyspace() as keyspace:

        async def damaged() -> Found:
            return await asyncio.to_thread(damage, keyspace)

        with_cassandra(
            keyspace, lambda store: damages_are_named_mended_and_gone(CountedWorld(tmp_path), store, damaged)
        )


@pytest.mark.live
def test_stores_that_are_apart_are_named_after_the_topics_are_trimmed(tmp_path: Path) -> None:
    world = CountedWorld(tmp_path)
    messages = [
        *world.count(VOTES, some_votes(), stored=False),
        *world.count(SPENDING, some_transactions(), stored=False),
    ]

    async def run(one: Store, keyspace: str) -> None:
        async with elastic.opened() as other:
            for store in (one, other):
                await write_counted(store, messages)
                assert await apart(one, other) == [] or store is one
            await asyncio.to_thread(
                cql, keyspace, "DELETE FROM KS.votes USING TIMESTAMP 5000000000000000 WHERE vote_id = 'v4'"
            )
            assert ("vote", "apart") in await apart(one, other)

    async def apart(one: Store, other: Store) -> Found:
        told: list[Difference] = []
        own: Settings = msgspec.structs.replace(world.settings)
        await check_stores(CheckRun(own, None), [one, other], CheckReport(told.append))
        return [(each.record, each.kind) for each in told]

    with fresh_keyspace() as keyspace:
        assert own_settings(keyspace).cassandra_keyspace == keyspace
        with_cassandra(keyspace, lambda store: run(store, keyspace))
