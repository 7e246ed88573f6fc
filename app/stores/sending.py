"""Batches on their way to a server: cut by bytes, several under way at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

__all__ = ["Lanes", "Portions"]

Item = TypeVar("Item")
Batch = TypeVar("Batch")


class Portions(Generic[Item]):
    """Puts items together to batches of at most so many bytes (one item may have more) and so many items."""

    def __init__(self, size_of: Callable[[Item], int], most_bytes: int, most_items: int) -> None:
        self._size_of, self._most_bytes, self._most_items = size_of, most_bytes, most_items
        self._items: list[Item] = []
        self._bytes = 0

    def add(self, item: Item) -> list[Item]:
        """The batch that is full, without this item; empty while there is room."""
        full: list[Item] = []
        size = self._size_of(item)
        if self._items and (self._bytes + size > self._most_bytes or len(self._items) >= self._most_items):
            full = self.rest()
        self._items.append(item)
        self._bytes += size
        return full

    def rest(self) -> list[Item]:
        """What is there; empty afterwards."""
        items, self._items, self._bytes = self._items, [], 0
        return items


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
