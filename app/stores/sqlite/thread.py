"""A thread that alone uses a connection to the embedded store: the event loop never waits for the disk."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

__all__ = ["SqliteThread", "in_thread"]

P = ParamSpec("P")
T = TypeVar("T")


class SqliteThread:
    """Started by the first call, ended by `close`, which calls `last` in it; a call may follow."""

    def __init__(self, name: str, last: Callable[[], object]) -> None:
        self._name, self._last = name, last
        self._pool: ThreadPoolExecutor | None = None

    async def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, self._name)
        within = functools.partial(contextvars.copy_context().run, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, within)

    async def close(self) -> None:
        """Waits for what is under way."""
        if self._pool is not None:
            await self.call(self._last)
            pool, self._pool = self._pool, None
            pool.shutdown(wait=False)  # it is idle now


class _Threaded(Protocol):
    @property
    def thread(self) -> SqliteThread: ...


Owner = TypeVar("Owner", bound=_Threaded)


def in_thread(work: Callable[Concatenate[Owner, P], T]) -> Callable[Concatenate[Owner, P], Coroutine[Any, Any, T]]:
    """The method as one to be awaited, which runs in the thread of its object."""

    @functools.wraps(work)
    async def run(self: Owner, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.thread.call(work, self, *args, **kwargs)

    return run  # type: ignore[return-value]  # functools.wraps keeps the type of the class
