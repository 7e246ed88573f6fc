"""The store on Cassandra: prepared, idempotent writes in batches; reads that name their partitions.

What is written where, and why it may be written twice, is told in docs/reference/cassandra.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, TypeVar

from app.domain.records import Delivery, Hit, Reject
from app.errors import StoreError
from app.settings import Settings
from app.stores.cassandra.batches import Sender
from app.stores.cassandra.connection import Connection
from app.stores.cassandra.counts import Counter
from app.stores.cassandra.encoding import Encoder, Work, refusals, ttl_s
from app.stores.cassandra.floors import FLOOR_AGE_S, Floors
from app.stores.cassandra.ledgers import CassandraLedgers, create_tables, statements
from app.stores.cassandra.memory import Written
from app.stores.cassandra.mending import Mender
from app.stores.cassandra.reads import Reader
from app.stores.cassandra.schema import KINDS, create, drop, missing
from app.stores.cassandra.statements import reads, writes
from app.stores.contract import Counts, Key
from app.stores.ledger_contract import Ledgers

__all__ = ["CassandraStore"]

_REMEMBERED_S = 12 * 3600.0
Record = TypeVar("Record")


class CassandraStore:
    """The Store protocol on a keyspace of Cassandra. `floor_age_s`: for how long, in seconds, a writer relies on the floors it read."""

    name = "cassandra"

    def __init__(self, settings: Settings, *, read_only: bool = False, floor_age_s: float = FLOOR_AGE_S) -> None:
        self._settings = settings
        self._read_only = read_only
        self._connection = Connection(settings)
        self._sender = Sender(self._connection, settings.cassandra_in_flight)
        self._reader = Reader(self._connection)
        self._floors = Floors(self._connection, floor_age_s)
        raw_days, reduced_days = settings.retention_days
        self._ttls = ttl_s(raw_days), ttl_s(reduced_days)
        self.ledgers: Ledgers = CassandraLedgers(
            self._connection,
            self._sender,
            settings.cassandra_keyspace,
            self._ttls,
            lambda write: self._writer() if write else self._reading(),
            floor_age_s,
        )
        self._age_s = min([_REMEMBERED_S, *[seconds / 4 for seconds in self._ttls if seconds]])
        self._written = Written(self._age_s)
        self._counter = Counter(self._connection, lambda: self._writes, keeps=not read_only)
        self._encoder: Encoder | None = None
        self._opening: asyncio.Lock | None = None
        self._writes = 0
        self._writing = 0
        self._idle: asyncio.Event | None = None
        self._lost_tables = 0

    # -- life

    async def open(self) -> None:
        """Raises SettingsError for settings that can not work (wrong password among them), StoreUnreachable where nobody answers."""
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._encoder is not None:
                return
            self._sender.renew()
            self._idle = asyncio.Event()
            self._idle.set()
            try:
                await asyncio.to_thread(self._start)
            except BaseException:
                await asyncio.to_thread(self._connection.shutdown)
                raise
            self._encoder = Encoder(*self._ttls, self._written, self._age_s, self._connection.unset)

    def _start(self) -> None:
        """In a thread."""
        keyspace = self._settings.cassandra_keyspace
        if self._connection.session is None:
            self._connection.connect()
        if not self._read_only:
            create(self._connection, keyspace, self._settings.cassandra_replication)
            create_tables(self._connection, keyspace)
            self._connection.prepare(writes(keyspace))
        self._connection.prepare(reads(keyspace))
        self._connection.prepare(statements(keyspace, self._read_only))

    async def close(self) -> None:
        if self._idle is not None:
            await self._idle.wait()
        await self._counter.close()
        self._encoder = self._opening = self._idle = None
        await asyncio.to_thread(self._connection.shutdown)

    async def ping(self) -> None:
        await (await self._reading()).ping()

    async def map(self, kinds: Iterable[str] = KINDS) -> None:
        """Creates keyspace and tables of these kinds (raw, reduced, rejects) and the shared ones where they lack; never drops."""
        await self._schema(
            lambda: create(
                self._connection, self._settings.cassandra_keyspace, self._settings.cassandra_replication, kinds
            )
        )

    async def drop(self, kinds: Iterable[str]) -> None:
        """DROP TABLE of the tables of these kinds, of the shared ones with the last of them; the keyspace stays.

        An open store, of this process or another, raises StoreUnreachable until `map` or a restarted worker creates them again.
        """
        await self._schema(lambda: drop(self._connection, self._settings.cassandra_keyspace, kinds))
        self._written.forget()

    async def _schema(self, work: Callable[[], None]) -> None:
        if self._read_only:
            raise StoreError(f"{self._connection.where} was opened for reading only")
        if self._connection.session is None:
            await asyncio.to_thread(self._connection.connect)
        await asyncio.to_thread(work)

    async def missing(self) -> list[str]:
        """Tables that the keyspace lacks."""
        await self._reading()
        return await asyncio.to_thread(missing, self._connection, self._settings.cassandra_keyspace)

    async def _reading(self) -> Reader:
        if self._encoder is None:
            await self.open()
        return self._reader

    async def _writer(self) -> Encoder:
        if self._read_only:
            raise StoreError(f"{self._connection.where} was opened for reading only")
        if self._encoder is None:
            await self.open()
        if self._lost_tables != self._connection.lost_tables:  # they were dropped meanwhile
            self._lost_tables = self._connection.lost_tables
            self._written.forget()
        assert self._encoder is not None
        return self._encoder

    # -- writes

    async def _write(
        self, encode: Callable[..., Work], records: Sequence[Record], *more: Any
    ) -> list[tuple[Record, str]]:
        assert self._idle is not None
        self._writing += 1
        self._idle.clear()
        try:
            work = await asyncio.to_thread(encode, records, *more)
            refused = await self._sender.send(work.rows)
            if not refused:  # a lookup row may be among what was refused
                self._written.add(work.names)
            return refusals(records, work.refused | refused)
        finally:
            self._writes += 1
            self._writing -= 1
            if not self._writing:
                self._idle.set()

    async def write_hits(self, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
        return await self._write((await self._writer()).hits, hits)

    async def write_rejects(self, rejects: Sequence[Reject]) -> list[tuple[Reject, str]]:
        return await self._write((await self._writer()).rejects, rejects)

    async def write_deliveries(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, str]]:
        encoder = await self._writer()
        return await self._write(encoder.deliveries, deliveries, await self._floors.fresh())

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        """Nothing to do: each row was written with its time to live, from the setting retention at that time."""
        return 0, 0

    # -- mending

    async def _mender(self) -> Mender:
        return Mender(self._connection, await self._writer(), self._sender, self._reader, self._floors)

    async def mend_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Make each stored record exactly this one, whatever stands there or was deleted there; later versions win as ever.

        Takes twice `floor_age_s` longer when something was altered by the clock. What workers write of such a delivery until then
        stays hidden, so check once more afterwards. Raises StoreError that names the first that can not be mended.
        """
        await (await self._mender()).mend_deliveries(deliveries)
        self._writes += 1

    async def mend_hits(self, hits: Sequence[Hit]) -> None:
        """Make each stored hit (by key, time and raw id) exactly this one. Raises StoreError that names the first that can not be."""
        await (await self._mender()).mend_hits(hits)
        self._writes += 1

    async def remove_deliveries(self, ids: Sequence[tuple[Key, float]]) -> None:
        """Remove the stored records of these (key, window_start); whatever is written of them later is visible, also an equal version."""
        await (await self._mender()).remove_deliveries(ids)
        self._writes += 1

    async def remove_hits(self, hits: Sequence[Hit]) -> None:
        """Remove exactly these stored copies: key, time and raw id name one. Written again they are there again."""
        await (await self._mender()).remove_hits(hits)
        self._writes += 1

    # -- reads

    async def mend_rejects(self, rejects: Sequence[Reject]) -> None:
        """Each stands as given afterwards."""
        await (await self._mender()).mend_rejects(rejects)

    async def remove_rejects(self, rejects: Sequence[Reject]) -> None:
        """These rows are gone afterwards; they may be written again."""
        await (await self._mender()).remove_rejects(rejects)

    async def keys_by_hash(self, key_hash: str) -> list[Key]:
        return await (await self._reading()).keys_by_hash(key_hash)

    async def keys_by_text_part(self, part: str, limit: int = 50) -> list[Key]:
        """Newest day first, in a day the last written first; looks at 100,000 keys and for 3 s at most."""
        return await (await self._reading()).keys_by_text_part(part, limit)

    async def deliveries_of(
        self, ip_address: str, user_agent: str, request: str, superseded: bool = False
    ) -> list[Delivery]:
        return await (await self._reading()).deliveries_of((ip_address, user_agent, request), superseded)

    async def hits_of(
        self, ip_address: str | None, user_agent: str | None, request: str | None, limit: int = 1000
    ) -> tuple[list[Hit], int]:
        return await (await self._reading()).hits_of((ip_address, user_agent, request), limit)

    async def newest_deliveries(
        self, limit: int, verdict: str | None = None, superseded: bool = False
    ) -> list[Delivery]:
        return await (await self._reading()).newest_deliveries(limit, verdict, superseded)

    async def counts(self) -> Counts:
        """Exact where counting takes little; of millions of rows the last counts taken, while new ones are under way."""
        await self._reading()
        return await self._counter.counts()

    async def all_deliveries(self, superseded: bool = False) -> AsyncIterator[Delivery]:
        async for delivery in (await self._reading()).all_deliveries(superseded):
            yield delivery

    async def all_hits(self) -> AsyncIterator[Hit]:
        async for hit in (await self._reading()).all_hits():
            yield hit

    async def all_rejects(self) -> AsyncIterator[Reject]:
        async for reject in (await self._reading()).all_rejects():
            yield reject
