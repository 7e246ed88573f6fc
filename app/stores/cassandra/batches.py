"""Rows into Cassandra: unlogged batches bounded by bytes, several under way, what is refused for good found and told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from operator import attrgetter
from typing import Any

from app.errors import StoreError
from app.stores.cassandra.connection import CassandraConnection, StatementRefused
from app.stores.cassandra.rows import CqlRow
from app.stores.sending import Lanes, portions

__all__ = ["BATCH_BYTES", "BATCH_ROWS", "BatchSender", "cut"]

BATCH_BYTES = 40 << 10
"""Size of a batch: a server refuses those above its batch_size_fail_threshold, 50 KiB by default."""
BATCH_ROWS = 1000
"""The protocol's own bound is 65,535."""


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
