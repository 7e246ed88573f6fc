"""What the real stores hold, by the settings of a Live."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from app.settings import Settings
from app.stores import open_store
from app.stores.contract import Store
from tests.flow.content import COMPARED, Content
from tests.live.running import Live
from tests.services.server import Server

__all__ = ["STORES", "ask_store", "live_into_stores", "stored", "stored_raw"]

STORES = ("elasticsearch", "cassandra")
T = TypeVar("T")


def ask_store(name: str, settings: Settings, work: Callable[[Store], Awaitable[T]], *, read_only: bool = True) -> T:
    """What `work` finds in a store that is open meanwhile."""

    async def run() -> T:
        store = open_store(name, settings, read_only=read_only)
        try:
            await store.open()
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


@contextmanager
def live_into_stores(folder: Path, broker: Server, **options: object) -> Iterator[Live]:
    """A flow into both stores, with topics, indices and a keyspace of its own, which are removed behind it; stores that were stopped run again."""
    name = f"t{uuid.uuid4().hex[:8]}"
    own = {"STORES": ",".join(STORES), "ELASTICSEARCH_PREFIX": f"{name}-", "CASSANDRA_KEYSPACE": name}
    with Live(folder, broker, **own, **options) as made:
        yield made
        for one in made.running:
            one.end()
        for server in map(Server.beside, STORES):
            server.start()
            server.wait_ready()
        for store in STORES:
            ask_store(store, made.settings, _remove_all, read_only=False)


async def _remove_all(store: Store) -> None:
    await store.retention.drop({"raw", "reduced", "rejects"})
    await store.ledgers.drop()


def stored(name: str, settings: Settings, fields: tuple[str, ...] = COMPARED) -> Content:
    """The visible deliveries; each once."""

    async def read(store: Store) -> list[Any]:
        return [delivery async for delivery in store.reads.all_deliveries()]

    found = ask_store(name, settings, read)
    content = {delivery[:4]: tuple(getattr(delivery, field) for field in fields) for delivery in found}
    assert len(content) == len(found), "a delivery stands twice"
    return content


def stored_raw(name: str, settings: Settings) -> tuple[Counter[str], Counter[str]]:
    """How often each raw id is among the hits and among the rejects."""

    async def read(store: Store) -> tuple[Counter[str], Counter[str]]:
        hits = Counter([hit.raw_id async for hit in store.reads.all_hits()])
        return hits, Counter([reject.raw_id async for reject in store.reads.all_rejects()])

    return ask_store(name, settings, read)
