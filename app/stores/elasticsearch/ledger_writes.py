"""Writing counted events to Elasticsearch: for each kind an index of events and one of sums, behind aliases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec

from app.domain.counted import CountedKind, EventField, EventKind, Sum
from app.domain.records import newest_by
from app.flows.registry import EVENTS, LEDGERS
from app.stores.elasticsearch.documents import Item, item, versioned
from app.stores.elasticsearch.writes import ElasticsearchWrites
from app.stores.ledger_contract import Named
from app.stores.refused import all_taken

__all__ = ["SUM_KEY", "ElasticsearchLedgerWrites", "ledger_mappings", "milliseconds"]

SUM_KEY = ("resolution", "group", "start", "partition", "share")
_encode = msgspec.json.Encoder().encode
_TYPES = {"text": "keyword", "integer": "long", "time": "double", "boolean": "boolean"}
_LONGEST_TERM = 8191
"""Characters: the server takes terms of 32,766 bytes."""
_TIME = {"type": "date", "format": "epoch_millis"}
_WHEN = {"@timestamp": _TIME | {"ignore_malformed": True}, "ingested": _TIME}
_SUM_TYPES = {"resolution": "keyword", "group": "keyword", "start": "long", "partition": "integer"} | dict.fromkeys(
    ("share", "events", "amount", "repeats"), "long"
)
Event = TypeVar("Event", bound=tuple[Any, ...])


def _name(*parts: object) -> str:
    """An `_id`: the server takes 512 bytes, and texts may be longer."""
    return blake2b(_encode(parts), digest_size=16).hexdigest()


def milliseconds(time: float) -> int:
    return math.floor(time * 1000)


def ledger_mappings() -> dict[str, dict[str, Any]]:
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


class ElasticsearchLedgerWrites:
    """The LedgerWrites protocol, on the connection of `writes`."""

    def __init__(self, writes: ElasticsearchWrites) -> None:
        self._connection, self._sender, self._schema = writes.connection, writes.sender, writes.schema
        self._prefix, self._may_write = writes.names.prefix, writes.may_write
        writes.beside.append(self._create)

    async def _create(self) -> None:
        """The missing indices; several workers may do it at once."""
        for index, fields in ledger_mappings().items():
            alias = self._prefix + index
            body = {
                # a deleted sum's version must not refuse the same sum written anew
                "settings": {"index": self._schema.settings | {"gc_deletes": "-1"}},
                "mappings": {"dynamic": False, "properties": fields},
                "aliases": {alias: {"is_write_index": True}},
            }
            await self._schema.ensure(alias, f"{alias}-1", body)

    async def write_events(self, kind: EventKind[Event], events: Sequence[Event]) -> list[tuple[Event, str]]:
        now = self._may_write()
        return (await self._sender.send(events, lambda each: self._event_item(kind, each, now))).refused

    def _event_item(self, kind: EventKind[Event], event: Event, now: int) -> Item[Event]:
        document = {field.name: value for field, value in zip(kind.fields, event, strict=True)}
        document |= {"@timestamp": milliseconds(kind.time_of(event)), "ingested": now}
        return item(event, "create", self._prefix + kind.events_table, _name(*kind.id_of(event)), _encode(document))

    async def write_sums(self, kind: CountedKind[Any], sums: Sequence[Sum]) -> list[tuple[Sum, str]]:
        """What is stored in this version or a newer one is a conflict, and done."""
        now = self._may_write()
        best = newest_by((each[:5] for each in sums), sums)
        return (await self._sender.send(best.values(), lambda each: self._sum_item(kind, each, now))).refused

    def _sum_item(self, kind: CountedKind[Any], each: Sum, now: int) -> Item[Sum]:
        document = dict(zip(Sum._fields, each, strict=True)) | {"@timestamp": each.start * 1000, "ingested": now}
        index, more = self._prefix + kind.sums_table, versioned(each.version, "external")
        return item(each, "index", index, _name(*each[:5]), _encode(document), more=more)

    async def put_names(self, kind: Named, names: Mapping[str, str]) -> None:
        self._may_write()
        index = f"{self._prefix}names"
        sent = await self._sender.send(
            names.items(),
            lambda row: item(
                row, "index", index, _name(kind, row[0]), _encode({"kind": kind, "id": row[0], "name": row[1]})
            ),
        )
        all_taken(sent.refused)
