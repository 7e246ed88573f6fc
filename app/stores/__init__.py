"""The stores: where raw hits, rejects and reduced deliveries are kept. One contract, one file an engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING

from app.errors import SettingsError

if TYPE_CHECKING:
    from app.settings import Settings
    from app.stores.contract import Store

__all__ = ["STORES", "open_store", "opened_store"]


def _sqlite(settings: Settings, read_only: bool) -> Store:
    from app.stores.sqlite.store import SqliteStore

    return SqliteStore(settings.store_path, read_only=read_only)


def _elasticsearch(settings: Settings, read_only: bool) -> Store:
    from app.stores.elasticsearch.store import ElasticsearchStore

    return ElasticsearchStore(settings, read_only=read_only)


def _cassandra(settings: Settings, read_only: bool) -> Store:
    from app.stores.cassandra.store import CassandraStore

    return CassandraStore(settings, read_only=read_only)


STORES: dict[str, Callable[[Settings, bool], Store]] = {
    "sqlite": _sqlite,
    "elasticsearch": _elasticsearch,
    "cassandra": _cassandra,
}
"""By name: each imports its driver only when it is asked for."""


def open_store(name: str, settings: Settings, *, read_only: bool = False) -> Store:
    """The store of that name, not opened yet. A read-only one creates nothing.

    Raises SettingsError that names the stores there are.
    """
    make = STORES.get(name)
    if make is None:
        close = get_close_matches(name, STORES, n=1)
        hint = f"did you mean {close[0]}? There" if close else "there"
        raise SettingsError(f"there is no store {name!r}; {hint} are: {', '.join(STORES)}")
    return make(settings, read_only)


@asynccontextmanager
async def opened_store(name: str, settings: Settings, *, read_only: bool = False) -> AsyncIterator[Store]:
    """The store of that name, opened; closed in the end. Raises as open_store, and StoreError."""
    store = open_store(name, settings, read_only=read_only)
    try:
        await store.open()
        yield store
    finally:
        await store.close()
