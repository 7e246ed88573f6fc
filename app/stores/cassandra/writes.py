"""Writing to Cassandra: what the flow needs of it. Prepared, idempotent writes in batches; what takes time runs in threads.

What is written where, and why it may be written twice, is told in docs/reference/cassandra.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from operator import attrgetter
from typing import Any, TypeVar

from app.domain.records import Delivery, Hit, Reject
from app.errors import StoreError, StoreUnreachable
from app.settings import Settings
from app.stores.cassandra.connection import CassandraConnection, StatementRefused
from app.stores.cassandra.encoding import Encoder, WriteWork, refusals, ttl_s
from app.stores.cassandra.memory import Floors, Written
from app.stores.cassandra.rows import CqlRow, write_statements
from app.stores.cassandra.schema import create, create_beside
from app.stores.sending import Lanes, portions

__all__ = ["BATCH_BYTES", "BATCH_ROWS", "BatchSender", "CassandraWrites", "cut"]

BATCH_BYTES = 40 << 10
"""Size of a batch: a server refuses those above its batch_size_fail_threshold, 50 KiB by default."""
BATCH_ROWS = 1000
"""The protocol's own bound is 65,535."""
_REMEMBERED_S = 12 * 3600.0
Record = TypeVar("Record")


def cut(rows: Sequence[CqlRow]) -> AsyncIterator[list[CqlRow]]:
    """The rows in batches, in their order: neighbours of one partition stay together. A row larger than a batch goes alone."""
    return portions(rows, attrgetter("size"), BATCH_BYTES, BATCH_ROWS)


class BatchSender:
    """Executes rows. At most `in_flight` batches are under way, whoever sends them."""

    def __init__(self, connection: CassandraConnection, in_flight: int) -> None:
        self._connection = connection
        self.lanes = Lanes(in_flight)

    async def send(self, rows: Sequence[CqlRow]) -> dict[int, str]:
        """Returns when the server has acknowledged all rows but those it refuses for good: their records, each with the reason.

        Raises StoreUnreachable or StoreError when a batch could not be written by trying again; others may be written.
        """
        refused: dict[int, str] = {}
        with self.lanes.call():
            await self.lanes.send(self._batches(rows), lambda batch: self._write(batch, refused))
        return refused

    async def send_all(self, rows: Sequence[CqlRow]) -> None:
        """Raises StoreError, too, if the server refuses one for good."""
        if refused := await self.send(rows):
            raise StoreError(f"{self._connection.where} refuses what must be written: {next(iter(refused.values()))}")

    async def _batches(self, rows: Sequence[CqlRow]) -> AsyncIterator[list[CqlRow]]:
        by_node: dict[Any, list[CqlRow]] = {}  # whoever coordinates a batch then holds a copy of its rows
        if self._connection.nodes < 2:
            by_node[None] = list(rows)
        else:
            for row in rows:
                node = self._connection.replica(self._connection.bound(row.statement, row.values))
                by_node.setdefault(node, []).append(row)
        for same in by_node.values():
            async for batch in cut(same):
                yield batch

    async def _write(self, batch: list[CqlRow], refused: dict[int, str]) -> None:
        try:
            await self._connection.ask(self._statement(batch))
        except StatementRefused as error:
            if len(batch) == 1:
                await asyncio.to_thread(self._connection.check_statement, batch[0].statement)
                refused.setdefault(batch[0].record, str(error))
                return
            half = len(batch) // 2
            await self._write(batch[:half], refused)
            await self._write(batch[half:], refused)

    def _statement(self, batch: list[CqlRow]) -> Any:
        bound = self._connection.bound
        if len(batch) == 1:
            return bound(batch[0].statement, batch[0].values)
        from cassandra.query import BatchStatement, BatchType

        statement = BatchStatement(BatchType.UNLOGGED)
        for row in batch:
            statement.add(bound(row.statement, row.values))
        return statement


