"""Sending bulk requests: several under way, each item again while the server has no room for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from app.errors import StoreError
from app.process.pauses import pauses
from app.settings import Settings
from app.stores.elasticsearch.connection import ElasticsearchConnection
from app.stores.elasticsearch.requests import FILTER_PATH, Item, Verdicts, judge
from app.stores.refused import all_taken
from app.stores.sending import Lanes, portions
from app.words import counted_text

__all__ = ["ATTEMPTS", "FIRST_PAUSE_S", "LONGEST_PAUSE_S", "BulkSender", "Result"]

ATTEMPTS = 8
"""Tries of one item before the whole call fails: some 12 seconds."""
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
_TOO_LARGE = 413
BULK_DOCUMENTS = 5000
"""Documents in a bulk request at most."""
Record = TypeVar("Record")


class Result(NamedTuple):
    """What a call came to, when every item has found its end."""

    refused: list[tuple[Any, str]]
    conflicts: list[Any]
    """Records that the store has already, in this version or a newer one."""


def _made(
    records: Iterable[Record], make: Callable[[Record], Item[Record]], refused: list[tuple[Any, str]]
) -> Iterator[Item[Record]]:
    for record in records:
        try:
            yield make(record)
        except ValueError as error:
            refused.append((record, str(error)))


class BulkSender:
    """Bulk requests, as many at a time and as large as the settings say. `restore` makes indices that are gone."""

    def __init__(
        self, connection: ElasticsearchConnection, settings: Settings, restore: Callable[[], Awaitable[None]]
    ) -> None:
        self._connection, self._restore = connection, restore
        self._bulk_bytes = settings.elasticsearch_bulk_bytes
        self._lanes = Lanes(settings.elasticsearch_in_flight)
        self.ended = self._lanes.ended

    async def send(self, records: Iterable[Record], make: Callable[[Record], Item[Record]]) -> Result:
        """Returns when every record was taken or refused for good. `make` raises ValueError for a record that cannot be kept.

        Raises StoreError where the server takes no more for now: the same call may come again.
        """
        result = Result([], [])
        items = _made(records, make, result.refused)
        requests = portions(items, lambda item: len(item.lines), self._bulk_bytes, BULK_DOCUMENTS)
        with self._lanes.call():
            await self._lanes.send(requests, lambda items: self._deliver(items, result))
        return result

    async def send_all(self, records: Iterable[Record], make: Callable[[Record], Item[Record]]) -> None:
        """Raises StoreError, too, for what was refused, and for what somebody else wrote meanwhile."""
        sent = await self.send(records, make)
        all_taken(sent.refused)
        if sent.conflicts:
            raise StoreError(
                f"{counted_text(len(sent.conflicts), 'record')} cannot be mended: somebody writes them meanwhile; run it again"
            )

    async def _deliver(self, items: list[Item[Record]], result: Result) -> None:
        """Sends until each item has found its end."""
        why, tries = "", 0
        async for _ in pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S):
            tries += 1
            left: list[Item[Record]] = []
            async for verdicts in self._request(items):
                result.refused.extend(verdicts.refused)
                result.conflicts.extend(item.record for item in verdicts.conflicts)
                if verdicts.blame:
                    raise StoreError(
                        f"Elasticsearch at {self._connection.where} takes nothing for now: {verdicts.blame}"
                    )
                if verdicts.lost:
                    await self._restore()
                left += verdicts.again + verdicts.lost
                why = verdicts.why_again or why
            items = left
            if not items:
                return
            if tries == ATTEMPTS:
                break
        raise StoreError(
            f"Elasticsearch at {self._connection.where} has no room: {len(items)} documents still wait after {ATTEMPTS} tries: {why}"
        )

    async def _request(self, items: list[Item[Record]]) -> AsyncIterator[Verdicts[Record]]:
        """One request; one that is refused as a whole is halved until the document that is the cause stands alone."""
        status, answer = await self._connection.bulk(
            b"".join([item.lines for item in items]), {"filter_path": FILTER_PATH}
        )
        reason = f"status {status}, {self._connection.reason(answer)}" if status >= 300 else ""
        if not reason:
            yield judge(items, answer)
        elif status == 429 or status >= 500:
            yield Verdicts(items, [], [], [], "", reason)
        elif status not in (400, _TOO_LARGE):
            yield Verdicts([], [], [], [], reason, "")
        elif len(items) == 1:
            yield Verdicts([], [], [], [(items[0].record, reason)], "", "")
        else:
            middle = len(items) // 2
            for half in (items[:middle], items[middle:]):
                async for verdicts in self._request(half):
                    yield verdicts
