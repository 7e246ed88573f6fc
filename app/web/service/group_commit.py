"""Requests that arrive while one write runs share the next, so that a sync to disk serves many clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, NamedTuple, TypeVar

__all__ = ["GroupCommit"]

Item = TypeVar("Item")


class _Waiting(NamedTuple, Generic[Item]):
    item: Item
    since: float
    done: asyncio.Future[None]


class GroupCommit(Generic[Item]):
    """Writes items in groups, in a thread of its own."""

    def __init__(
        self,
        write: Callable[[Sequence[Item]], None],
        thread_name: str,
        on_end: Callable[[Sequence[Item], bool], None] = lambda items, durable: None,
    ) -> None:
        """`write` blocks until the items are durable, or raises; `on_end(items, durable)` is told on the event loop."""
        self._write, self._on_end = write, on_end
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=thread_name)
        self._waiting: list[_Waiting[Item]] = []
        self._writing: list[_Waiting[Item]] = []
        self._writer: asyncio.Task[None] | None = None
        self.closed = False

    @property
    def waited_s(self) -> float:
        """How long the oldest item has waited."""
        oldest = self._writing or self._waiting
        return asyncio.get_running_loop().time() - oldest[0].since if oldest else 0.0

    async def append(self, item: Item) -> None:
        """Returns once the item is durable; raises what `write` raised."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(item, loop.time(), loop.create_future())
        self._waiting.append(waiting)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        await waiting.done

    async def close(self) -> None:
        """Waits for what was accepted."""
        self.closed = True
        if self._writer is not None:
            await self._writer
        self._thread.shutdown(wait=True)

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                self._writing, self._waiting = self._waiting, []
                items = [each.item for each in self._writing]
                error: Exception | None = None
                try:
                    await loop.run_in_executor(self._thread, self._write, items)
                except Exception as failed:  # whatever it is, it is the answer to every request of the group
                    error = failed
                self._on_end(items, error is None)
                self._settle(error)
        finally:
            self._writing, self._writer = [], None

    def _settle(self, error: Exception | None) -> None:
        for each in self._writing:
            if each.done.done():  # its client went away
                continue
            if error is None:
                each.done.set_result(None)
            else:
                each.done.set_exception(error)
