"""Rows into Cassandra: unlogged batches bounded by bytes, this many under way at a time, what is refused for good found and told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

from app.errors import StoreError
from app.stores.cassandra.connection import CassandraConnection, StatementRefused
from app.stores.cassandra.rows import CqlRow

__all__ = ["BATCH_BYTES", "BATCH_ROWS", "BatchSender", "all_of", "cut"]

BATCH_BYTES = 40 << 10
"""Size of a batch: a server refuses those above its batch_size_fail_threshold, 50 KiB by default."""
BATCH_ROWS = 1000
"""The protocol's own bound is 65,535."""
_ASKED_AT_ONCE = 200
Item = TypeVar("Item")
Answer = TypeVar("Answer")


async def all_of(work: Callable[[Item], Awaitable[Answer]], items: Sequence[Item]) -> list[Answer]:
    """What `work` returns for each, some of them under way at a time."""
    answers: list[Answer] = []
    for begin in range(0, len(items), _ASKED_AT_ONCE):
        answers += await asyncio.gather(*map(work, items[begin : begin + _ASKED_AT_ONCE]))
    return answers


def cut(rows: Sequence[CqlRow]) -> Iterator[list[CqlRow]]:
    """The rows in batches, in their order: neighbours of one partition stay together. A row larger than a batch goes alone."""
    batch: list[CqlRow] = []
    size = 0
    for row in rows:
        if batch and (size + row.size > BATCH_BYTES or len(batch) == BATCH_ROWS):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row.size
    if batch:
        yield batch


class BatchSender:
    """Executes rows. At most `in_flight` batches are under way, whoever sends them."""

    def __init__(self, connection: CassandraConnection, in_flight: int) -> None:
        self._connection = connection
        self._in_flight = in_flight
        self._free: asyncio.Semaphore | None = None

    def renew(self) -> None:
        """For another event loop."""
        self._free = asyncio.Semaphore(self._in_flight)

    async def send(self, rows: Sequence[CqlRow]) -> dict[int, str]:
        """Returns when the server has acknowledged all rows but those it refuses for good: their records, each with the reason.

        Raises StoreUnreachable or StoreError when a batch could not be written by trying again; others may be written.
        """
        refused: dict[int, str] = {}
        waiting = self._batches(rows)
        workers = [asyncio.ensure_future(self._work(waiting, refused)) for _ in range(min(self._in_flight, len(rows)))]
        try:
            await asyncio.gather(*workers)
        except BaseException:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            raise
        return refused

    async def send_all(self, rows: Sequence[CqlRow]) -> None:
        """Raises StoreError, too, if the server refuses one for good."""
        if refused := await self.send(rows):
            raise StoreError(f"{self._connection.where} refuses what must be written: {next(iter(refused.values()))}")

    def _batches(self, rows: Sequence[CqlRow]) -> Iterator[list[CqlRow]]:
        if self._connection.nodes < 2:
            yield from cut(rows)
            return
        by_node: dict[Any, list[CqlRow]] = {}  # whoever coordinates a batch then holds a copy of its rows
        for row in rows:
            by_node.setdefault(self._connection.replica(self._connection.bound(row.statement, row.values)), []).append(
                row
            )
        for same in by_node.values():
            yield from cut(same)

    async def _work(self, waiting: Iterator[list[CqlRow]], refused: dict[int, str]) -> None:
        assert self._free is not None
        for batch in waiting:
            async with self._free:
                await self._write(batch, refused)

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
