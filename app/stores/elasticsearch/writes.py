"""Writing to Elasticsearch: what the flow needs of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from app.domain.fields import HIT
from app.domain.records import Delivery, Hit, Reject
from app.errors import StoreError
from app.settings import Settings
from app.stores.elasticsearch.connection import ElasticsearchConnection
from app.stores.elasticsearch.names import IndexNames
from app.stores.elasticsearch.requests import delivery_item, hit_item, newest_of_each, reject_item
from app.stores.elasticsearch.schema import ElasticsearchSchema
from app.stores.elasticsearch.searches import ElasticsearchSearches
from app.stores.elasticsearch.sending import BulkSender

__all__ = ["ElasticsearchWrites"]

_TIME = HIT.at["time"]


class _Beside(Protocol):
    async def create(self) -> None: ...

    async def close(self) -> None: ...


class ElasticsearchWrites:
    """Opens and closes the store, and writes. `ledgers` are opened and closed with it; `clock` tells the time of ingest."""

    def __init__(
        self,
        connection: ElasticsearchConnection,
        searches: ElasticsearchSearches,
        names: IndexNames,
        schema: ElasticsearchSchema,
        settings: Settings,
        read_only: bool,
        clock: Callable[[], float],
    ) -> None:
        self._connection, self._names, self._schema = connection, names, schema
        self._searches, self._read_only, self._clock = searches, read_only, clock
        self.ledgers: _Beside | None = None
        self.sender = BulkSender(
            connection, settings.elasticsearch_bulk_bytes, settings.elasticsearch_in_flight, self._restore
        )

    async def open(self) -> None:
        await self.ping()
        if self._read_only:
            await self._schema.check()
            return
        await self._schema.create()
        if self.ledgers is not None:
            await self.ledgers.create()

    async def close(self) -> None:
        await self.sender.close()
        if self.ledgers is not None:
            await self.ledgers.close()
        self._schema.forget()
        await self._connection.close()

    async def ping(self) -> None:
        await self._connection.ping()

    async def _restore(self) -> None:
        self._schema.forget()
        await self._schema.create()

    def may_write(self) -> int:
        """The time of ingest, in milliseconds. Raises StoreError in a store that was opened for reading."""
        if self._read_only:
            raise StoreError(f"the store Elasticsearch at {self._connection.where} was opened for reading only")
        return round(self._clock() * 1000)

    async def write_hits(self, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
        now, index_of = self.may_write(), self._names.raw_index
        times = [hit[_TIME] for hit in hits]
        await self._schema.ensure_days({index_of(time) for time in times if isinstance(time, (int, float))})
        return (await self.sender.send(hits, lambda hit: hit_item(hit, index_of, now))).refused

    async def write_rejects(self, rejects: Sequence[Reject]) -> list[tuple[Reject, str]]:
        now, index = self.may_write(), self._names.rejects
        return (await self.sender.send(rejects, lambda reject: reject_item(reject, index, now))).refused

    async def write_deliveries(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, str]]:
        """An equal version that stands there with the same content stays untouched; with another content it is written anew."""
        now, index = self.may_write(), self._names.reduced
        refused: list[tuple[Delivery, str]] = []
        best = newest_of_each(deliveries, refused)
        sent = await self.sender.send(best.items(), lambda named: delivery_item(named, index, now, "external"))
        standing = self._searches.standing(index, sent.conflicts)
        if altered := [one async for one, stands, same in standing if stands and not same]:
            again = await self.sender.send(altered, lambda named: delivery_item(named, index, now, "external_gte"))
            sent.refused.extend(again.refused)
        return refused + [(delivery, reason) for (_, delivery), reason in sent.refused]
