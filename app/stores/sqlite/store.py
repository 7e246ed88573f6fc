"""The embedded store: one SQLite file, written by one thread, read by another; the event loop never waits for the disk.

Many processes may read and write one file at a time: SQLite's write-ahead log lets readers go on beside a writer, and writers
wait for one another.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from app.domain.records import Delivery, Hit, Reject
from app.errors import StoreError
from app.stores.contract import Counts, Key
from app.stores.ledger_contract import Ledgers
from app.stores.sqlite import mending as sqlite_mending
from app.stores.sqlite.ledgers import SqliteLedgers
from app.stores.sqlite.reads import Reader
from app.stores.sqlite.retention import delete_deliveries, delete_raw
from app.stores.sqlite.writes import Writer

__all__ = ["SqliteStore"]

_DAY_S = 86400.0

P = ParamSpec("P")
T = TypeVar("T")


class SqliteStore:
    """The Store protocol on one SQLite file.

    `clock` tells the time of ingest (UTC seconds); a write waits up to `busy_s` seconds for other processes' writes.
    """

    name = "sqlite"
    holds_no_doubles = True
    """Raw ids are unique by the schema: nothing to look for."""

    def __init__(
        self, path: Path, *, read_only: bool = False, clock: Callable[[], float] = time.time, busy_s: float = 10.0
    ) -> None:
        self.path = path
        self._reader = Reader(path, busy_s)
        self._writer = None if read_only else Writer(path, clock, busy_s)
        self._threads: tuple[ThreadPoolExecutor, ThreadPoolExecutor] | None = None
        self.ledgers: Ledgers = SqliteLedgers(self._read, self._write, self._reader, clock)

    async def open(self) -> None:
        if self._writer is None:
            await self._read(self._reader.ping)
        else:
            await self._write(Writer.open)

    async def close(self) -> None:
        if self._threads is None:
            return
        await self._read(self._reader.close)
        if self._writer is not None:
            await self._write(Writer.close)
        threads, self._threads = self._threads, None
        for thread in threads:
            thread.shutdown(wait=False)  # both are idle now

    async def ping(self) -> None:
        await self._read(self._reader.ping)

    async def _read(self, work: Callable[P, T], *args: P.args, **_: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._started()[0], work, *args)

    async def _write(self, work: Callable[..., T], *args: object) -> T:
        """Calls with the writer first."""
        if self._writer is None:
            raise StoreError(f"the store {self.path} was opened for reading only")
        return await asyncio.get_running_loop().run_in_executor(self._started()[1], work, self._writer, *args)

    def _started(self) -> tuple[ThreadPoolExecutor, ThreadPoolExecutor]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, "store-read"), ThreadPoolExecutor(1, "store-write")
        return self._threads

    async def write_hits(self, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
        return await self._write(Writer.write_hits, hits)

    async def write_rejects(self, rejects: Sequence[Reject]) -> list[tuple[Reject, str]]:
        return await self._write(Writer.write_rejects, rejects)

    async def write_deliveries(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, str]]:
        return await self._write(Writer.write_deliveries, deliveries)

    async def keys_by_hash(self, key_hash: str) -> list[Key]:
        return await self._read(self._reader.keys_by_hash, key_hash)

    async def keys_by_text_part(self, part: str, limit: int = 50) -> list[Key]:
        return await self._read(self._reader.keys_by_text_part, part, limit)

    async def deliveries_of(
        self, ip_address: str, user_agent: str, request: str, superseded: bool = False
    ) -> list[Delivery]:
        return await self._read(self._reader.deliveries_of, ip_address, user_agent, request, superseded)

    async def hits_of(
        self, ip_address: str | None, user_agent: str | None, request: str | None, limit: int = 1000
    ) -> tuple[list[Hit], int]:
        return await self._read(self._reader.hits_of, ip_address, user_agent, request, limit)

    async def newest_deliveries(
        self, limit: int, verdict: str | None = None, superseded: bool = False
    ) -> list[Delivery]:
        return await self._read(self._reader.newest_deliveries, limit, verdict, superseded)

    async def counts(self) -> Counts:
        return await self._read(self._reader.counts)

    async def all_deliveries(self, superseded: bool = False) -> AsyncIterator[Delivery]:
        after: int | None = 0
        while after is not None:
            found, after = await self._read(self._reader.deliveries_after, after, superseded)
            for delivery in found:
                yield delivery

    async def all_hits(self) -> AsyncIterator[Hit]:
        after: int | None = 0
        while after is not None:
            found, after = await self._read(self._reader.hits_after, after)
            for hit in found:
                yield hit

    async def all_rejects(self) -> AsyncIterator[Reject]:
        after: int | None = 0
        while after is not None:
            found, after = await self._read(self._reader.rejects_after, after)
            for reject in found:
                yield reject

    async def mend_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        await self._write(sqlite_mending.mend_deliveries, deliveries)

    async def mend_hits(self, hits: Sequence[Hit]) -> None:
        await self._write(sqlite_mending.mend_hits, hits)

    async def mend_rejects(self, rejects: Sequence[Reject]) -> None:
        await self._write(sqlite_mending.mend_rejects, rejects)

    async def remove_deliveries(self, names: Sequence[tuple[Key, float]]) -> None:
        await self._write(sqlite_mending.remove_deliveries, names)

    async def remove_hits(self, hits: Sequence[Hit]) -> None:
        await self._write(sqlite_mending.remove_hits, hits)

    async def remove_rejects(self, rejects: Sequence[Reject]) -> None:
        await self._write(sqlite_mending.remove_rejects, rejects)

    async def miscounted(self) -> bool:
        """Whether `counts` says anything else than the records do: somebody wrote past this module."""
        return await self._read(self._reader.miscounted)

    async def recount(self) -> bool:
        """Make `counts` right; whether it was not."""
        return await self._write(sqlite_mending.recount)

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        raw = reduced = 0
        while (gone := await self._write(delete_raw, now - raw_days * _DAY_S)) is not None:
            raw += gone
        while (gone := await self._write(delete_deliveries, now - reduced_days * _DAY_S)) is not None:
            reduced += gone
        more_raw, more_reduced = await self.ledgers.retain(now, raw_days, reduced_days)
        return raw + more_raw, reduced + more_reduced

    async def map(self, kinds: Collection[str]) -> None:
        """All tables are made together."""
        await self._write(Writer.open)

    async def drop(self, kinds: Collection[str]) -> None:
        """Deletes the rows, a slice at a time; the tables and the file stay."""
        for kind, rows in (("raw", "hits"), ("rejects", "rejects")):
            while kind in kinds and await self._write(delete_raw, math.inf, (rows,)) is not None:
                pass
        while "reduced" in kinds and await self._write(delete_deliveries, math.inf) is not None:
            pass
