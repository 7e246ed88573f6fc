"""Stores on the Cassandra that the settings name, in a keyspace of the test's own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from app.settings import Settings, settings
from app.stores.cassandra import counts
from app.stores.cassandra.access import why_not
from app.stores.cassandra.connection import CassandraConnection
from app.stores.cassandra.store import CassandraStore

FLOOR_AGE_S = 0.3
TABLES = (
    "raw_weblogs",
    "reduced_weblogs",
    "deliveries_by_last",
    "reduced_floors",
    "rejects",
    "keys_by_hash",
    "keys_by_day",
    "buckets",
)
RECORDS = (
    "raw_weblogs",
    "reduced_weblogs",
    "reduced_floors",
    "rejects",
    "keys_by_hash",
    "keys_by_day",
    "buckets",
    "counts_taken",
)


def own_settings(keyspace: str, **changes: Any) -> Settings:
    return msgspec.structs.replace(settings(), cassandra_keyspace=keyspace, **changes)


@contextmanager
def fresh_keyspace(**changes: Any) -> Iterator[str]:
    """Its name; dropped afterwards."""
    keyspace = f"t_{uuid.uuid4().hex[:12]}"
    try:
        yield keyspace
    finally:
        connection = CassandraConnection(own_settings(keyspace, **changes), why_not)
        connection.connect()
        connection.execute(f"DROP KEYSPACE IF EXISTS {keyspace}", timeout_s=60)
        connection.shutdown()


def cql(keyspace: str, *statements: str) -> list[list[tuple[Any, ...]]]:
    """What a person does with a CQL shell."""
    connection = CassandraConnection(own_settings(keyspace), why_not)
    connection.connect()
    try:
        return [connection.execute(statement.replace("KS", keyspace)) for statement in statements]
    finally:
        connection.shutdown()


def with_cassandra(keyspace: str, work: Callable[[CassandraStore], Coroutine[Any, Any, Any]], **changes: Any) -> Any:
    """What `work` returns, on a store that is open meanwhile."""

    async def run() -> Any:
        store = CassandraStore(own_settings(keyspace, **changes), floor_age_s=FLOOR_AGE_S)
        await store.open()
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


class Bench:
    """One store that stays open on an event loop of its own, for tests with many examples; `empty` before each.

    Its counts are taken anew after each write, however long that takes on a busy machine.
    """

    def __init__(self, keyspace: str) -> None:
        self._patches = pytest.MonkeyPatch()
        self._patches.setattr(counts, "SOON_S", 60.0)
        self._patches.setattr(counts, "WAIT_S", 60.0)
        self.keyspace = keyspace
        self.loop = asyncio.new_event_loop()
        self.store = CassandraStore(own_settings(keyspace), floor_age_s=FLOOR_AGE_S)
        self.run(self.store.open())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def empty(self) -> None:
        """Truncated, and nothing remembered."""
        for table in (*TABLES, "counts_taken"):
            self.store.connection.execute(f"TRUNCATE {self.keyspace}.{table}", timeout_s=60)
        self.store.writing.written.forget()
        self.store.writing.floors.forget()
        self.store.writing.calls += 1

    def close(self) -> None:
        self.run(self.store.close())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()
        self._patches.undo()
