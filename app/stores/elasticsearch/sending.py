"""Bulk requests: several under way, their answers judged, each item again while the server has no room for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from app.errors import StoreError
from app.process.pauses import pauses
from app.settings import Settings
from app.stores.elasticsearch.connection import ElasticsearchConnection, said
from app.stores.elasticsearch.documents import Item
from app.stores.sending import Lanes, portions

__all__ = ["ATTEMPTS", "FIRST_PAUSE_S", "LONGEST_PAUSE_S", "BulkSender", "Verdicts", "judge"]

ATTEMPTS = 8
"""Tries of one item before the whole call fails: some 12 seconds."""
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
_TOO_LARGE = 413
BULK_DOCUMENTS = 5000
"""Documents in a bulk request at most."""
Record = TypeVar("Record")
_FILTER_PATH = "errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by"
_RETRIED = frozenset({429, 500, 502, 503, 504})
_OF_THE_DOCUMENT = "fail_processor_exception"
"""An ingest pipeline of the server's operator refuses it, on purpose, with status 500."""
_OF_THE_INDEX = frozenset(
    {"index_closed_exception", "validation_exception", "invalid_index_name_exception", "unavailable_shards_exception"}
)
"""Refusals with status 400 that are no fault of the document: a closed index, too many shards in the cluster."""
_OF_WHAT_STANDS_THERE = (
    "no write index is defined",
    "pipeline with id [",
    "number of documents in the index cannot exceed",
)
"""How the server begins, or goes on, to say that an alias, a pipeline or an index takes no document at all."""
_MANY = 20
"""So many documents are not all at fault: if none of them is taken, somebody altered the index."""


class Verdicts(NamedTuple, Generic[Record]):
    """What became of the items of one request, or of a call; those not named were taken."""

    again: list[Item[Record]]
    """The server had no room, or a node failed: worth another try."""
    conflicts: list[Item[Record]]
    """It stands there already, in this version or a newer one."""
    lost: list[Item[Record]]
    """Their index is not there."""
    refused: list[tuple[Record, str]]
    """For good, with the server's reason."""
    blame: str
    """Why the server takes nothing more, whatever the record: empty where it does."""
    why_again: str


def judge(items: Sequence[Item[Record]], answer: Mapping[str, Any]) -> Verdicts[Record]:
    """Sorts the items of a bulk request by what the server says of each."""
    verdicts = Verdicts[Record]([], [], [], [], "", "")
    if not answer["errors"]:
        return verdicts
    blame, why, at_fault = "", "", 0
    for one, told in zip(items, answer["items"], strict=True):
        (result,) = told.values()
        status, error = result["status"], result.get("error")
        if status < 300:
            continue
        kind = error.get("type", "") if isinstance(error, Mapping) else ""
        if status == 409:
            verdicts.conflicts.append(one)
        elif kind == _OF_THE_DOCUMENT:
            verdicts.refused.append((one.record, said(error)))
        elif status in _RETRIED or status == 404 or kind == "cluster_block_exception":
            (verdicts.lost if status == 404 else verdicts.again).append(one)
            why = said(error)
        elif (
            status in (401, 403)
            or kind in _OF_THE_INDEX
            or any(words in said(error) for words in _OF_WHAT_STANDS_THERE)
        ):
            blame = said(error)
        else:
            verdicts.refused.append((one.record, said(error)))
            at_fault += 1
    if at_fault == len(items) >= _MANY:
        blame = f"of {len(items)} documents it refuses all, the first because: {verdicts.refused[0][1]}"
        verdicts.refused.clear()
    return verdicts._replace(blame=blame, why_again=why)


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

    async def send(self, records: Iterable[Record], make: Callable[[Record], Item[Record]]) -> Verdicts[Record]:
        """Returns when every record was taken or refused for good. `make` raises ValueError for a record that cannot be kept.

        Raises StoreError where the server takes no more for now: the same call may come again.
        """
        result = Verdicts[Record]([], [], [], [], "", "")
        items = _made(records, make, result.refused)
        requests = portions(items, lambda item: len(item.lines), self._bulk_bytes, BULK_DOCUMENTS)
        with self._lanes.call():
            await self._lanes.send(requests, lambda items: self._deliver(items, result))
        return result

    async def _deliver(self, items: list[Item[Record]], result: Verdicts[Record]) -> None:
        """Sends until each item has found its end."""
        why, tries = "", 0
        async for _ in pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S):
            tries += 1
            left: list[Item[Record]] = []
            async for verdicts in self._request(items):
                result.refused.extend(verdicts.refused)
                result.conflicts.extend(verdicts.conflicts)
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
            b"".join([item.lines for item in items]), {"filter_path": _FILTER_PATH}
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
