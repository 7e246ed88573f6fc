"""Bulk requests, and what their answers mean. No network here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Generic, NamedTuple, TypeVar

from app.domain.fields import HIT
from app.domain.records import Delivery, Hit, Reject, newest_by
from app.stores.elasticsearch.documents import HITS, LONGEST, REJECTS, delivery_document
from app.stores.identities import given_id, with_start

__all__ = [
    "FILTER_PATH",
    "Item",
    "NamedDelivery",
    "Verdicts",
    "delivery_item",
    "hit_item",
    "item",
    "judge",
    "newest_of_each",
    "reject_item",
    "said",
    "versioned",
]

FILTER_PATH = "errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by"
_time_and_id = itemgetter(HIT.at["time"], HIT.at["raw_id"])
Record = TypeVar("Record")


class Item(NamedTuple, Generic[Record]):
    """One document on its way."""

    record: Record
    lines: bytes
    """Action and document, each with its newline."""


class Verdicts(NamedTuple, Generic[Record]):
    """What became of the items of one request; those not named were taken."""

    again: list[Item[Record]]
    """The server had no room, or a node failed: worth another try."""
    conflicts: list[Item[Record]]
    """It stands there already, in this version or a newer one."""
    lost: list[Item[Record]]
    """Their index is not there."""
    refused: list[tuple[Record, str]]
    """For good, with the server's reason."""
    blame: str
    """Why the server takes nothing more, whatever the record: empty where it does."""
    why_again: str


_RETRIED = frozenset({429, 500, 502, 503, 504})
_OF_THE_DOCUMENT = "fail_processor_exception"
"""An ingest pipeline of the server's operator refuses it, on purpose, with status 500."""
_OF_THE_INDEX = frozenset(
    {"index_closed_exception", "validation_exception", "invalid_index_name_exception", "unavailable_shards_exception"}
)
"""Refusals with status 400 that are no fault of the document: a closed index, too many shards in the cluster."""
_OF_WHAT_STANDS_THERE = (
    "no write index is defined",
    "pipeline with id [",
    "number of documents in the index cannot exceed",
)
"""How the server begins, or goes on, to say that an alias, a pipeline or an index takes no document at all."""
_MANY = 20
"""So many documents are not all at fault: if none of them is taken, somebody altered the index."""


def said(error: Mapping[str, Any] | str | None) -> str:
    """A server's error in one line: type, reason, and the innermost cause."""
    if not isinstance(error, Mapping):
        return str(error or "")[:500] or "no reason given"
    text = f"{error.get('type')}: {error.get('reason')}"
    cause = error.get("caused_by")
    while isinstance(cause, Mapping) and isinstance(cause.get("caused_by"), Mapping):
        cause = cause["caused_by"]
    return (f"{text} ({cause.get('reason')})" if isinstance(cause, Mapping) else text)[:1000]


def judge(items: Sequence[Item[Record]], answer: Mapping[str, Any]) -> Verdicts[Record]:
    """Sorts the items of a bulk request by what the server says of each."""
    verdicts = Verdicts[Record]([], [], [], [], "", "")
    if not answer["errors"]:
        return verdicts
    blame, why, at_fault = "", "", 0
    for one, told in zip(items, answer["items"], strict=True):
        (result,) = told.values()
        status, error = result["status"], result.get("error")
        if status < 300:
            continue
        kind = error.get("type", "") if isinstance(error, Mapping) else ""
        if status == 409:
            verdicts.conflicts.append(one)
        elif kind == _OF_THE_DOCUMENT:
            verdicts.refused.append((one.record, said(error)))
        elif status in _RETRIED or kind == "cluster_block_exception":
            verdicts.again.append(one)
            why = said(error)
        elif status == 404:
            verdicts.lost.append(one)
            why = said(error)
        elif (
            status in (401, 403)
            or kind in _OF_THE_INDEX
            or any(words in said(error) for words in _OF_WHAT_STANDS_THERE)
        ):
            blame = said(error)
        else:
            verdicts.refused.append((one.record, said(error)))
            at_fault += 1
    if at_fault == len(items) >= _MANY:
        blame = f"of {len(items)} documents it refuses all, the first because: {verdicts.refused[0][1]}"
        verdicts.refused.clear()
    return verdicts._replace(blame=blame, why_again=why)


def item(
    record: Record, action: str, index: str, name: str, document: bytes, *, more: str = ',"require_alias":true'
) -> Item[Record]:
    """`index` and `name` are written as they are, and so is `more` of the action."""
    line = f'{{"{action}":{{"_index":"{index}","_id":"{name}"{more}}}}}\n'
    return Item(record, line.encode() + document + b"\n")


def versioned(version: int, version_type: str) -> str:
    """`more` of an item that is written where it is newer (`external`), or not older (`external_gte`)."""
    return f',"version":{version},"version_type":"{version_type}","require_alias":true'


def hit_item(hit: Hit, index_of: Callable[[float], str], ingested_ms: int) -> Item[Hit]:
    """Created once, in the index of its day. Raises ValueError for a hit that cannot be kept."""
    document = HITS.json(hit, ingested_ms)
    time, raw_id = _time_and_id(hit)
    given_id(raw_id)
    return item(hit, "create", index_of(time), raw_id, document, more="")


def reject_item(reject: Reject, index: str, ingested_ms: int) -> Item[Reject]:
    """Created once. Raises ValueError for a reject that cannot be kept."""
    given_id(reject.raw_id)
    return item(reject, "create", index, reject.raw_id, REJECTS.json(reject, ingested_ms))


NamedDelivery = tuple[str, Delivery]
"""`_id` and record."""


def delivery_item(named: NamedDelivery, index: str, ingested_ms: int, version_type: str) -> Item[NamedDelivery]:
    """Of that version type. Raises ValueError for one that cannot be kept."""
    name, delivery = named
    if not 0 <= delivery.version <= LONGEST:
        raise ValueError(f"version {str(delivery.version)[:30]} is not within 0..2**63-1")
    document = delivery_document(delivery, ingested_ms)
    return item(named, "index", index, name, document, more=versioned(delivery.version, version_type))


def newest_of_each(deliveries: Sequence[Delivery], refused: list[tuple[Delivery, str]]) -> dict[str, Delivery]:
    """The highest version of each delivery of a batch, by `_id`; the first of equal ones."""
    named = with_start(deliveries, refused)
    return newest_by((each.id for each in named), named)
