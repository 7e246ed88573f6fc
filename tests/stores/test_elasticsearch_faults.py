"""What the server does not take: refused for good with its reason, tried again, or one sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.errors import SettingsError, StoreError, StoreUnreachable
from app.settings import Settings
from app.stores import open_store
from app.stores.contract import KINDS
from app.stores.elasticsearch import schema as elasticsearch_schema
from app.stores.elasticsearch import sending as elasticsearch_sending
from app.stores.elasticsearch.store import ElasticsearchStore
from tests.stores import elastic, records
from tests.stores.records import delivery, hit, reject

live = pytest.mark.live
pytestmark = pytest.mark.timeout(300)


async def _pipeline(store: ElasticsearchStore, kind: str, condition: str) -> None:
    """From now on the server refuses documents of a kind that meet the condition."""
    name = f"{store.names.prefix}poison"
    fail = {"fail": {"if": condition, "message": "this is poison"}}
    await store.connection.call("PUT", f"/_ingest/pipeline/{name}", {"processors": [fail]})
    for index in await store._schema.listed(kind):
        await store.connection.call("PUT", f"/{index}/_settings", {"index.default_pipeline": name})


async def _no_pipeline(store: ElasticsearchStore) -> None:
    for kind in KINDS:
        await store.retention.drop([kind])
    await store.connection.call("DELETE", f"/_ingest/pipeline/{store.names.prefix}poison")


@live
async def test_a_poison_document_is_refused_with_the_servers_reason_and_the_others_are_in() -> None:
    async with elastic.opened() as store:
        await store.writes.write_hits([hit(0)])
        await _pipeline(store, "raw", "ctx.status == 418")
        refused = await store.writes.write_hits([hit(n, status=418 if n == 7 else 206) for n in range(1, 20)])
        assert [one.position for one, _ in refused] == [7]
        assert "this is poison" in refused[0][1]
        assert sorted([one.position async for one in store.reads.all_hits()]) == [n for n in range(20) if n != 7]
        await _pipeline(store, "reduced", "ctx.hits == 5")
        refused_deliveries = await store.writes.write_deliveries(
            [delivery(8, window_start=float(n), hits=n) for n in range(10)]
        )
        assert [one.hits for one, _ in refused_deliveries] == [5] and "poison" in refused_deliveries[0][1]
        assert sum((await store.reads.counts()).deliveries.values()) == 9
        await _no_pipeline(store)


@live
async def test_a_request_that_the_server_finds_too_large_is_halved_until_it_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with elastic.opened() as store:
        sent: list[int] = []
        bulk = store.connection.bulk

        async def noting(body: bytes, params: Any) -> Any:
            sent.append(len(body))
            return await bulk(body, params)

        monkeypatch.setattr(store.connection, "bulk", noting)
        store._sender._bulk_bytes = 300 << 20  # the server takes 100 MiB a request
        large = [reject(n, line="x" * (16 << 20)) for n in range(8)]
        assert await store.writes.write_rejects(large) == []
        assert max(sent) > 100 << 20 and len(sent) >= 3
        assert sum((await store.reads.counts()).rejects.values()) == 8


@live
async def test_while_an_index_is_blocked_its_documents_wait_and_then_the_call_fails_and_can_be_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(elasticsearch_sending, "ATTEMPTS", 2)
    async with elastic.opened() as store:
        await store.writes.write_hits([hit(1)])
        index = store.names.raw_index(hit(1).time)
        await store.connection.call("PUT", f"/{index}/_settings", {"index.blocks.write": True})
        with pytest.raises(
            StoreError, match=r"has no room: 1 documents still wait after 2 tries: cluster_block_exception"
        ):
            await store.writes.write_hits([hit(2)])
        await store.connection.call("PUT", f"/{index}/_settings", {"index.blocks.write": None})
        assert await store.writes.write_hits([hit(2)]) == []
        assert (await store.reads.counts()).hits == 2


async def _without_write_index(store: ElasticsearchStore) -> None:
    """As an operator leaves it who copied the index and put both behind the alias."""
    first, alias = store.names.first("reduced"), store.names.reduced
    await store.connection.call("PUT", f"/{first}-copy", {})
    actions = [{"add": {"index": index, "alias": alias, "is_write_index": False}} for index in (first, f"{first}-copy")]
    await store.connection.call("POST", "/_aliases", {"actions": actions})


async def _with_write_index(store: ElasticsearchStore) -> None:
    first, alias = store.names.first("reduced"), store.names.reduced
    await store.connection.call("DELETE", f"/{first}-copy")
    await store.connection.call(
        "POST", "/_aliases", {"actions": [{"add": {"index": first, "alias": alias, "is_write_index": True}}]}
    )


async def _set_pipeline(store: ElasticsearchStore, name: str | None) -> None:
    first = store.names.first("reduced")
    await store.connection.call("PUT", f"/{first}/_settings", {"index.default_pipeline": name})


async def _missing_pipeline(store: ElasticsearchStore) -> None:
    await _set_pipeline(store, "nonesuch")


async def _broken_pipeline(store: ElasticsearchStore) -> None:
    name = f"{store.names.prefix}broken"
    processors = [{"rename": {"field": "nonesuch", "target_field": "other"}}]
    await store.connection.call("PUT", f"/_ingest/pipeline/{name}", {"processors": processors})
    await _set_pipeline(store, name)


async def _no_pipeline_of_reduced(store: ElasticsearchStore) -> None:
    await _set_pipeline(store, None)
    path = f"/_ingest/pipeline/{store.names.prefix}broken"
    await store.connection.call("DELETE", path, ignore=(404,))


@live
@pytest.mark.parametrize(
    ("alter", "undo", "told"),
    [
        (_without_write_index, _with_write_index, "no write index is defined"),
        (_missing_pipeline, _no_pipeline_of_reduced, "pipeline with id"),
        (_broken_pipeline, _no_pipeline_of_reduced, "of 40 documents it refuses all"),
    ],
)
async def test_what_an_operator_altered_refuses_no_record_for_good(
    alter: Callable[[ElasticsearchStore], Awaitable[None]],
    undo: Callable[[ElasticsearchStore], Awaitable[None]],
    told: str,
) -> None:
    many = [delivery(8, window_start=float(number)) for number in range(40)]
    async with elastic.opened() as store:
        await alter(store)
        with pytest.raises(StoreError, match=told):
            await store.writes.write_deliveries(many)
        await undo(store)
        assert await store.writes.write_deliveries(many) == []
        assert sum((await store.reads.counts()).deliveries.values()) == 40


@live
async def test_indices_that_were_deleted_under_a_running_store_come_again_with_their_mapping() -> None:
    async with elastic.opened() as store:
        await store.writes.write_deliveries([delivery(8)])
        for index in await store._schema.listed("reduced"):
            await store.connection.call("DELETE", f"/{index}")
        assert await store.writes.write_deliveries([delivery(8)]) == []
        assert await elastic.search(store, store.names.reduced, {"term": {"byte_ranges": 3}}) != []


@live
async def test_hostile_times_make_few_indices_and_a_day_that_has_none_stays_where_it_went(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(elasticsearch_schema, "DAILY_INDICES", 5)
    async with elastic.opened() as store:
        far = [-62135596800.0, 253402300799.0, 1e300, float("inf"), -1.0]
        hits = [hit(n, time=time) for n, time in enumerate([*far, *[86400.0 * day for day in range(40)]])]
        assert await store.writes.write_hits(hits) == []
        assert len(await store._schema.listed("raw")) == 6
        before = await elastic.documents(store)
        dropped = next(index for index in await store._schema.listed("raw") if not index.endswith("other"))
        await store.connection.call("DELETE", f"/{dropped}")
        store._schema.forget()
        assert await store.writes.write_hits(hits) == []
        after = await elastic.documents(store)
        assert [(one["_index"], one["_id"]) for one in after] == [(one["_index"], one["_id"]) for one in before]
        assert (await store.reads.counts()).hits == len(hits)


@live
async def test_several_workers_may_open_and_write_at_once() -> None:
    own = elastic.own_settings()
    stores = [ElasticsearchStore(own) for _ in range(4)]
    hits = [hit(n, time=records.TIME + 86400 * (n % 5)) for n in range(100)]
    try:
        await asyncio.gather(*(store.open() for store in stores))
        assert await asyncio.gather(*(store.writes.write_hits(hits) for store in stores)) == [[]] * 4
        assert (await stores[0].reads.counts()).hits == 100
        await stores[0].retention.drop(KINDS)
    finally:
        for store in stores:
            await store.close()


@live
async def test_a_reader_creates_nothing_and_finds_nothing_where_nothing_was_written() -> None:
    own = elastic.own_settings()
    store = open_store("elasticsearch", own, read_only=True)
    try:
        await store.open()
        assert await store.reads.keys_by_hash("ab" * 16) == [] and (await store.reads.keys_by_text_part("x")).keys == []
        assert await store.reads.deliveries_of("a", "b", "c") == [] and await store.reads.hits_of("a", "b", "c") == (
            [],
            0,
        )
        assert await store.reads.newest_deliveries(5) == [] and (await store.reads.counts()).hits == 0
        assert [one async for one in store.reads.all_deliveries()] == [] and [
            one async for one in store.reads.all_rejects()
        ] == []
        with pytest.raises(StoreError, match="opened for reading only"):
            await store.writes.write_hits([hit(1)])
        assert isinstance(store, ElasticsearchStore)
        for kind in KINDS:
            assert not await store._schema.listed(kind)
    finally:
        await store.close()


@live
async def test_a_store_that_was_closed_can_be_opened_again() -> None:
    own = elastic.own_settings()
    store = ElasticsearchStore(own)
    for position in range(2):
        await store.open()
        await store.writes.write_hits([hit(position)])
        await store.close()
        await store.close()
    await store.open()
    assert (await store.reads.counts()).hits == 2
    await store.retention.drop(KINDS)
    await store.close()


@live
async def test_drop_deletes_only_what_was_asked_for_and_map_makes_it_again() -> None:
    async with elastic.opened() as store:
        await store.writes.write_hits([hit(1)])
        await store.writes.write_deliveries([delivery(8)])
        await store.retention.drop(["raw"])
        counts = await store.reads.counts()
        assert counts.hits == 0 and counts.deliveries == {"complete": 1}
        await store.retention.map(["raw"])
        assert list(await store._schema.listed("raw")) == [store.names.first("raw")]


async def test_a_server_that_is_not_there_is_named_with_what_to_do() -> None:
    store = ElasticsearchStore(Settings(elasticsearch_url="http://127.0.0.1:9, http://127.0.0.1:13"))
    for call in (store.open, store.ping, store.reads.counts, lambda: store.writes.write_hits([hit(1)])):
        with pytest.raises(
            StoreUnreachable, match=r"127\.0\.0\.1:9, .* is not reachable .* set WEBLOGS_ELASTICSEARCH_URL"
        ):
            await call()
    await store.close()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"elasticsearch_url": "localhost:9200"}, "write http://HOST:PORT"),
        ({"elasticsearch_user": "a", "elasticsearch_api_key": "b"}, "either a user or an API key"),
        ({"elasticsearch_ca": "no such file"}, "there is no such file"),
        ({"elasticsearch_url": "http://localhost:9200/?pretty"}, "without what follows"),
    ],
)
def test_settings_that_can_not_be_are_refused_before_anything_is_asked(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        ElasticsearchStore(Settings(**wrong))


NO_ANSWERS = {
    "json of something else": ("200 OK", "application/json", b"{}"),
    "a login page": ("200 OK", "text/html", b"<html>log in</html>"),
    "a proxy's page": ("502 Bad Gateway", "text/html", b"<html>bad gateway</html>"),
    "a proxy's page of not found": ("403 Forbidden", "text/html", b"<html>no</html>"),
    "cut json": ("200 OK", "application/json\r\nX-Elastic-Product: Elasticsearch", b'{"hits": {"hi'),
    "a list": ("200 OK", "application/json\r\nX-Elastic-Product: Elasticsearch", b"[1]"),
    "a text": ("200 OK", "application/json\r\nX-Elastic-Product: Elasticsearch", b'"ok"'),
    "an object that lacks all": ("200 OK", "application/json\r\nX-Elastic-Product: Elasticsearch", b'{"ok": 1}'),
    "json too deep": ("200 OK", "application/json\r\nX-Elastic-Product: Elasticsearch", b"[" * 100_000),
    "html said to be json": ("200 OK", "application/json\r\nX-Elastic-Product: Elasticsearch", b"<html>"),
    "nothing": ("200 OK", "application/json\r\nX-Elastic-Product: Elasticsearch", b""),
}


@pytest.mark.parametrize("told", NO_ANSWERS.values(), ids=NO_ANSWERS)
@pytest.mark.parametrize("doing", ["open", "write", "read"])
async def test_an_answer_that_is_none_counts_as_no_answer(told: tuple[str, str, bytes], doing: str) -> None:
    status, kind, body = told

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    store = ElasticsearchStore(Settings(elasticsearch_url=f"http://127.0.0.1:{port}"))
    with pytest.raises(StoreUnreachable, match="Elasticsearch"):
        if doing == "open":
            await store.open()
        elif doing == "write":
            await store.connection.bulk(b'{"delete":{"_index":"x","_id":"1"}}\n', {})
        else:
            await store.reads.deliveries_of("a", "b", "c")
    await store.close()
    server.close()
    await server.wait_closed()
