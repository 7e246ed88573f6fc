"""Where `reduce --stores` writes to: the stores, a few batches ahead of the reading, in an event loop of their own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from app.domain.lines import ReadLines
from app.domain.records import Delivery, Reject, raw_ids
from app.errors import StoreError, UnknownStoreForm
from app.process.pauses import pauses
from app.settings import Settings
from app.stores import open_store
from app.stores.contract import Store
from app.stores.refused import as_reject

__all__ = ["StoreWriter"]

_BATCH = 5000
_AHEAD = 3
"""Batches under way while the next is read: with the one being filled, what is held in memory."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _TRIES = 0.5, 8.0, 6
"""A store that fails is asked again, for some 15 s."""

T = TypeVar("T")


class StoreWriter:
    """Writes hits, rejects and deliveries as the worker does, to all stores at once. A context manager; raises StoreError.

    Deliveries are final where they were over before the end of the input, and open otherwise: a worker's record of the same hits has
    the same version or the one that is next to it, and the higher one stands, whoever comes first.
    """

    def __init__(self, names: Sequence[str], settings: Settings) -> None:
        self._stores = [open_store(name, settings) for name in names]
        self._keep = settings.store_raw
        self._held: dict[str, list[Any]] = {"write_hits": [], "write_rejects": [], "write_deliveries": []}
        self._under_way: deque[Future[None]] = deque()
        self._arrived = time.time()
        self.written: Counter[str] = Counter()
        """Records given to each store, by what they are."""
        self.refused: Counter[str] = Counter()
        """Records that a store refused for good, by store; they stand among its rejects."""

    def __enter__(self) -> StoreWriter:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stores", daemon=True)
        self._thread.start()
        try:
            for store in self._stores:
                self._wait(store.open())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                for method in self._held:
                    self._send(method)
                while self._under_way:
                    self._under_way.popleft().result()
        finally:
            self._end()

    def _end(self) -> None:
        for future in self._under_way:
            future.cancel()
        for store in self._stores:
            self._wait(store.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def take_lines(self, source: str, read: ReadLines) -> ReadLines:
        """The raw records of some lines; gives the lines as they are to be merged."""
        if not all(_is_clean(hit) for hit in read.hits):
            read = read._replace(hits=[hit if _is_clean(hit) else _cleaned(hit) for hit in read.hits])
        logged = {index: _clean(request) for index, request in read.logged_requests.items()}
        identify = raw_ids(source)
        if self._keep == "all":
            rows = [
                (*hit, identify(at), source, at, logged.get(index))
                for index, (hit, at) in enumerate(zip(read.hits, read.positions, strict=True))
            ]
            self._add("write_hits", rows)
        if self._keep != "none":
            rejects = [
                Reject(
                    bad.reason,
                    bad.detail,
                    _clean(bad.line),
                    identify(bad.position),
                    source,
                    bad.position,
                    self._arrived,
                )
                for bad in read.rejects
            ]
            self._add("write_rejects", rejects)
        return read

    def take_delivery(self, delivery: Delivery) -> None:
        """One delivery."""
        self._add("write_deliveries", (delivery,))

    def _add(self, method: str, records: Sequence[Any]) -> None:
        held = self._held[method]
        held += records
        if len(held) >= _BATCH:
            self._send(method)

    def _send(self, method: str) -> None:
        held, self._held[method] = self._held[method], []
        self.written[method.removeprefix("write_")] += len(held)
        for at in range(0, len(held), _BATCH):
            self._under_way.append(
                asyncio.run_coroutine_threadsafe(self._write(method, held[at : at + _BATCH]), self._loop)
            )
            while len(self._under_way) > _AHEAD:
                self._under_way.popleft().result()

    async def _write(self, method: str, records: list[Any]) -> None:
        await asyncio.gather(*(self._write_to(store, method, records) for store in self._stores))

    async def _write_to(self, store: Store, method: str, records: list[Any]) -> None:
        refused = await _until_taken(getattr(store.writes, method), records)
        if refused:
            self.refused[store.name] += len(refused)
            now = time.time()
            rejects = [
                as_reject(store.name, record, reason, now)
                for record, reason in refused
                if not isinstance(record, Reject)
            ]
            if rejects and self._keep != "none":
                await asyncio.gather(*(_until_taken(other.writes.write_rejects, rejects) for other in self._stores))


async def _until_taken(
    write: Callable[[list[Any]], Awaitable[list[tuple[Any, str]]]], records: list[Any]
) -> list[tuple[Any, str]]:
    """Writes are idempotent: a store that failed is given the same again, for some seconds."""
    tries = 0
    async for _ in pauses(_FIRST_PAUSE_S, _LONGEST_PAUSE_S):
        tries += 1
        try:
            return await write(records)
        except UnknownStoreForm:
            raise
        except StoreError:
            if tries == _TRIES:
                raise
    raise AssertionError("pauses() has no end")


def _is_clean(hit: tuple[Any, ...]) -> bool:
    """Without lone surrogates, which no message can carry: the fields that a log can put them into."""
    for field in (*hit[1:5], *hit[-1].values()):
        if field is not None and not field.isascii():
            try:
                field.encode()
            except UnicodeEncodeError:
                return False
    return True


def _cleaned(hit: tuple[Any, ...]) -> tuple[Any, ...]:
    """As the worker's messages carry it."""
    return (
        *(_clean(field) if isinstance(field, str) else field for field in hit[:-1]),
        {name: _clean(text) for name, text in hit[-1].items()},
    )


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
