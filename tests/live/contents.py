"""What the real stores hold, by the settings of a Live."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from app.settings import Settings
from app.stores import open_store
from app.stores.contract import Store
from tests.flow.content import COMPARED, Content

__all__ = ["STORES", "ask_store", "stored", "stored_raw"]

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
