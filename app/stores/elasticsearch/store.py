"""The Elasticsearch store: hits in an index a day, deliveries and rejects in one each, all behind aliases."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence

from app.domain.records import Delivery, Hit, Reject
from app.errors import StoreError
from app.settings import Settings
from app.stores.contract import Counts, Key
from app.stores.elasticsearch.connection import PING_TIMEOUT_S, Connection
from app.stores.elasticsearch.documents import delivery_of
from app.stores.elasticsearch.ledgers import ElasticsearchLedgers
from app.stores.elasticsearch.mending import Mender
from app.stores.elasticsearch.names import Names
from app.stores.elasticsearch.reads import Reader
from app.stores.elasticsearch.requests import NamedDelivery, delivery_item, hit_item, newest_of_each, reject_item
from app.stores.elasticsearch.retention import Retention
from app.stores.elasticsearch.schema import Schema
from app.stores.elasticsearch.sending import Sender
from app.stores.ledger_contract import Ledgers

__all__ = ["ElasticsearchStore"]

_DAY_S = 86400.0
_LOOKED_AT = 200
"""Deliveries that one request looks up by name."""


class ElasticsearchStore:
    """The Store protocol on Elasticsearch 8. `clock` tells the time of ingest (UTC seconds)."""

    name = "elasticsearch"

    def __init__(self, settings: Settings, *, read_only: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.names = Names(settings.elasticsearch_prefix)
        self._clock = clock
        self._read_only = read_only
        self.connection = Connection(settings)
        self._schema = Schema(self.connection, self.names, settings)
        self._reader = Reader(self.connection, self.names)
        self._sender = Sender(
            self.connection, settings.elasticsearch_bulk_bytes, settings.elasticsearch_in_flight, self._restore
        )
        self._retention = Retention(self.connection, self.names, self._schema)
        self._ledgers = ElasticsearchLedgers(self.connection, settings, self._may_write)
        self.ledgers: Ledgers = self._ledgers

    async def open(self) -> None:
        await self.ping()
        if not self._read_only:
            await self._schema.create()
            await self._ledgers.create()

    async def close(self) -> None:
        await self._sender.close()
        await self._ledgers.close()
        self._schema.forget()
        await self.connection.close()

    async def ping(self) -> None:
        await self.connection.call("GET", "/", timeout_s=PING_TIMEOUT_S)

    async def _restore(self) -> None:
        self._schema.forget()
        await self._schema.create()

    def _may_write(self) -> int:
        """The time of ingest, in milliseconds."""
        if self._read_only:
            raise StoreError(f"the store Elasticsearch at {self.connection.where} was opened for reading only")
        return round(self._clock() * 1000)

    async def write_hits(self, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
        now, index_of = self._may_write(), self.names.raw_index
        await self._schema.ensure_days({index_of(hit[0]) for hit in hits if isinstance(hit[0], (int, float))})
        return (await self._sender.send(hits, lambda hit: hit_item(hit, index_of, now))).refused

    async def write_rejects(self, rejects: Sequence[Reject]) -> list[tuple[Reject, str]]:
        now, index = self._may_write(), self.names.rejects
        return (await self._sender.send(rejects, lambda reject: reject_item(reject, index, now))).refused

    async def write_deliveries(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, str]]:
        """An equal version that stands there with the same content stays untouched; with another content it is written anew."""
        now, index = self._may_write(), self.names.reduced
        refused: list[tuple[Delivery, str]] = []
        best = newest_of_each(deliveries, refused)
        sent = await self._sender.send(best.items(), lambda named: delivery_item(named, index, now, "external"))
        if altered := await self._altered(sent.conflicts):
            again = await self._sender.send(altered, lambda named: delivery_item(named, index, now, "external_gte"))
            sent.refused.extend(again.refused)
        return refused + [(delivery, reason) for (_, delivery), reason in sent.refused]

    async def _altered(self, named: Sequence[NamedDelivery]) -> list[NamedDelivery]:
        """Those that stand in the store in the same version, but with another content."""
        altered: list[NamedDelivery] = []
        for begin in range(0, len(named), _LOOKED_AT):
            asked = named[begin : begin + _LOOKED_AT]
            answer = await self.connection.call(
                "POST", f"/{self.names.reduced}/_mget", {"ids": [name for name, _ in asked]}
            )
            for one, stands in zip(asked, answer["docs"], strict=True):
                if (
                    stands.get("found")
                    and stands["_version"] == one[1].version
                    and delivery_of(stands["_source"]) != one[1]
                ):
                    altered.append(one)
        return altered

    def _mender(self) -> Mender:
        return Mender(self.connection, self.names, self._schema, self._sender, self._may_write())

    async def mend_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        await self._mender().deliveries(deliveries)

    async def mend_hits(self, hits: Sequence[Hit]) -> None:
        await self._mender().hits(hits)

    async def mend_rejects(self, rejects: Sequence[Reject]) -> None:
        await self._mender().rejects(rejects)

    async def remove_deliveries(self, names: Sequence[tuple[Key, float]]) -> None:
        await self._mender().remove_deliveries(names)

    async def remove_hits(self, hits: Sequence[Hit]) -> None:
        await self._mender().remove_raw(self.names.raw, [hit.raw_id for hit in hits])

    async def remove_rejects(self, rejects: Sequence[Reject]) -> None:
        await self._mender().remove_raw(self.names.rejects, [reject.raw_id for reject in rejects])

    async def keys_by_hash(self, key_hash: str) -> list[Key]:
        return await self._reader.keys_by_hash(key_hash)

    async def keys_by_text_part(self, part: str, limit: int = 50) -> list[Key]:
        """Parts of fields longer than 8,191 characters are not found: those have their hash."""
        return await self._reader.keys_by_text_part(part, limit)

    async def deliveries_of(
        self, ip_address: str, user_agent: str, request: str, superseded: bool = False
    ) -> list[Delivery]:
        return await self._reader.deliveries_of(ip_address, user_agent, request, superseded)

    async def hits_of(
        self, ip_address: str | None, user_agent: str | None, request: str | None, limit: int = 1000
    ) -> tuple[list[Hit], int]:
        return await self._reader.hits_of(ip_address, user_agent, request, limit)

    async def newest_deliveries(
        self, limit: int, verdict: str | None = None, superseded: bool = False
    ) -> list[Delivery]:
        return await self._reader.newest_deliveries(limit, verdict, superseded)

    async def counts(self) -> Counts:
        return await self._reader.counts()

    def all_deliveries(self, superseded: bool = False) -> AsyncIterator[Delivery]:
        return self._reader.all_deliveries(superseded)

    def all_hits(self) -> AsyncIterator[Hit]:
        return self._reader.all_hits()

    def all_rejects(self) -> AsyncIterator[Reject]:
        return self._reader.all_rejects()

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        raw = await self._retention.delete("raw", now - raw_days * _DAY_S) + await self._retention.delete(
            "rejects", now - raw_days * _DAY_S
        )
        reduced = await self._retention.delete("reduced", now - reduced_days * _DAY_S)
        more_raw, more_reduced = await self.ledgers.retain(now, raw_days, reduced_days)
        return raw + more_raw, reduced + more_reduced

    async def map(self, kinds: Collection[str]) -> None:
        await self._schema.map(kinds)

    async def drop(self, kinds: Collection[str]) -> None:
        await self._schema.drop(kinds)
