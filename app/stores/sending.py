"""Batches on their way to a server: cut by bytes, several under way at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

__all__ = ["Lanes", "portions"]

_SLICE = 256
"""Items made before others get their turn: some milliseconds."""

Item = TypeVar("Item")
Batch = TypeVar("Batch")


async def portions(
    items: Iterable[Item], size_of: Callable[[Item], int], most_bytes: int, most_items: int
) -> AsyncIterator[list[Item]]:
    """The items in their order, in batches of at most so many bytes (one item may have more) and so many items.

    They are made as batches are wanted, a slice at a time: the event loop goes on.
    """
    batch: list[Item] = []
    held_bytes = 0
    for number, item in enumerate(items, 1):
        size = size_of(item)
        if batch and (held_bytes + size > most_bytes or len(batch) >= most_items):
            yield batch
            batch, held_bytes = [], 0
        batch.append(item)
        held_bytes += size
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    if batch:
        yield batch


class Lanes:
    """At most `width` batches are under way at a time, whoever sends them. `renew` it for another event loop."""

    def __init__(self, width: int) -> None:
        self._width, self._calls = width, 0
        self.renew()

    def renew(self) -> None:
        self._room, self._idle = asyncio.Semaphore(self._width), asyncio.Event()
        if not self._calls:
            self._idle.set()

    @contextmanager
    def call(self) -> Iterator[None]:
        """A call that `ended` waits for."""
        self._calls += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    async def ended(self) -> None:
        """Returns when no call is under way."""
        await self._idle.wait()

    async def send(self, batches: AsyncIterator[Batch], deliver: Callable[[Batch], Coroutine[Any, Any, None]]) -> None:
        """Returns when all were delivered. Raises the first failure when nothing is under way any more; no batch follows on it."""
        failures: list[BaseException] = []
        tasks: set[asyncio.Task[None]] = set()

        def done(task: asyncio.Task[None]) -> None:
            self._room.release()
            tasks.discard(task)
            error = asyncio.CancelledError("a batch was cancelled") if task.cancelled() else task.exception()
            if error is not None:
                failures.append(error)

        try:
            async for batch in batches:
                await self._room.acquire()
                if failures:
                    self._room.release()
                    break
                tasks.add(task := asyncio.create_task(deliver(batch)))
                task.add_done_callback(done)
            if tasks:
                await asyncio.wait(tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            raise
        if failures:
            raise failures[0]
