"""Searches as Elasticsearch writes them. No network here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from app.domain.counted import CountedKind, EventKind, Sum
from app.domain.totals import Judged, Totals
from app.stores.contract import Key
from app.stores.elasticsearch.documents import SUM_SHIFT, SUMS, key_id
from app.stores.elasticsearch.schema import VISIBLE
from app.stores.readable import event_reader, sum_reader

__all__ = [
    "FEW_HITS",
    "SEARCHED_CHARS",
    "UNSUMMED",
    "counting",
    "counts_of",
    "events_of",
    "holding_text",
    "newest",
    "of_hash",
    "of_key",
    "of_key_and_visibility",
    "rejects_by_reason",
    "sums_of",
]

SEARCHED_CHARS = 200
"""So much of a longer part is searched for; the rest is compared afterwards."""
Event = TypeVar("Event", bound=tuple[Any, ...])
_MOST_CUTS = 12
_MOST_NAMES = 10_000
FEW_HITS = 1 << 31
"""Fewer hits than this are summed by Elasticsearch."""
_HAS_FEW = {"range": {"hits": {"lt": FEW_HITS}}}
_UNSUMMED = {"bool": {"should": [{"term": {"unsummed": True}}, {"bool": {"must_not": [_HAS_FEW]}}]}}
UNSUMMED: dict[str, Any] = {"bool": {"filter": [_UNSUMMED, VISIBLE]}}
"""Deliveries whose bytes or hits are too many for sums of doubles."""


def of_key(ip_address: str | None, user_agent: str | None, request: str | None) -> dict[str, Any]:
    """Records of one key, whatever is in it and however long it is."""
    return {"term": {"key_id": key_id(ip_address, user_agent, request)[1]}}


def of_key_and_visibility(key: Key, superseded: bool) -> dict[str, Any]:
    return {"bool": {"filter": [of_key(*key)] if superseded else [of_key(*key), VISIBLE]}}


def newest(verdict: str | None, superseded: bool) -> dict[str, Any]:
    filters = [] if superseded else [VISIBLE]
    if verdict is not None:
        filters.append({"term": {"verdict": verdict}})
    return {"bool": {"filter": filters}}


def of_hash(hashed: str) -> dict[str, Any]:
    return {"term": {"key_hash": hashed}}


def _wildcard(field: str, pattern: str) -> dict[str, Any]:
    return {"wildcard": {field: {"value": pattern, "case_insensitive": True}}}


def _literal(text: str) -> str:
    """The text within a wildcard pattern; what is no valid Unicode stands there as one character or another."""
    return "".join("?" if "\ud800" <= char <= "\udfff" else "\\" + char if char in "*?\\" else char for char in text)


def holding_text(part: str) -> dict[str, Any]:
    """Records whose joined key has `part` in it: within a field, or across the `_` between fields.

    A part of more than SEARCHED_CHARS characters is cut: compare again what is found.
    """
    part = part[:SEARCHED_CHARS]
    return {"bool": {"filter": [{"bool": {"should": list(_ways(part)), "minimum_should_match": 1}}]}}


def _ways(part: str) -> Iterator[dict[str, Any]]:
    for field in ("ip_address", "user_agent", "request"):
        yield _wildcard(field, f"*{_literal(part)}*")
    cuts = [at for at, char in enumerate(part) if char == "_"]
    cuts = cuts[: _MOST_CUTS // 2] + cuts[-(_MOST_CUTS // 2) :] if len(cuts) > _MOST_CUTS else cuts
    for at in cuts:
        before, after = _literal(part[:at]), _literal(part[at + 1 :])
        yield {"bool": {"filter": [_wildcard("ip_address", f"*{before}"), _wildcard("user_agent", f"{after}*")]}}
        yield {"bool": {"filter": [_wildcard("user_agent", f"*{before}"), _wildcard("request", f"{after}*")]}}
        for end in cuts:
            if end > at:
                ends = [_wildcard("ip_address", f"*{before}"), _wildcard("user_agent", _literal(part[at + 1 : end]))]
                yield {"bool": {"filter": [*ends, _wildcard("request", f"{_literal(part[end + 1 :])}*")]}}


def rejects_by_reason() -> dict[str, Any]:
    return {"size": 0, "aggs": {"reasons": {"terms": {"field": "reason", "size": _MOST_NAMES}}}}


def counting() -> dict[str, Any]:
    """Visible deliveries by verdict, reason and evidence, with the sum of their hits, and of their bytes in two halves."""
    sums = {name: {"sum": {"field": f"sums.{name}"}} for name in SUMS}
    evidence = {"terms": {"field": "evidence", "missing": "", "size": 1000}}
    reasons = {"terms": {"field": "reason", "missing": "", "size": 1000}, "aggs": {"evidence": evidence}}
    verdicts = {"terms": {"field": "verdict", "size": 1000}, "aggs": {"reasons": reasons}}
    merged = {"filter": _HAS_FEW, "aggs": {"hits": {"sum": {"field": "hits"}}}}
    return {
        "size": 0,
        "query": {"bool": {"filter": [VISIBLE]}},
        "aggs": {"verdicts": verdicts, "unsummed": {"filter": _UNSUMMED}, "merged": merged, **sums},
    }


def counts_of(hits: int, rejects: Mapping[str, Any], deliveries: Mapping[str, Any]) -> Totals:
    """From the number of hits and the answers to the two searches above; without what is UNSUMMED."""
    by_reject = {bucket["key"]: bucket["doc_count"] for bucket in rejects.get("reasons", {}).get("buckets", ())}
    judged: dict[Judged, int] = {}
    for verdict in deliveries.get("verdicts", {}).get("buckets", ()):
        for reason in verdict["reasons"]["buckets"]:
            for evidence in reason["evidence"]["buckets"]:
                judged[verdict["key"], reason["key"] or None, evidence["key"]] = evidence["doc_count"]
    merged = int(deliveries["merged"]["hits"]["value"]) if "merged" in deliveries else 0
    sums = [int(deliveries[name]["value"]) if name in deliveries else 0 for name in SUMS]
    covered, sent = ((sums[at] << SUM_SHIFT) + sums[at + 1] for at in (0, 2))
    return Totals(hits, by_reject, judged, merged, covered, sent)


def sums_of(kind: CountedKind[Any]) -> Callable[[Mapping[str, Any]], Sum]:
    """Reads the sums of a kind from what a search gives."""
    read = lambda hit: Sum(*map(hit["_source"].__getitem__, Sum._fields))  # noqa: E731
    return sum_reader("elasticsearch", kind, read, _place_of)


def events_of(kind: EventKind[Event]) -> Callable[[Mapping[str, Any]], Event]:
    """Reads the events of a kind from what a search gives."""
    make = kind.event._make  # type: ignore[attr-defined]
    read = lambda hit: make(hit["_source"][one.name] for one in kind.fields)  # noqa: E731
    return event_reader("elasticsearch", kind, read, _place_of)


def _place_of(hit: Mapping[str, Any]) -> object:
    return hit["_index"], hit["_id"]
