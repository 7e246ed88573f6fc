"""Making documents exactly what they must be: what `repair` needs beside the writes by version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar, cast

from app.domain.records import Delivery, Hit, Reject, delivery_id
from app.errors import StoreError, UnreadableRecord
from app.stores.contract import Key
from app.stores.elasticsearch.documents import Item, delivery_item, hit_item, reject_item
from app.stores.elasticsearch.searches import ElasticsearchSearches
from app.stores.elasticsearch.sending import BulkSender
from app.stores.elasticsearch.writes import ElasticsearchWrites
from app.stores.refused import all_taken
from app.words import counted_text

__all__ = ["ElasticsearchMending", "mend"]

_AT_ONCE = 500
"""Documents that one request names."""
Record = TypeVar("Record")


async def mend(sender: BulkSender, records: Iterable[Record], make: Callable[[Record], Item[Record]]) -> None:
    """Sends what must be taken. Raises StoreError for what was refused, and for what somebody else wrote meanwhile."""
    sent = await sender.send(records, make)
    all_taken(sent.refused)
    if sent.conflicts:
        raise StoreError(
            f"{counted_text(len(sent.conflicts), 'record')} cannot be mended: somebody writes them meanwhile; run it again"
        )


class ElasticsearchMending:
    """Mends on the connection of `writes`."""

    holds_no_doubles = False
    """A hit may stand in the indices of two days."""

    def __init__(self, writes: ElasticsearchWrites, searches: ElasticsearchSearches) -> None:
        self._writes, self._searches, self._sender = writes, searches, writes.sender
        self._names, self._now_ms = writes.names, writes.may_write

    async def mend_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Each stands as given afterwards, in its own version. Raises StoreError for what cannot be written."""
        now = self._now_ms()
        named = [(delivery.id, delivery) for delivery in deliveries]
        off = [one async for one, same in self._writes.standing(named) if not same]
        # a higher version would refuse them; of a deleted document none is remembered (gc_deletes of the index)
        await self._searches.delete(self._names.reduced, [name for name, _ in off])
        await mend(self._sender, off, lambda one: delivery_item(one, self._names.reduced, now, "external_gte"))

    async def mend_hits(self, hits: Sequence[Hit]) -> None:
        """Each stands as given afterwards, and nowhere else."""
        now = self._now_ms()
        await self._remove_raw(self._names.raw, [hit.raw_id for hit in hits])
        await self._writes.schema.ensure_days({self._names.raw_index(hit.time) for hit in hits})
        await mend(self._sender, hits, lambda hit: hit_item(hit, self._names.raw_index, now))

    async def mend_rejects(self, rejects: Sequence[Reject]) -> None:
        now = self._now_ms()
        await self._remove_raw(self._names.rejects, [reject.raw_id for reject in rejects])
        await mend(self._sender, rejects, lambda reject: reject_item(reject, self._names.rejects, now))

    async def remove_hits(self, hits: Sequence[Hit]) -> None:
        self._now_ms()
        await self._remove_raw(self._names.raw, [hit.raw_id for hit in hits])

    async def remove_rejects(self, rejects: Sequence[Reject]) -> None:
        self._now_ms()
        await self._remove_raw(self._names.rejects, [reject.raw_id for reject in rejects])

    async def remove_unreadable(self, found: Sequence[UnreadableRecord]) -> None:
        """Deleted by index and id."""
        for each in found:
            index, name = cast(tuple[str, str], each.place)
            await self._searches.delete(index, [name])

    async def miscounted(self) -> bool:
        return False

    async def recount(self) -> bool:
        return False

    async def _remove_raw(self, alias: str, raw_ids: Sequence[str]) -> None:
        """All copies of these raw ids, in whatever index."""
        unique = sorted(set(raw_ids))
        for begin in range(0, len(unique), _AT_ONCE):
            some = {"ids": {"values": unique[begin : begin + _AT_ONCE]}}
            await self._searches.delete_found(alias, some, "mend")

    async def remove_deliveries(self, names: Sequence[tuple[Key, float]]) -> None:
        self._now_ms()
        await self._searches.delete(self._names.reduced, [delivery_id(*key, start) for key, start in names])
