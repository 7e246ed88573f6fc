"""One embedded log shared by all Faust apps of a process: a writer thread with group commit, reader threads, a watcher.

The event loop never touches SQLite. Everything that is sent while one transaction reaches the disk goes into the next.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import monotonic, time
from typing import Any, NamedTuple, TypeVar

from app.errors import LogError
from app.transports.embedded.log import EmbeddedLog, Operation

__all__ = ["SharedLog", "shared_log"]

T = TypeVar("T")
logger = logging.getLogger(__name__)

WATCH_INTERVAL_S = 0.02
HOUSEKEEPING_INTERVAL_S = 1.0
GROUP_OPERATIONS = 5000
GROUP_BYTES = 32 << 20
READERS = 4


class _Request(NamedTuple):
    operation: Operation
    future: asyncio.Future[Any]
    size: int


class SharedLog:
    """The log of one path within this process. Made by shared_log(); every user calls release() when done."""

    def __init__(self, path: Path, max_bytes: int, keep_s: float) -> None:
        self.log = EmbeddedLog(path, max_bytes, keep_s)
        self.ends: dict[tuple[str, int], int] = self.log.ends()
        """End offset of every partition, as far as this process has heard; never ahead of what is on disk."""
        self.transactions = 0
        """How many transactions the writer has committed, for how many operations: group commit at work."""
        self.operations = 0
        self._users = 0
        self._listeners: dict[Callable[[], None], asyncio.AbstractEventLoop] = {}
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._state = threading.Lock()  # guards ends and _listeners
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="log-reader")
        self._threads = [
            threading.Thread(target=self._write, name="log-writer", daemon=True),
            threading.Thread(target=self._watch, name="log-watcher", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    # -- for the event loop

    def submit(self, operation: Operation, size: int = 0) -> asyncio.Future[Any]:
        """Run the operation in the next transaction; the future completes once it is on disk. `size`: its bytes, about."""
        future = asyncio.get_running_loop().create_future()
        self._requests.put(_Request(operation, future, size))
        return future

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Run blocking reads in a reader thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, partial(work, *args))

    def listen(self, callback: Callable[[], None]) -> None:
        """Have `callback` called in this event loop whenever something was appended, by whatever process."""
        with self._state:
            self._listeners[callback] = asyncio.get_running_loop()

    def unlisten(self, callback: Callable[[], None]) -> None:
        with self._state:
            self._listeners.pop(callback, None)

    # -- lifetime

    def acquire(self) -> SharedLog:
        self._users += 1
        return self

    async def release(self) -> None:
        """The last user closes the log, after everything that was submitted."""
        with _registry_lock:
            self._users -= 1
            last = self._users == 0
            if last:
                _registry.pop(self.log.path.absolute(), None)
        if last:
            await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        self._stopping.set()
        self._requests.put(None)
        for thread in self._threads:
            thread.join()
        self._readers.shutdown()
        self.log.close()

    # -- the writer thread

    def _write(self) -> None:
        next_housekeeping = monotonic() + HOUSEKEEPING_INTERVAL_S
        while True:
            try:
                first = self._requests.get(timeout=max(0.0, next_housekeeping - monotonic()))
            except queue.Empty:
                self._keep_house()
                next_housekeeping = monotonic() + HOUSEKEEPING_INTERVAL_S
                continue
            group, stop = self._gather(first)
            if group:
                self._commit(group)
            if stop:
                return
            if monotonic() >= next_housekeeping:
                self._keep_house()
                next_housekeeping = monotonic() + HOUSEKEEPING_INTERVAL_S

    def _gather(self, first: _Request | None) -> tuple[list[_Request], bool]:
        group: list[_Request] = []
        size = 0
        request = first
        while request is not None:
            group.append(request)
            size += request.size
            if len(group) >= GROUP_OPERATIONS or size >= GROUP_BYTES:
                return group, False
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _commit(self, group: list[_Request]) -> None:
        try:
            results, ends = self.log.transact([request.operation for request in group])
            self.transactions += 1
            self.operations += len(group)
        except Exception as error:  # whatever it is, those who wait must hear of it
            results, ends = [error] * len(group), {}
        settled: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
        for request, result in zip(group, results, strict=True):
            settled.setdefault(request.future.get_loop(), []).append((request.future, result))
        # the ends first: who is told that a message is on disk may read it at once
        self._advance(ends)
        for loop, outcomes in settled.items():
            _call_in(loop, partial(_settle, outcomes))

    def _keep_house(self) -> None:
        """Trim, compact. A failure is told and tried again later: nothing is lost by waiting."""
        log = self.log
        try:
            log.trim(time())
            for topic, partition in log.compactable():
                log.compact(topic, partition)
            log.bound_journal()
        except LogError as error:
            logger.warning("housekeeping of the log failed and will be tried again: %s", error)

    # -- news

    def _watch(self) -> None:
        seen = -1
        failed = False
        while not self._stopping.wait(WATCH_INTERVAL_S):
            try:
                version = self.log.data_version()
                if version != seen:
                    self._advance(self.log.ends())
                    seen = version
                failed = False
            except LogError as error:
                if not failed:
                    logger.warning("cannot look for news in the log: %s", error)
                failed = True

    def _advance(self, ends: dict[tuple[str, int], int]) -> None:
        with self._state:
            known = self.ends
            # a new dictionary: the event loop reads the old one
            news = {key: end for key, end in ends.items() if end > known.get(key, -1)}
            if not news:
                return
            self.ends = known | news
            listeners = list(self._listeners.items())
        for callback, loop in listeners:
            _call_in(loop, callback)


def _call_in(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    # a loop that was closed has nobody left who waits
    if not loop.is_closed():
        try:
            loop.call_soon_threadsafe(callback)
        except RuntimeError:
            logger.debug("an event loop closed before it heard the news")


def _settle(outcomes: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in outcomes:
        if future.done():  # cancelled by who waited
            continue
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)


_registry: dict[Path, SharedLog] = {}
_registry_lock = threading.Lock()


def shared_log(path: Path, max_bytes: int = 2 << 30, keep_s: float = 60.0) -> SharedLog:
    """The one SharedLog of this process for the path; the bounds of the first caller hold. Call release() when done."""
    with _registry_lock:
        place = path.absolute()
        if place not in _registry:
            _registry[place] = SharedLog(path, max_bytes, keep_s)
        return _registry[place].acquire()
