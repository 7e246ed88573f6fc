"""The store on Cassandra: prepared, idempotent writes in batches; reads that name their partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from app.errors import StoreError
from app.settings import Settings
from app.stores.cassandra.counts import Counter
from app.stores.cassandra.ledgers import CassandraLedgers
from app.stores.cassandra.memory import FLOOR_AGE_S
from app.stores.cassandra.mending import CassandraMending
from app.stores.cassandra.reads import CassandraReads
from app.stores.cassandra.schema import create, drop, missing
from app.stores.cassandra.writes import CassandraWrites
from app.stores.contract import KINDS, Store

__all__ = ["CassandraRetention", "CassandraStore"]


class CassandraRetention:
    """The tables, made and dropped on the connection of `writes`, which need not be open. What is old goes by itself."""

    def __init__(self, writes: CassandraWrites, settings: Settings) -> None:
        self._writes, self._connection = writes, writes.connection
        self._keyspace, self._replication = settings.cassandra_keyspace, settings.cassandra_replication

    async def map(self, kinds: Iterable[str] = KINDS) -> None:
        """Creates keyspace and tables of these kinds and the shared ones where they are missing; never drops."""
        await self._in_thread(lambda: create(self._connection, self._keyspace, self._replication, kinds))

    async def drop(self, kinds: Iterable[str]) -> None:
        """DROP TABLE of the tables of these kinds, of the shared ones with the last of them; the keyspace stays.

        An open store, of this process or another, raises StoreUnreachable until `map` or a restarted worker creates them again.
        """
        await self._in_thread(lambda: drop(self._connection, self._keyspace, kinds))
        self._writes.written.forget()

    async def _in_thread(self, work: Callable[[], None]) -> None:
        if self._writes.read_only:
            raise StoreError(f"{self._connection.where} was opened for reading only")
        if self._connection.session is None:
            await asyncio.to_thread(self._connection.connect)
        await asyncio.to_thread(work)

    async def missing(self) -> list[str]:
        """Tables that the keyspace lacks."""
        await self._writes.opened()
        return await asyncio.to_thread(missing, self._connection, self._keyspace)

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        """Nothing to do: each row was written with its time to live, from the setting retention at that time."""
        return 0, 0


class CassandraStore(Store):
    """The store on a keyspace of Cassandra. `floor_age_s`: for how long, in seconds, a writer relies on the floors it read."""

    def __init__(self, settings: Settings, *, read_only: bool = False, floor_age_s: float = FLOOR_AGE_S) -> None:
        self.writing = writes = CassandraWrites(settings, read_only, floor_age_s)
        self.connection = writes.connection
        counter = Counter(writes.connection, lambda: writes.calls, keeps=not read_only)
        writes.before_close = counter.close
        reads = CassandraReads(writes.connection, counter, writes.opened)
        ledgers = CassandraLedgers(writes)
        super().__init__(
            "cassandra",
            writes,
            reads=reads,
            mending=CassandraMending(writes, reads, ledgers),
            retention=CassandraRetention(writes, settings),
            ledgers=ledgers,
        )
