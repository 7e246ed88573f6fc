"""The embedded store's threads, one that writes its file, one that reads it, and the writes of the flow. The event loop never waits for the disk."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from app.domain.records import Delivery, Hit, Reject
from app.errors import StoreError
from app.stores.sqlite.reader import SqliteReader
from app.stores.sqlite.writer import SqliteWriter

__all__ = ["SqliteThreads", "SqliteWrites", "reading", "writing"]

P = ParamSpec("P")
T = TypeVar("T")


class SqliteThreads:
    """Started by the first call, ended by `close`; a call may follow. Without a writer every write is a StoreError."""

    def __init__(self, reader: SqliteReader, writer: SqliteWriter | None) -> None:
        self.reader, self.writer = reader, writer
        self._threads: tuple[ThreadPoolExecutor, ThreadPoolExecutor] | None = None

    async def read(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns, in the thread that reads."""
        return await self._call(0, functools.partial(work, *args, **kwargs))

    async def write(self, work: Callable[..., T], *args: object) -> T:
        """What `work` returns, in the thread that writes; it gets the writer first."""
        if self.writer is None:
            raise StoreError(f"the store {self.reader.path} was opened for reading only")
        return await self._call(1, functools.partial(work, self.writer, *args))

    async def _call(self, thread: int, work: Callable[[], T]) -> T:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, "store-read"), ThreadPoolExecutor(1, "store-write")
        return await asyncio.get_running_loop().run_in_executor(
            self._threads[thread], contextvars.copy_context().run, work
        )

    async def close(self) -> None:
        """Waits for what is under way."""
        if self._threads is None:
            return
        await self.read(self.reader.close)
        if self.writer is not None:
            await self.write(SqliteWriter.close)
        threads, self._threads = self._threads, None
        for thread in threads:
            thread.shutdown(wait=False)  # both are idle now


class _Threaded(Protocol):
    @property
    def threads(self) -> SqliteThreads: ...


Owner = TypeVar("Owner", bound=_Threaded)


def reading(work: Callable[Concatenate[Owner, P], T]) -> Callable[Concatenate[Owner, P], Coroutine[Any, Any, T]]:
    """The method as one to be awaited, which runs in the thread that reads."""

    @functools.wraps(work)
    async def run(self: Owner, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.threads.read(functools.partial(work, self, *args, **kwargs))

    return run  # type: ignore[return-value]  # functools.wraps keeps the type of the class


def writing(
    work: Callable[Concatenate[Owner, SqliteWriter, P], T],
) -> Callable[Concatenate[Owner, P], Coroutine[Any, Any, T]]:
    """The method as one to be awaited, which runs in the thread that writes and gets the writer."""

    @functools.wraps(work)
    async def run(self: Owner, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.threads.write(lambda writer: work(self, writer, *args, **kwargs))

    return run  # type: ignore[return-value]


class SqliteWrites:
    """The writes of a store, each batch in one transaction in the thread that writes."""

    def __init__(self, threads: SqliteThreads) -> None:
        self.threads = threads
        self.close = threads.close

    async def open(self) -> None:
        if self.threads.writer is None:
            await self.ping()
        else:
            await self.threads.write(SqliteWriter.open)

    async def ping(self) -> None:
        await self.threads.read(self.threads.reader.ping)

    @writing
    def write_hits(self, writer: SqliteWriter, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
        with writer.transaction("write hits to") as inside:
            return writer.put_hits(inside, hits)

    @writing
    def write_rejects(self, writer: SqliteWriter, rejects: Sequence[Reject]) -> list[tuple[Reject, str]]:
        with writer.transaction("write rejects to") as inside:
            return writer.put_rejects(inside, rejects)

    @writing
    def write_deliveries(self, writer: SqliteWriter, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, str]]:
        with writer.transaction("write deliveries to") as inside:
            return writer.put_deliveries(inside, deliveries)
