"""Answers of Elasticsearch about hits, rejects and deliveries."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from app.domain.fields import KEY, Kind
from app.domain.records import Delivery, Hit, Reject, key_text
from app.domain.totals import Totals
from app.stores.contract import SEARCHED_KEYS, FoundKeys, Key, place
from app.stores.elasticsearch import queries
from app.stores.elasticsearch.documents import DELIVERIES, HITS, REJECTS, Documents, is_summed, refuse_form
from app.stores.elasticsearch.schema import IndexNames
from app.stores.elasticsearch.searches import ElasticsearchSearches
from app.stores.readable import OnUnreadable, readable, reader_of

__all__ = ["LARGEST_SLICE", "ElasticsearchReads", "record_reader"]

LARGEST_SLICE, SMALLEST_SLICE = 1000, 20
"""Records that one step of a walk reads: fewer where they are large."""
SLICE_CHARS = 8 << 20
_MOST_AT_ONCE = 10_000
_MOST_KEYS = 100
_KEY_FIELDS = [*KEY, "exact"]
_BY_TIME = [
    {"time": {"order": "asc", "unmapped_type": "double"}},
    {"source": {"order": "asc", "unmapped_type": "keyword"}},
    {"position": {"order": "asc", "unmapped_type": "long"}},
]
Record = TypeVar("Record")
Parse = Callable[[Mapping[str, Any]], Record]


_READ: dict[Kind, Callable[[Any], Any]] = {
    Kind.TIME: float,
    Kind.RANGES: lambda ranges: [[one["gte"], one["lte"]] for one in ranges],
}


def record_reader(documents: Documents) -> Callable[[str, Mapping[str, Any]], Any]:
    """The function from `_id` and `_source` to the record.

    It raises UnknownStoreForm, and KeyError for what no program of ours wrote.
    """
    table = documents.table
    fields = [(field, field.column, _READ.get(field.kind)) for field in table.fields]

    def record(raw_id: str, source: Mapping[str, Any]) -> Any:
        refuse_form(raw_id, source)
        if exact := source.get("exact"):
            found: Mapping[str, Any] = json.loads(exact)
            return table.record(
                **{each.name: found.get(each.name, found.get(each.former, each.absent)) for each in table.fields}
            )
        values = []
        for field, name, read in fields:
            if field.kind is Kind.RAW_ID:
                values.append(raw_id)
            elif (value := source.get(name, source.get(field.former))) is not None:
                values.append(value if read is None else read(value))
            elif field.needed and not field.optional:
                raise KeyError(name)
            else:
                values.append(field.absent)
        return table.record._make(values)  # type: ignore[attr-defined]

    return record


def _reader(record: str, documents: Documents) -> Parse[Any]:
    read = record_reader(documents)
    return reader_of(
        "elasticsearch",
        record,
        documents.table.fields,
        lambda found: read(found["_id"], found["_source"]),
        lambda found: f"{found['_id']} of {found['_index']}",
        lambda found: (found["_index"], found["_id"]),
    )


_delivery: Parse[Delivery] = _reader("delivery", DELIVERIES)
_hit: Parse[Hit] = _reader("hit", HITS)
_reject: Parse[Reject] = _reader("reject", REJECTS)


class ElasticsearchReads:
    """Reads through the indices' patterns, not the aliases: superseded deliveries can be asked for."""

    def __init__(self, searches: ElasticsearchSearches, names: IndexNames) -> None:
        self._searches = searches
        self.on_unreadable: OnUnreadable | None = None
        self._raw, self._reduced, self._rejects = (names.pattern(kind) for kind in ("raw", "reduced", "rejects"))

    async def keys_by_hash(self, key_hash: str) -> list[Key]:
        body = {
            "query": queries.of_hash(key_hash),
            "collapse": {"field": "key_id"},
            "size": _MOST_KEYS,
            "_source": _KEY_FIELDS,
        }
        found: set[Key] = set()
        for pattern in (self._reduced, self._raw):
            answer = await self._searches.search(pattern, body)
            found.update(key for one in answer["hits"]["hits"] if (key := _whole(one)))
        return sorted(found)

    async def keys_by_text_part(
        self, part: str, limit: int = 50, begin: str = "", most: int = SEARCHED_KEYS
    ) -> FoundKeys:
        """Among all; there is no rest. Parts of fields longer than 8,191 characters are not found: those have their hash."""
        if begin:
            raise ValueError("a search of Elasticsearch has no rest")
        newest: dict[Key, float] = {}
        for pattern, field in ((self._reduced, "last"), (self._raw, "time")):
            sort = [{field: {"order": "desc", "unmapped_type": "double"}}]
            collapse = {"collapse": {"field": "key_id"}, "size": min(limit, _MOST_AT_ONCE), "_source": _KEY_FIELDS}
            answer = await self._searches.search(
                pattern, {"query": queries.holding_text(part), "sort": sort, **collapse}
            )
            for one in answer["hits"]["hits"]:
                key = _whole(one)
                if key and part.lower() in key_text(*key).lower():
                    newest[key] = max(_number(one["sort"][0]), newest.get(key, float("-inf")))
        return FoundKeys(sorted(newest, key=newest.__getitem__, reverse=True)[:limit])

    async def deliveries_of(
        self, ip_address: str, user_agent: str, request: str, superseded: bool = False
    ) -> list[Delivery]:
        query = queries.of_key_and_visibility((ip_address, user_agent, request), superseded)
        found = [one async for one in self._walk(self._reduced, query, _delivery)]
        return sorted(found, key=lambda delivery: delivery.window_start, reverse=True)

    async def hits_of(
        self, ip_address: str | None, user_agent: str | None, request: str | None, limit: int = 1000
    ) -> tuple[list[Hit], int]:
        query = queries.of_key(ip_address, user_agent, request)
        body = {"query": query, "sort": _BY_TIME, "size": min(limit, _MOST_AT_ONCE), "track_total_hits": True}
        answer = (await self._searches.search(self._raw, body))["hits"]
        found, total = list(readable(_hit, answer["hits"])), answer["total"]["value"]
        if len(answer["hits"]) < min(limit, total):
            found = []
            async with aclosing(self._walk(self._raw, query, _hit, sort=_BY_TIME)) as hits:
                async for one in hits:
                    found.append(one)
                    if len(found) == limit:
                        break
        return sorted(found, key=place), total

    async def newest_deliveries(self, limit: int, verdict: str | None = None) -> list[Delivery]:
        sort = [{"last": {"order": "desc", "unmapped_type": "double"}}]
        body = {"query": queries.newest(verdict, superseded=False), "sort": sort, "size": min(limit, _MOST_AT_ONCE)}
        return list(readable(_delivery, (await self._searches.search(self._reduced, body))["hits"]["hits"]))

    async def counts(self) -> Totals:
        hits = (await self._searches.search(self._raw, {"size": 0, "track_total_hits": True}))["hits"]["total"]["value"]
        rejects = (await self._searches.search(self._rejects, queries.rejects_by_reason())).get("aggregations", {})
        deliveries = (await self._searches.search(self._reduced, queries.counting())).get("aggregations", {})
        counts = queries.counts_of(hits, rejects, deliveries)
        merged, covered, sent = counts.merged, counts.covered_bytes, counts.bytes_sent
        if deliveries.get("unsummed", {}).get("doc_count"):
            async for one in self._walk(self._reduced, queries.UNSUMMED, _delivery):
                if one.hits >= queries.FEW_HITS:
                    merged += one.hits
                if not is_summed(one):
                    covered += one.covered_bytes
                    sent += one.bytes_sent or 0
        return counts._replace(merged=merged, covered_bytes=covered, bytes_sent=sent)

    def all_deliveries(self, superseded: bool = False) -> AsyncIterator[Delivery]:
        return self._walk(self._reduced, queries.newest(None, superseded), _delivery)

    def all_hits(self) -> AsyncIterator[Hit]:
        return self._walk(self._raw, {"match_all": {}}, _hit)

    def all_rejects(self) -> AsyncIterator[Reject]:
        return self._walk(self._rejects, {"match_all": {}}, _reject)

    async def _walk(
        self, pattern: str, query: Mapping[str, Any], parse: Parse[Record], **more: Any
    ) -> AsyncGenerator[Record, None]:
        """Everything that is there when it begins, in slices; what is written meanwhile does not disturb."""
        body: dict[str, Any] = {"query": query, "size": SMALLEST_SLICE, **more}
        async with aclosing(self._searches.slices(pattern, body)) as slices:
            async for found in slices:
                for record in readable(parse, found, self.on_unreadable):
                    yield record
                largest = max(_chars(one["_source"]) for one in found)
                body["size"] = max(SMALLEST_SLICE, min(LARGEST_SLICE, 4 * body["size"], SLICE_CHARS // largest))


def _key_of(source: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    """The key of a hit's or a delivery's `_source`, of which only these fields may have been asked for."""
    record = json.loads(source["exact"]) if source.get("exact") else source
    ip_address, user_agent, request = map(record.get, KEY)
    return ip_address, user_agent, request


def _whole(found: Mapping[str, Any]) -> Key | None:
    """The key of a document, where it has all three parts."""
    ip_address, user_agent, request = _key_of(found["_source"])
    return None if ip_address is None or user_agent is None or request is None else (ip_address, user_agent, request)


def _number(value: Any) -> float:
    """A sort value; where there is none Elasticsearch writes an infinity as text."""
    return float(value) if isinstance(value, (int, float, str)) else float("-inf")


def _chars(source: Mapping[str, Any]) -> int:
    """About how large a document is."""
    many = 50 * (len(source.get("byte_ranges", ())) + len(source.get("missing", ())))
    texts = sum(len(value) for value in source.values() if isinstance(value, str))
    return 500 + many + texts
