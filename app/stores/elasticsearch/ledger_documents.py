"""The fields of counted events and sums in Elasticsearch, derived from their kinds, and removing documents by them."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from app.domain.counted import EventField
from app.errors import StoreError
from app.flows.registry import EVENTS, LEDGERS
from app.stores.elasticsearch.connection import ElasticsearchConnection

__all__ = ["mappings", "remove_copies", "within"]

_SLICE = 5000
_MENDED_AT_ONCE = 500
_TYPES = {"text": "keyword", "integer": "long", "time": "double", "boolean": "boolean"}
_LONGEST_TERM = 8191
"""Characters: the server takes terms of 32,766 bytes."""
_TIME = {"type": "date", "format": "epoch_millis"}
_WHEN = {"@timestamp": _TIME | {"ignore_malformed": True}, "ingested": _TIME}
_SUM_TYPES = {"resolution": "keyword", "group": "keyword", "start": "long", "partition": "integer"} | dict.fromkeys(
    ("share", "events", "amount", "repeats"), "long"
)


def mappings() -> dict[str, dict[str, Any]]:
    """Index, without prefix -> its fields."""
    found: dict[str, dict[str, Any]] = {}
    for kind in EVENTS:
        found[kind.events_table] = {field.name: _mapping(field) for field in kind.fields} | _WHEN
    for kind in LEDGERS:
        found[kind.sums_table] = {name: {"type": each} for name, each in _SUM_TYPES.items()} | _WHEN
    return found | {"names": {name: {"type": "keyword"} for name in ("kind", "id", "name")}}


def _mapping(field: EventField) -> dict[str, Any]:
    """A text without a limit is kept whole, and found if it is not too long for a term."""
    endless = {"ignore_above": _LONGEST_TERM} if field.kind == "text" and field.hi > _LONGEST_TERM else {}
    return {"type": _TYPES[field.kind]} | endless


async def remove_copies(
    connection: ElasticsearchConnection,
    search: Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]],
    fields: Sequence[str],
    keys: Sequence[tuple[Any, ...]],
) -> None:
    """All documents with these keys, whatever their `_id` is: a person may have written one under another."""
    unique = sorted(set(keys))
    for begin in range(0, len(unique), _MENDED_AT_ONCE):
        one_of = [
            {"bool": {"filter": [{"term": {field: value}} for field, value in zip(fields, key, strict=True)]}}
            for key in unique[begin : begin + _MENDED_AT_ONCE]
        ]
        query = {"bool": {"should": one_of, "minimum_should_match": 1}}
        body: dict[str, Any] = {"size": _SLICE, "_source": False, "query": query}
        while hits := (await search(body))["hits"]["hits"]:
            lines = [f'{{"delete":{{"_index":"{hit["_index"]}","_id":"{hit["_id"]}"}}}}\n' for hit in hits]
            status, answer = await connection.bulk("".join(lines).encode(), {"refresh": "true"})
            told = [result["delete"] for result in answer["items"]] if status < 300 else []
            if status >= 300 or any(one["status"] not in (200, 404) for one in told):
                raise StoreError(f"Elasticsearch at {connection.where} deletes nothing: {connection.reason(answer)}")


def within(field: str, begin: float, end: float) -> dict[str, Any]:
    """From inclusive, to exclusive; whole numbers for a field of integers."""
    if field == "start":
        begin, end = math.ceil(begin), math.ceil(end)
    return {"range": {field: {"gte": begin, "lt": end}}}
