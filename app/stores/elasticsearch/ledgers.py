"""Votes and spending in Elasticsearch: an index each for votes, transactions and their sums, behind aliases."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from app.domain.events import Sum, Transaction, Vote
from app.errors import StoreError, StoreRefused
from app.settings import Settings
from app.stores.elasticsearch.connection import Connection
from app.stores.elasticsearch.requests import Item
from app.stores.elasticsearch.sending import Sender
from app.stores.ledger_contract import SHORT_DAYS, Named, Top

__all__ = ["INDICES", "ElasticsearchLedgers"]

INDICES = ("votes", "vote_sums", "transactions", "spend_sums", "names")
_MAPPINGS = Path(__file__).with_name("schema") / "ledgers.json"
_SLICE = 5000
_GROUPS = 5000
_AT_ONCE = 20_000
_DAY_S = 86400.0
_DELETE_S = 300.0
_MAYBE = {"ignore_unavailable": "true", "allow_no_indices": "true"}
_SUM_FIELDS = ("resolution", "group", "start", "partition", "share")
_encode = msgspec.json.Encoder().encode


def _name(*parts: object) -> str:
    """An `_id`: the server takes 512 bytes, and texts may be longer."""
    return blake2b(_encode(parts), digest_size=16).hexdigest()


def _milliseconds(time: float) -> int:
    return math.floor(time * 1000)


class ElasticsearchLedgers:
    """The Ledgers protocol. Every read refreshes first, so that it sees all that was acknowledged."""

    def __init__(self, connection: Connection, settings: Settings, may_write: Callable[[], int]) -> None:
        """`may_write` gives the time of ingest in milliseconds, or raises StoreError."""
        self._connection, self._may_write = connection, may_write
        self._prefix = settings.elasticsearch_prefix
        self._shape = {
            "number_of_shards": settings.elasticsearch_shards,
            "number_of_replicas": settings.elasticsearch_replicas,
        }
        self._sender = Sender(
            connection, settings.elasticsearch_bulk_bytes, settings.elasticsearch_in_flight, self.create
        )

    # -- indices

    async def create(self) -> None:
        """Those that lack; several workers may do it at once."""
        mappings = json.loads(_MAPPINGS.read_text())
        for index in INDICES:
            alias = self._prefix + index
            if "error" not in await self._connection.call("GET", f"/_alias/{alias}", ignore=(404,)):
                continue
            body = {
                "settings": {"index": self._shape},
                "mappings": {"dynamic": False, "properties": mappings[index]},
                "aliases": {alias: {"is_write_index": True}},
            }
            answer = await self._connection.call("PUT", f"/{alias}-1", body, doing="map", ignore=(400,))
            error = answer.get("error")
            if error is not None and error["type"] != "resource_already_exists_exception":
                raise StoreError(
                    f"can not create the index {alias}-1 in Elasticsearch at {self._connection.where}: {self._connection.reason(answer)}"
                )

    async def close(self) -> None:
        await self._sender.close()

    async def drop(self) -> None:
        """The next write makes the indices again."""
        await self._remove(INDICES[:-1])

    async def remove(self) -> None:
        """All indices, that of the candidates and users among them."""
        await self._remove(INDICES)

    async def _remove(self, indices: Sequence[str]) -> None:
        for index in indices:
            await self._connection.call("DELETE", f"/{self._prefix}{index}-1", doing="drop indices of", ignore=(404,))

    # -- writes

    async def write_votes(self, votes: Sequence[Vote]) -> list[tuple[Vote, str]]:
        now = self._may_write()

        def item(vote: Vote) -> Item[Vote]:
            document = dict(zip(Vote._fields, vote, strict=True))
            return self._created("votes", _name(vote.vote_id), vote, document, vote.time, now)

        return (await self._sender.send(votes, item)).refused

    async def write_transactions(self, transactions: Sequence[Transaction]) -> list[tuple[Transaction, str]]:
        now = self._may_write()

        def item(each: Transaction) -> Item[Transaction]:
            document = dict(zip(Transaction._fields, each, strict=True))
            return self._created(
                "transactions", _name(each.user_id, each.transaction_id), each, document, each.time, now
            )

        return (await self._sender.send(transactions, item)).refused

    def _created(
        self, index: str, name: str, record: Any, document: dict[str, Any], time: float, now: int
    ) -> Item[Any]:
        action = f'{{"create":{{"_index":"{self._prefix}{index}","_id":"{name}","require_alias":true}}}}\n'
        document |= {"@timestamp": _milliseconds(time), "ingested": now}
        return Item(record, action.encode() + _encode(document) + b"\n")

    async def write_vote_sums(self, sums: Sequence[Sum]) -> list[tuple[Sum, str]]:
        return await self._write_sums("vote_sums", sums)

    async def write_spend_sums(self, sums: Sequence[Sum]) -> list[tuple[Sum, str]]:
        return await self._write_sums("spend_sums", sums)

    async def _write_sums(self, index: str, sums: Sequence[Sum]) -> list[tuple[Sum, str]]:
        """What stands there in this version or a newer one is a conflict, and done."""
        now = self._may_write()
        best: dict[tuple[Any, ...], Sum] = {}
        for each in sums:
            known = best.get(each[:5])
            if known is None or known.version < each.version:
                best[each[:5]] = each

        def item(each: Sum) -> Item[Sum]:
            action = (
                f'{{"index":{{"_index":"{self._prefix}{index}","_id":"{_name(*each[:5])}","version":{each.version},'
                '"version_type":"external","require_alias":true}}\n'
            )
            document = dict(zip(Sum._fields, each, strict=True)) | {"@timestamp": each.start * 1000, "ingested": now}
            return Item(each, action.encode() + _encode(document) + b"\n")

        return (await self._sender.send(best.values(), item)).refused

    async def put_names(self, kind: Named, names: Mapping[str, str]) -> None:
        self._may_write()

        def item(row: tuple[str, str]) -> Item[tuple[str, str]]:
            action = (
                f'{{"index":{{"_index":"{self._prefix}names","_id":"{_name(kind, row[0])}","require_alias":true}}}}\n'
            )
            return Item(row, action.encode() + _encode({"kind": kind, "id": row[0], "name": row[1]}) + b"\n")

        sent = await self._sender.send(list(names.items()), item)
        if sent.refused:
            raise StoreError(f"Elasticsearch at {self._connection.where} refuses {kind}: {sent.refused[0][1]}")

    # -- reads

    async def vote_sums(self, resolution: str, begin: float, end: float) -> list[Sum]:
        return await self._sums("vote_sums", [{"term": {"resolution": resolution}}, _within("start", begin, end)])

    async def kiosk_sums(self, candidate_id: int, begin: float, end: float) -> list[Sum]:
        of = {"prefix": {"group": f"{candidate_id}/"}}
        return await self._sums("vote_sums", [{"term": {"resolution": "kiosk"}}, of, _within("start", begin, end)])

    async def spend_sums(self, user_id: str, resolution: str, begin: float, end: float) -> list[Sum]:
        filters = [{"term": {"group": user_id}}, {"term": {"resolution": resolution}}, _within("start", begin, end)]
        return await self._sums("spend_sums", filters)

    async def _sums(self, index: str, filters: list[dict[str, Any]]) -> list[Sum]:
        return [_sum_of(each) async for each in self._walk(index, filters, _SUM_FIELDS)]

    async def transactions(self, user_id: str, begin: float, end: float, limit: int) -> list[Transaction]:
        filters = [{"term": {"user_id": user_id}}, _within("time", begin, end)]
        found = [
            _transaction_of(each)
            async for each in self._walk("transactions", filters, ("time", "transaction_id"), limit)
        ]
        return found[:limit]

    async def spent(self, user_id: str, begin: float, end: float) -> tuple[int, int]:
        filters = [{"term": {"user_id": user_id}}, _within("time", begin, end)]
        body = {
            "size": 0,
            "track_total_hits": True,
            "query": {"bool": {"filter": filters}},
            "aggs": {"cents": {"sum": {"field": "cents"}}},
        }
        answer = await self._search("transactions", body)
        return round(answer.get("aggregations", {}).get("cents", {}).get("value", 0)), answer["hits"]["total"]["value"]

    async def top(self, limit: int) -> list[Top]:
        """Goes through all users, because the best of each shard need not be the best of all."""
        sums = {"cents": {"sum": {"field": "amount"}}, "count": {"sum": {"field": "events"}}}
        composite: dict[str, Any] = {"size": _GROUPS, "sources": [{"group": {"terms": {"field": "group"}}}]}
        query = {"bool": {"filter": [{"term": {"resolution": "total"}}]}}
        best: list[Top] = []
        await self._refresh("spend_sums")
        while True:
            body = {"size": 0, "query": query, "aggs": {"users": {"composite": composite, "aggs": sums}}}
            answer = await self._search("spend_sums", body, refresh=False)
            users = answer.get("aggregations", {}).get("users", {})
            found = [
                Top(row["key"]["group"], round(row["cents"]["value"]), round(row["count"]["value"]))
                for row in users.get("buckets", ())
            ]
            best = sorted(
                [*best, *(each for each in found if each.transactions)], key=lambda each: (-each.cents, each.user_id)
            )[:limit]
            if "after_key" not in users:
                return best
            composite["after"] = users["after_key"]

    async def names(self, kind: Named) -> dict[str, str]:
        return {each["id"]: each["name"] async for each in self._walk("names", [{"term": {"kind": kind}}], ("id",))}

    async def all_votes(self) -> AsyncIterator[Vote]:
        async for each in self._walk("votes", [], ("vote_id",)):
            yield Vote(*(each[field] for field in Vote._fields))

    async def all_transactions(self) -> AsyncIterator[Transaction]:
        async for each in self._walk("transactions", [], ("user_id", "transaction_id")):
            yield _transaction_of(each)

    async def all_sums(self, ledger: str) -> AsyncIterator[Sum]:
        async for each in self._walk({"votes": "vote_sums", "spend": "spend_sums"}[ledger], [], _SUM_FIELDS):
            yield _sum_of(each)

    async def _walk(
        self, index: str, filters: list[dict[str, Any]], order: Sequence[str], limit: int | None = None
    ) -> AsyncIterator[Mapping[str, Any]]:
        """All documents in the order of these fields, which together are unique, in slices."""
        size = _SLICE if limit is None else min(_SLICE, limit)
        body: dict[str, Any] = {
            "size": size,
            "query": {"bool": {"filter": filters}},
            "sort": [{field: "asc"} for field in order],
        }
        await self._refresh(index)
        read = 0
        while True:
            hits = (await self._search(index, body, refresh=False))["hits"]["hits"]
            for hit in hits:
                yield hit["_source"]
            read += len(hits)
            if len(hits) < size or (limit is not None and read >= limit):
                return
            body["search_after"] = hits[-1]["sort"]

    async def _refresh(self, index: str) -> None:
        with suppress(StoreRefused):  # who may only read goes without: then the last second may lack
            await self._connection.call("POST", f"/{self._prefix}{index}/_refresh", params=_MAYBE)

    async def _search(self, index: str, body: Mapping[str, Any], *, refresh: bool = True) -> dict[str, Any]:
        if refresh:
            await self._refresh(index)
        return await self._connection.call("POST", f"/{self._prefix}{index}/_search", body, params=_MAYBE)

    # -- retention

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        raw = await self._delete("votes", [], now - raw_days * _DAY_S)
        before = now - reduced_days * _DAY_S
        reduced = await self._delete("transactions", [], before)
        reduced += await self._delete("vote_sums", [{"term": {"resolution": "second"}}], now - SHORT_DAYS * _DAY_S)
        reduced += await self._delete("vote_sums", [{"terms": {"resolution": ["kiosk", "window"]}}], before)
        return raw, reduced + await self._delete(
            "spend_sums", [{"terms": {"resolution": ["minute", "hour", "day"]}}], before
        )

    async def _delete(self, index: str, filters: list[dict[str, Any]], before: float) -> int:
        query = {"bool": {"filter": [*filters, {"range": {"ingested": {"lt": _milliseconds(before)}}}]}}
        params = {**_MAYBE, "conflicts": "proceed", "refresh": "true", "max_docs": str(_AT_ONCE)}
        gone = 0
        await self._refresh(index)
        while True:
            answer = await self._connection.call(
                "POST",
                f"/{self._prefix}{index}/_delete_by_query",
                {"query": query},
                params=params,
                doing="delete in",
                timeout_s=_DELETE_S,
            )
            gone += answer["deleted"]
            if answer["deleted"] < _AT_ONCE:
                return gone


def _within(field: str, begin: float, end: float) -> dict[str, Any]:
    """From inclusive, to exclusive; whole numbers for a field of integers."""
    if field == "start":
        begin, end = math.ceil(begin), math.ceil(end)
    return {"range": {field: {"gte": begin, "lt": end}}}


def _sum_of(source: Mapping[str, Any]) -> Sum:
    return Sum(*(source[field] for field in Sum._fields))


def _transaction_of(source: Mapping[str, Any]) -> Transaction:
    return Transaction(*(source[field] for field in Transaction._fields))
