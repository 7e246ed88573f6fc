"""Counted events in Elasticsearch: for each kind an index of events and one of sums, behind aliases."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from app.domain.counted import CountedKind, EventKind, Sum
from app.domain.windows import DAY_S
from app.flows.registry import EVENTS, LEDGERS
from app.stores.elasticsearch.ledger_writes import SUM_KEY, ElasticsearchLedgerWrites, ledger_mappings, milliseconds
from app.stores.elasticsearch.mending import mend
from app.stores.elasticsearch.queries import events_of, sums_of
from app.stores.elasticsearch.searches import ElasticsearchSearches
from app.stores.elasticsearch.writes import ElasticsearchWrites
from app.stores.ledger_contract import SHORT_DAYS, Named, Top
from app.stores.readable import OnUnreadable, readable

__all__ = ["ElasticsearchLedgers"]

_SLICE = 5000
_GROUPS = 5000
_MENDED_AT_ONCE = 500
Event = TypeVar("Event", bound=tuple[Any, ...])


def _within(field: str, begin: float, end: float) -> dict[str, Any]:
    """From inclusive, to exclusive; whole numbers for a field of integers."""
    if field == "start":
        begin, end = math.ceil(begin), math.ceil(end)
    return {"range": {field: {"gte": begin, "lt": end}}}


class ElasticsearchLedgers(ElasticsearchLedgerWrites):
    """The Ledgers protocol. Every read refreshes first: it sees all that was acknowledged."""

    def __init__(self, writes: ElasticsearchWrites, searches: ElasticsearchSearches) -> None:
        super().__init__(writes)
        self._searches = searches
        self.on_unreadable: OnUnreadable | None = None

    async def drop(self) -> None:
        """The next write makes the indices again."""
        await self._remove([index for index in ledger_mappings() if index != "names"])

    async def remove(self) -> None:
        """All indices, that of the candidates and users among them."""
        await self._remove(list(ledger_mappings()))

    async def _remove(self, indices: Sequence[str]) -> None:
        for index in indices:
            await self._connection.call("DELETE", f"/{self._prefix}{index}-1", doing="drop indices of", ignore=(404,))

    # -- reads

    async def sums(
        self, kind: CountedKind[Any], group: str | None, resolution: str, begin: float, end: float
    ) -> list[Sum]:
        filters: list[dict[str, Any]] = [{"term": {"resolution": resolution}}, _within("start", begin, end)]
        if kind.resolution[resolution].within:
            filters.append({"prefix": {"group": f"{group}/"}})
        elif group is not None:
            filters.append({"term": {"group": group}})
        return list(map(sums_of(kind), await self._found(kind.sums_table, filters, SUM_KEY)))

    async def events(self, kind: EventKind[Event], group: str, begin: float, end: float, limit: int) -> list[Event]:
        filters = [{"term": {kind.group_field: group}}, _within("time", begin, end)]
        order = ("time", *(name for name in kind.id_fields if name != kind.group_field))
        return list(map(events_of(kind), await self._found(kind.events_table, filters, order, limit)))

    async def spent(self, kind: CountedKind[Any], group: str, begin: float, end: float) -> tuple[int, int]:
        filters = [{"term": {kind.group_field: group}}, _within("time", begin, end)]
        body = {
            "size": 0,
            "track_total_hits": True,
            "query": {"bool": {"filter": filters}},
            "aggs": {"amount": {"sum": {"field": kind.amount_field}}},
        }
        answer = await self._searches.search(self._prefix + kind.events_table, body)
        amount = answer.get("aggregations", {}).get("amount", {}).get("value", 0)
        return round(amount), answer["hits"]["total"]["value"]

    async def top(self, kind: CountedKind[Any], limit: int) -> list[Top]:
        """Goes through all groups: the best of each shard need not be the best of all."""
        sums = {"amount": {"sum": {"field": "amount"}}, "count": {"sum": {"field": "events"}}}
        composite: dict[str, Any] = {"size": _GROUPS, "sources": [{"group": {"terms": {"field": "group"}}}]}
        query = {"bool": {"filter": [{"term": {"resolution": "total"}}]}}
        best: list[Top] = []
        await self._searches.refresh(self._prefix + kind.sums_table)
        while True:
            body = {"size": 0, "query": query, "aggs": {"groups": {"composite": composite, "aggs": sums}}}
            answer = await self._searches.search(self._prefix + kind.sums_table, body, refresh=False)
            groups = answer.get("aggregations", {}).get("groups", {})
            found = [
                Top(row["key"]["group"], round(row["amount"]["value"]), round(row["count"]["value"]))
                for row in groups.get("buckets", ())
            ]
            best = sorted(
                [*best, *(each for each in found if each.events)], key=lambda each: (-each.amount, each.group)
            )[:limit]
            if "after_key" not in groups:
                return best
            composite["after"] = groups["after_key"]

    async def names(self, kind: Named) -> dict[str, str]:
        return {
            each["_source"]["id"]: each["_source"]["name"]
            for each in await self._found("names", [{"term": {"kind": kind}}], ("id",))
        }

    def all_events(self, kind: EventKind[Event]) -> AsyncIterator[Event]:
        return self._told(events_of(kind), kind.events_table)

    def all_sums(self, kind: CountedKind[Any]) -> AsyncIterator[Sum]:
        return self._told(sums_of(kind), kind.sums_table)

    async def _told(self, read: Callable[[Mapping[str, Any]], Event], index: str) -> AsyncIterator[Event]:
        """Of every document, also those that differ in their `_id` alone."""
        async with aclosing(self._searches.slices(self._prefix + index, {"size": _SLICE})) as slices:
            async for some in slices:
                for found in readable(read, some, self.on_unreadable):
                    yield found

    async def _found(
        self, index: str, filters: list[dict[str, Any]], order: Sequence[str], limit: int | None = None
    ) -> list[dict[str, Any]]:
        """In the order of these fields, which together are unique."""
        body = {
            "size": _SLICE if limit is None else min(_SLICE, limit),
            "query": {"bool": {"filter": filters}},
            "sort": [{field: "asc"} for field in order],
        }
        found: list[dict[str, Any]] = []
        async for some in self._searches.slices(self._prefix + index, body, frozen=False):
            found += some
            if limit is not None and len(found) >= limit:
                break
        return found[:limit]

    # -- mending

    async def mend_events(self, kind: EventKind[Event], events: Sequence[Event]) -> None:
        now = self._may_write()
        await self.remove_events(kind, events)
        await mend(self._sender, events, lambda each: self._event_item(kind, each, now))

    async def mend_sums(self, kind: CountedKind[Any], sums: Sequence[Sum]) -> None:
        now = self._may_write()
        await self.remove_sums(kind, sums)
        await mend(self._sender, sums, lambda each: self._sum_item(kind, each, now))

    async def remove_events(self, kind: EventKind[Event], events: Sequence[Event]) -> None:
        await self._remove_copies(kind.events_table, kind.id_fields, list(map(kind.id_of, events)))

    async def remove_sums(self, kind: CountedKind[Any], sums: Sequence[Sum]) -> None:
        await self._remove_copies(kind.sums_table, SUM_KEY, [each[:5] for each in sums])

    async def _remove_copies(self, index: str, fields: Sequence[str], keys: Sequence[tuple[Any, ...]]) -> None:
        """All documents with these keys, whatever their `_id` is: a person may have written one under another."""
        self._may_write()
        unique = sorted(set(keys))
        for begin in range(0, len(unique), _MENDED_AT_ONCE):
            one_of = [
                {"bool": {"filter": [{"term": {field: value}} for field, value in zip(fields, key, strict=True)]}}
                for key in unique[begin : begin + _MENDED_AT_ONCE]
            ]
            query = {"bool": {"should": one_of, "minimum_should_match": 1}}
            await self._searches.delete_found(self._prefix + index, query, "mend")

    # -- retention

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        before = {
            "raw": now - raw_days * DAY_S,
            "reduced": now - reduced_days * DAY_S,
            "short": now - SHORT_DAYS * DAY_S,
        }
        gone = {"raw": 0, "reduced": 0, "short": 0}
        for kind in EVENTS:
            gone[kind.keeps_events] += await self._delete(kind.events_table, [], before[kind.keeps_events])
        for kind in LEDGERS:
            for keeps in ("short", "reduced"):
                named = {"terms": {"resolution": [each.name for each in kind.resolutions if each.keeps == keeps]}}
                gone[keeps] += await self._delete(kind.sums_table, [named], before[keeps])
        return gone["raw"], gone["reduced"] + gone["short"]

    async def _delete(self, index: str, filters: list[dict[str, Any]], before: float) -> int:
        query = {"bool": {"filter": [*filters, {"range": {"ingested": {"lt": milliseconds(before)}}}]}}
        return await self._searches.delete_found(self._prefix + index, query)