class CassandraWrites:
    """Opens and closes the store, and writes.

    `lacking_columns` is that of `create`; `floor_age_s`: for how long, in seconds, a writer relies on the floors it read.
    """

    def __init__(
        self,
        settings: Settings,
        connection: CassandraConnection,
        lacking_columns: Callable[[CassandraConnection, str], Sequence[tuple[str, str, str]]],
        read_only: bool,
        floor_age_s: float,
    ) -> None:
        self._settings, self.connection, self.lacking_columns = settings, connection, lacking_columns
        self.read_only = read_only
        self.sender = BatchSender(self.connection, settings.cassandra_in_flight)
        self.connection.statements["ping"] = "SELECT key FROM system.local WHERE key = 'local'"
        if not read_only:
            self.connection.statements |= write_statements(settings.cassandra_keyspace)
        self.floors = Floors(self.connection, floor_age_s, "reduced_floors", "delivery_id")
        raw_days, reduced_days = settings.retention_days
        self.ttls = ttl_s(raw_days), ttl_s(reduced_days)
        self.age_s = min([_REMEMBERED_S, *[seconds / 4 for seconds in self.ttls if seconds]])
        self.written = Written(self.age_s)
        self.calls = 0
        """Calls that wrote: counts taken before are old."""
        self.before_close: Callable[[], Awaitable[None]] | None = None
        self._encoder: Encoder | None = None
        self._opening: asyncio.Lock | None = None
        self._lost_tables = 0

    async def open(self) -> None:
        """Raises SettingsError for settings that cannot work (wrong password among them), StoreUnreachable if nobody answers."""
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._encoder is not None:
                return
            self.sender.lanes.renew()
            try:
                await asyncio.to_thread(self._start)
            except BaseException:
                await asyncio.to_thread(self.connection.shutdown)
                raise
            self._encoder = Encoder(*self.ttls, self.written, self.age_s, self.connection.unset)

    def _start(self) -> None:
        """In a thread."""
        keyspace = self._settings.cassandra_keyspace
        if self.connection.session is None:
            self.connection.connect()
        if self.read_only:
            if columns := self.lacking_columns(self.connection, keyspace):
                table, column, _ = columns[0]
                raise StoreUnreachable(
                    f"the table {table} of {self.connection.where} has no column {column} yet; start the worker, which adds it"
                )
        else:
            create(self.connection, keyspace, self._settings.cassandra_replication, self.lacking_columns)
            create_beside(self.connection, keyspace)
        self.connection.prepare()

    async def close(self) -> None:
        await self.sender.lanes.ended()
        if self.before_close is not None:
            await self.before_close()
        self._encoder = self._opening = None
        await asyncio.to_thread(self.connection.shutdown)

    async def ping(self) -> None:
        if self._opening is not None and self._opening.locked():
            raise StoreUnreachable(f"{self.connection.where} is not open yet")
        await self.opened()
        await self.connection.ask(self.connection.bound("ping", ()), timeout_s=5.0)

    async def opened(self) -> None:
        """Opens where that was not done."""
        if self._encoder is None:
            await self.open()

    async def encoder(self) -> Encoder:
        """Of an open store. Raises StoreError in one that was opened for reading."""
        if self.read_only:
            raise StoreError(f"{self.connection.where} was opened for reading only")
        await self.opened()
        assert self._encoder is not None
        assert self._opening is not None
        async with self._opening:
            if self._lost_tables != (lost := self.connection.lost_tables):  # they were dropped meanwhile
                self.written.forget()
                await asyncio.to_thread(self._start)
                self._lost_tables = lost
        return self._encoder

    async def _write(
        self, encode: Callable[..., WriteWork], records: Sequence[Record], *more: Any
    ) -> list[tuple[Record, str]]:
        with self.sender.lanes.call():
            try:
                work = await asyncio.to_thread(encode, records, *more)
                refused = await self.sender.send(work.rows)
                if not refused:  # a lookup row may be among what was refused
                    self.written.add(work.names)
                return refusals(records, work.refused | refused)
            finally:
                self.calls += 1

    async def write_hits(self, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
        return await self._write((await self.encoder()).hits, hits)

    async def write_rejects(self, rejects: Sequence[Reject]) -> list[tuple[Reject, str]]:
        return await self._write((await self.encoder()).rejects, rejects)

    async def write_deliveries(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, str]]:
        encoder = await self.encoder()
        return await self._write(encoder.deliveries, deliveries, await self.floors.fresh())
