"""Writing to the embedded store: what the flow needs of it."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.records import Delivery, Hit, Reject
from app.stores.sqlite.threads import SqliteThreads, writing
from app.stores.sqlite.writer import SqliteWriter

__all__ = ["SqliteWrites"]


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
