"""The fields of counted events and sums in Elasticsearch, derived from their kinds."""

from __future__ import annotations

import math
from typing import Any

from app.domain.counted import EventField
from app.flows.registry import EVENTS, LEDGERS

__all__ = ["mappings", "within"]

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


def within(field: str, begin: float, end: float) -> dict[str, Any]:
    """From inclusive, to exclusive; whole numbers for a field of integers."""
    if field == "start":
        begin, end = math.ceil(begin), math.ceil(end)
    return {"range": {field: {"gte": begin, "lt": end}}}
