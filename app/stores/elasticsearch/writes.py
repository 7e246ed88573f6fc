"""Writing to Elasticsearch: what the flow needs of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import msgspec

from app.domain.fields import DELIVERY, HIT
from app.domain.records import Delivery, Hit, Reject
from app.errors import StoreError
from app.settings import Settings
from app.stores.elasticsearch.connection import ElasticsearchConnection
from app.stores.elasticsearch.documents import (
    NamedDelivery,
    delivery_document,
    delivery_item,
    hit_item,
    newest_of_each,
    refuse_form,
    reject_item,
)
from app.stores.elasticsearch.schema import ElasticsearchSchema, IndexNames
from app.stores.elasticsearch.sending import BulkSender

__all__ = ["ElasticsearchWrites"]

_TIME = HIT.at["time"]
_NAMED_AT_ONCE = 200
"""Documents that one request names."""
_ABSENT = {name: each.absent for each in DELIVERY.fields if not each.needed for name in (each.name, each.column)}
"""What documents lack that were written before the field was there."""


class ElasticsearchWrites:
    """Opens and closes the store, and writes. `clock` tells the time of ingest."""

    def __init__(
        self,
        connection: ElasticsearchConnection,
        names: IndexNames,
        schema: ElasticsearchSchema,
        settings: Settings,
        read_only: bool,
        clock: Callable[[], float],
    ) -> None:
        self.connection, self.names, self.schema = connection, names, schema
        self.ping = connection.ping
        self._read_only, self._clock = read_only, clock
        self.beside: list[Callable[[], Awaitable[None]]] = []
        """What is made with the indices of records."""
        self.sender = BulkSender(connection, settings, self._restore)

    async def open(self) -> None:
        await self.ping()
        await (self.schema.check() if self._read_only else self._restore())

    async def close(self) -> None:
        await self.sender.ended()
        self.schema.forget()
        await self.connection.close()

    async def _restore(self) -> None:
        self.schema.forget()
        await self.schema.create()
        for create in self.beside:
            await create()

    def may_write(self) -> int:
        """The time of ingest, in milliseconds. Raises StoreError in a store that was opened for reading."""
        if self._read_only:
            raise StoreError(f"the store Elasticsearch at {self.connection.where} was opened for reading only")
        return round(self._clock() * 1000)

    async def write_hits(self, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
        now, index_of = self.may_write(), self.names.raw_index
        await self.schema.ensure_days({index_of(time) for hit in hits if isinstance(time := hit[_TIME], (int, float))})
        return (await self.sender.send(hits, lambda hit: hit_item(hit, index_of, now))).refused

    async def write_rejects(self, rejects: Sequence[Reject]) -> list[tuple[Reject, str]]:
        now, index = self.may_write(), self.names.rejects
        return (await self.sender.send(rejects, lambda reject: reject_item(reject, index, now))).refused

    async def write_deliveries(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, str]]:
        """An equal version that stands there with the same content stays untouched; with another content it is written anew."""
        now, index = self.may_write(), self.names.reduced
        refused: list[tuple[Delivery, str]] = []
        best = newest_of_each(deliveries, refused)
        sent = await self.sender.send(best.items(), lambda named: delivery_item(named, index, now, "external"))
        conflicts = [item.record for item in sent.conflicts]
        if altered := [one async for one, same in self.standing(conflicts) if same is False]:
            again = await self.sender.send(altered, lambda named: delivery_item(named, index, now, "external_gte"))
            sent.refused.extend(again.refused)
        return refused + [(delivery, reason) for (_, delivery), reason in sent.refused]

    async def standing(self, named: Sequence[NamedDelivery]) -> AsyncIterator[tuple[NamedDelivery, bool | None]]:
        """Of each delivery whether that which stands in its version is the same; None: none does."""
        for begin in range(0, len(named), _NAMED_AT_ONCE):
            asked = named[begin : begin + _NAMED_AT_ONCE]
            ids = {"ids": [name for name, _ in asked]}
            answer = await self.connection.call("POST", f"/{self.names.reduced}/_mget", ids)
            for (name, delivery), stands in zip(asked, answer["docs"], strict=True):
                stands_so = stands.get("found") and stands["_version"] == delivery.version
                yield (name, delivery), _is_of(name, delivery, stands["_source"]) if stands_so else None


def _is_of(name: str, delivery: Delivery, source: dict[str, Any]) -> bool:
    """Whether the document that stands there is the one that this delivery becomes, whenever it was ingested."""
    refuse_form(name, source)
    try:
        return _content(source) == _content(msgspec.json.decode(delivery_document(delivery, 0)))
    except (ValueError, TypeError):
        return False


def _content(source: dict[str, Any]) -> dict[str, Any]:
    """What is the same whenever it was written."""
    exact = source.get("exact")
    return _ABSENT | source | {"ingested": 0, "exact": exact and _ABSENT | json.loads(exact)}
