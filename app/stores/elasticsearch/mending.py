"""Making documents exactly what they must be: what `repair` needs beside the writes by version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from app.domain.records import Delivery, Hit, Reject, delivery_id
from app.errors import StoreError, UnreadableRecord
from app.stores.contract import Key
from app.stores.elasticsearch.connection import ElasticsearchConnection
from app.stores.elasticsearch.documents import delivery_of
from app.stores.elasticsearch.names import IndexNames
from app.stores.elasticsearch.requests import Item, delivery_item, delivery_name, hit_item, reject_item
from app.stores.elasticsearch.schema import ElasticsearchSchema
from app.stores.elasticsearch.sending import BulkSender
from app.words import counted_text

__all__ = ["ElasticsearchMending"]

_AT_ONCE = 500
"""Documents that one request names."""


class ElasticsearchMending:
    """Mends by one connection. `now_ms` gives the time of ingest of what is written anew."""

    holds_no_doubles = False
    """A hit may stand in the indices of two days."""

    def __init__(
        self,
        connection: ElasticsearchConnection,
        names: IndexNames,
        schema: ElasticsearchSchema,
        sender: BulkSender,
        now_ms: Callable[[], int],
    ) -> None:
        self._connection, self._names, self._schema = connection, names, schema
        self._sender, self._now_ms = sender, now_ms

    async def mend_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Each stands as given afterwards, in its own version. Raises StoreError for what cannot be written."""
        now = self._now_ms()
        named = [(delivery_name(delivery), delivery) for delivery in deliveries]
        off = await self._off(named)
        # a higher version would refuse them; of a deleted document none is remembered (gc_deletes of the index)
        await self._remove(self._names.reduced, [name for name, _ in off])
        await self._send(off, lambda one: delivery_item(one, self._names.reduced, now, "external_gte"))

    async def _off(self, named: Sequence[tuple[str, Delivery]]) -> list[tuple[str, Delivery]]:
        """Those that do not stand as given."""
        off = []
        for begin in range(0, len(named), _AT_ONCE):
            asked = named[begin : begin + _AT_ONCE]
            answer = await self._connection.call(
                "POST", f"/{self._names.reduced}/_mget", {"ids": [name for name, _ in asked]}
            )
            for one, stands in zip(asked, answer["docs"], strict=True):
                if not stands.get("found") or stands["_version"] != one[1].version or not _is(stands["_source"], *one):
                    off.append(one)
        return off

    async def mend_hits(self, hits: Sequence[Hit]) -> None:
        """Each stands as given afterwards, and nowhere else."""
        now = self._now_ms()
        await self._remove_raw(self._names.raw, [hit.raw_id for hit in hits])
        await self._schema.ensure_days({self._names.raw_index(hit.time) for hit in hits})
        await self._send(hits, lambda hit: hit_item(hit, self._names.raw_index, now))

    async def mend_rejects(self, rejects: Sequence[Reject]) -> None:
        now = self._now_ms()
        await self._remove_raw(self._names.rejects, [reject.raw_id for reject in rejects])
        await self._send(rejects, lambda reject: reject_item(reject, self._names.rejects, now))

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
            await self._remove(index, [name])

    async def miscounted(self) -> bool:
        return False

    async def recount(self) -> bool:
        return False

    async def _remove_raw(self, alias: str, raw_ids: Sequence[str]) -> None:
        """All copies of these raw ids, in whatever index."""
        unique = sorted(set(raw_ids))
        for begin in range(0, len(unique), _AT_ONCE):
            some = unique[begin : begin + _AT_ONCE]
            named = {"query": {"ids": {"values": some}}}
            await self._connection.call("POST", f"/{alias}/_refresh", doing="mend")
            await self._connection.call(
                "POST",
                f"/{alias}/_delete_by_query",
                named,
                params={"refresh": "true", "conflicts": "proceed"},
                doing="mend",
            )

    async def remove_deliveries(self, names: Sequence[tuple[Key, float]]) -> None:
        self._now_ms()
        await self._remove(self._names.reduced, [delivery_id(*key, start + 0.0) for key, start in names])

    async def _remove(self, index: str, ids: Sequence[str]) -> None:
        for begin in range(0, len(ids), _AT_ONCE):
            lines = "".join(
                f'{{"delete":{{"_index":"{index}","_id":"{one}"}}}}\n' for one in ids[begin : begin + _AT_ONCE]
            )
            status, answer = await self._connection.bulk(lines.encode(), {"refresh": "true"})
            told = [result["delete"] for result in answer["items"]] if status < 300 else []
            if status >= 300 or any(one["status"] not in (200, 404) for one in told):
                raise StoreError(
                    f"Elasticsearch at {self._connection.where} deletes nothing: {self._connection.reason(answer)}"
                )

    async def _send(self, records: Sequence[Any], make: Callable[[Any], Item[Any]]) -> None:
        sent = await self._sender.send(records, make)
        if sent.refused:
            record, reason = sent.refused[0]
            raise StoreError(
                f"{counted_text(len(sent.refused), 'record')} cannot be mended, the first because: {reason}: {record!s:.300}"
            )
        if sent.conflicts:
            raise StoreError(
                f"{counted_text(len(sent.conflicts), 'record')} cannot be mended: somebody writes them meanwhile; run it again"
            )


def _is(source: dict[str, Any], name: str, delivery: Delivery) -> bool:
    try:
        return delivery_of(name, source) == delivery
    except (KeyError, ValueError, TypeError):  # what stands there could never have been written
        return False
