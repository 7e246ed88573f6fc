"""The changelog of a table: what state needs of a log, and its form on the embedded log.

A batch is appended whole or not at all, and only by the newest owner of the partition.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from typing import Protocol

from app.errors import Fenced
from app.transports.embedded.shared_log import SharedLog
from app.transports.embedded.transaction import LogTransaction
from app.transports.messages import Pair

__all__ = ["Changelog", "SqliteChangelog"]


class Changelog(Protocol):
    """The changelog topic of one table, as seen by its owner."""

    async def take(self, partition: int) -> None:
        """Become the partition's owner: from now on the appends of every older owner are refused. Before reading it."""

    async def append(self, partition: int, pairs: Sequence[Pair]) -> int:
        """Append all pairs or none; returns the offset after them once they are safe.

        Raises Fenced where a newer owner has taken the partition, LogError where it is not known to be safe.
        """

    def read(self, partition: int, from_offset: int = 0) -> AsyncIterator[list[Pair]]:
        """All pairs from the offset to the end, in order, a few MB at a time. A later pair of a key replaces an earlier one."""

    async def leave(self, partition: int) -> None:
        """Owner no more: this process appends nothing to it until it takes the partition again."""

    async def end_offset(self, partition: int) -> int:
        """The offset that the next pair gets."""

    async def incarnation(self) -> str:
        """What tells this changelog from an earlier one of the same name."""

    async def close(self) -> None: ...


class SqliteChangelog:
    """A changelog topic of the embedded log."""

    def __init__(self, shared: SharedLog, topic: str, partitions: int) -> None:
        self._shared = shared
        self._topic = topic
        self._partitions = partitions
        self._epochs: dict[int, int] = {}

    async def take(self, partition: int) -> None:
        def take(tx: LogTransaction) -> int:
            tx.create_topic(self._topic, self._partitions, compacted=True)
            return tx.take_ownership(self._topic, partition)

        self._epochs[partition] = await self._shared.submit(take)

    async def append(self, partition: int, pairs: Sequence[Pair]) -> int:
        epoch = self._epochs.get(partition)
        if epoch is None:
            raise Fenced(f"{self._topic} partition {partition} was not taken by this process")
        batch = list(pairs)
        size = sum(len(key) + len(value or b"") for key, value in batch)
        end: int = await self._shared.submit(lambda tx: tx.append_batch(self._topic, partition, batch, epoch), size)
        return end

    async def read(self, partition: int, from_offset: int = 0) -> AsyncIterator[list[Pair]]:
        pages: Iterator[list[Pair]] = self._shared.log.read_changelog(self._topic, partition, from_offset)
        with closing(pages):  # type: ignore[type-var]
            while (page := await self._next(pages)) is not None:
                yield page

    async def _next(self, pages: Iterator[list[Pair]]) -> list[Pair] | None:
        step = asyncio.ensure_future(self._shared.run(next, pages, None))
        try:
            page: list[Pair] | None = await asyncio.shield(step)
        except asyncio.CancelledError:
            await asyncio.wait([step])  # the thread is still inside: nobody may close the pages under it
            raise
        return page

    async def leave(self, partition: int) -> None:
        self._epochs.pop(partition, None)

    async def end_offset(self, partition: int) -> int:
        end: int = await self._shared.run(self._shared.log.end_offset, self._topic, partition)
        return end

    async def incarnation(self) -> str:
        found: str = await self._shared.run(self._shared.log.incarnation, self._topic)
        return found

    async def close(self) -> None:
        await self._shared.release()
