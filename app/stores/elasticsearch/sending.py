"""Sending bulk requests: several under way, each item again while the server has no room for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from app.errors import StoreError
from app.process.pauses import pauses
from app.stores.elasticsearch.connection import ElasticsearchConnection
from app.stores.elasticsearch.requests import FILTER_PATH, Item, Portions, Verdicts, joined, judge
from app.stores.refused import all_taken
from app.words import counted_text

__all__ = ["ATTEMPTS", "FIRST_PAUSE_S", "LONGEST_PAUSE_S", "BulkSender", "Result"]

ATTEMPTS = 8
"""Tries of one item before the whole call fails: some 12 seconds."""
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
_SLICE = 256
"""Documents encoded before others get their turn: some milliseconds."""
_TOO_LARGE = 413
Record = TypeVar("Record")


class Result(NamedTuple):
    """What a call came to, when every item has found its end."""

    refused: list[tuple[Any, str]]
    conflicts: list[Any]
    """Records that the store has already, in this version or a newer one."""


class BulkSender:
    """At most `in_flight` requests at a time, of about `bulk_bytes` each. `restore` makes indices that are gone."""

    def __init__(
        self,
        connection: ElasticsearchConnection,
        bulk_bytes: int,
        in_flight: int,
        restore: Callable[[], Awaitable[None]],
    ) -> None:
        self._connection = connection
        self._bulk_bytes = bulk_bytes
        self._in_flight = in_flight
        self._room = asyncio.Semaphore(in_flight)
        self._restore = restore
        self._under_way: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Returns when nothing is under way."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    async def send(self, records: Iterable[Record], make: Callable[[Record], Item[Record]]) -> Result:
        """Returns when every record was taken or refused for good. `make` raises ValueError for a record that cannot be kept.

        Raises StoreError where the server takes no more for now: the same call may come again.
        """
        result, failures = Result([], []), list[BaseException]()
        portions, turn = self._portions(records, make, result), asyncio.Lock()

        async def work() -> None:
            while not failures:
                async with self._room:
                    async with turn:
                        portion = await anext(portions, None)
                    if portion is None:
                        return
                    try:
                        await self._deliver(portion, result)
                    except BaseException as error:
                        failures.append(error)
                        raise

        tasks = {asyncio.create_task(work()) for _ in range(self._in_flight)}
        self._under_way |= tasks
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._under_way -= tasks
        for task in tasks:
            if not task.cancelled() and (error := task.exception()):
                raise failures[0] if failures else error
        return result

    async def send_all(self, records: Iterable[Record], make: Callable[[Record], Item[Record]]) -> None:
        """Raises StoreError, too, for what was refused, and for what somebody else wrote meanwhile."""
        sent = await self.send(records, make)
        all_taken(sent.refused)
        if sent.conflicts:
            raise StoreError(
                f"{counted_text(len(sent.conflicts), 'record')} cannot be mended: somebody writes them meanwhile; run it again"
            )

    async def _portions(
        self, records: Iterable[Record], make: Callable[[Record], Item[Record]], result: Result
    ) -> AsyncIterator[list[Item[Record]]]:
        """Encodes as requests are wanted, a slice at a time: the event loop goes on."""
        portions = Portions[Record](self._bulk_bytes)
        for number, record in enumerate(records, 1):
            try:
                item = make(record)
            except ValueError as error:
                result.refused.append((record, str(error)))
                continue
            if full := portions.add(item):
                yield full
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        if rest := portions.rest():
            yield rest

    async def _deliver(self, items: list[Item[Record]], result: Result) -> None:
        """Sends until each item has found its end."""
        why, tries = "", 0
        async for _ in pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S):
            tries += 1
            verdicts = await self._request(items)
            result.refused.extend(verdicts.refused)
            result.conflicts.extend(item.record for item in verdicts.conflicts)
            if verdicts.blame:
                raise StoreError(f"Elasticsearch at {self._connection.where} takes nothing for now: {verdicts.blame}")
            if verdicts.lost:
                await self._restore()
            items, why = verdicts.again + verdicts.lost, verdicts.why_again
            if not items:
                return
            if tries == ATTEMPTS:
                break
        raise StoreError(
            f"Elasticsearch at {self._connection.where} has no room: {len(items)} documents still wait after {ATTEMPTS} tries: {why}"
        )

    async def _request(self, items: list[Item[Record]]) -> Verdicts[Record]:
        """One request; one that is refused as a whole is halved until the document that is the cause stands alone."""
        status, answer = await self._connection.bulk(
            b"".join([item.lines for item in items]), {"filter_path": FILTER_PATH}
        )
        if status < 300:
            return judge(items, answer)
        reason = self._connection.reason(answer)
        if status == 429 or status >= 500:
            return Verdicts(items, [], [], [], "", f"status {status}, {reason}")
        if status not in (400, _TOO_LARGE):
            return Verdicts([], [], [], [], f"status {status}, {reason}", "")
        if len(items) == 1:
            return Verdicts([], [], [], [(items[0].record, f"status {status}, {reason}")], "", "")
        middle = len(items) // 2
        return joined(await self._request(items[:middle]), await self._request(items[middle:]))
