"""Stores on the Elasticsearch server of the settings, each behind a prefix of its own, gone when the test is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import msgspec

from app.settings import Settings, settings
from app.stores.contract import KINDS
from app.stores.elasticsearch.ledgers import ElasticsearchLedgers
from app.stores.elasticsearch.store import ElasticsearchStore

Work = Callable[[ElasticsearchStore], Coroutine[Any, Any, Any]]


def own_settings(**changes: Any) -> Settings:
    """Those of this process, with a prefix that nobody else has."""
    return msgspec.structs.replace(settings(), **{"elasticsearch_prefix": f"test-{uuid4().hex[:12]}-", **changes})


@asynccontextmanager
async def opened(own: Settings | None = None, **options: Any) -> AsyncIterator[ElasticsearchStore]:
    """A store that is open, and empty when the prefix is new."""
    store = ElasticsearchStore(own or own_settings(), **options)
    try:
        await store.open()
        yield store
        await store.retention.drop(KINDS)
        await remove_ledgers(store)
    finally:
        await store.close()


def for_each(examples: Callable[[Callable[[Work], Any]], None]) -> None:
    """Calls `examples` with a function that runs some work on a store that is empty each time: one server-side set-up for all."""
    own = own_settings()

    async def once(work: Work) -> None:
        store = ElasticsearchStore(own)
        try:
            await store.open()
            await clear(store)
            await work(store)
        finally:
            await store.close()

    async def drop() -> None:
        store = ElasticsearchStore(own)
        try:
            await store.retention.drop(KINDS)
            await remove_ledgers(store)
        finally:
            await store.close()

    examples(lambda work: asyncio.run(once(work)))
    asyncio.run(drop())


async def remove_ledgers(store: ElasticsearchStore) -> None:
    """The server has room for so many indices only."""
    assert isinstance(store.ledgers, ElasticsearchLedgers)
    await store.ledgers.remove()


async def clear(store: ElasticsearchStore) -> None:
    """Deletes every document; indices stay."""
    pattern = ",".join(store.names.pattern(kind) for kind in KINDS)
    await store.connection.call("POST", f"/{pattern}/_refresh")
    params = {"refresh": "true", "conflicts": "proceed"}
    await store.connection.call("POST", f"/{pattern}/_delete_by_query", {"query": {"match_all": {}}}, params=params)


async def documents(store: ElasticsearchStore) -> list[dict[str, Any]]:
    """All documents as the server has them: index, id, version, sequence number, source."""
    pattern = ",".join(store.names.pattern(kind) for kind in KINDS)
    await store.connection.call("POST", f"/{pattern}/_refresh")
    body = {"size": 10_000, "version": True, "seq_no_primary_term": True}
    found = (await store.connection.call("POST", f"/{pattern}/_search", body))["hits"]["hits"]
    return sorted(({**one, "_score": None} for one in found), key=lambda one: (one["_index"], one["_id"]))


async def search(store: ElasticsearchStore, name: str, query: dict[str, Any]) -> list[str]:
    """The ids of what a query through that index or alias finds."""
    await store.connection.call("POST", f"/{name}/_refresh")
    answer = await store.connection.call("POST", f"/{name}/_search", {"query": query, "size": 10_000})
    return sorted(one["_id"] for one in answer["hits"]["hits"])
