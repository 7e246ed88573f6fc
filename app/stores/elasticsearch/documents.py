"""Records as Elasticsearch documents and the actions that write them (reads.py has the way back): nothing is refused, nothing is lost, whatever the log held. No network here.

A document's fields are what people search. Where a field cannot hold the value (an integer beyond 64 bits, text that is no
valid Unicode, an infinite time) the field is left out or mended, and `exact` has the whole record as a JSON object.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from app.domain.extras import EXTRAS
from app.domain.fields import DELIVERY, HIT, KEY, REJECT, Kind, Table
from app.domain.records import Delivery, Hit, Reject, key_hash, newest_by
from app.errors import UnknownStoreForm
from app.stores.identities import given_id, with_start

__all__ = [
    "DOCUMENTS",
    "FORM",
    "SUMS",
    "SUM_SHIFT",
    "Documents",
    "Item",
    "NamedDelivery",
    "delivery_document",
    "delivery_item",
    "hit_item",
    "is_summed",
    "item",
    "key_id",
    "newest_of_each",
    "refuse_form",
    "reject_item",
    "versioned",
]

FORM = 1
"""The form of indices, in `_meta` of their mapping, and of documents. A field more is no other form: it is added."""
LONGEST = (1 << 63) - 1
SUM_SHIFT = 24
"""Sums are taken of the bits above and below this one: Elasticsearch adds in doubles, which are exact up to 2**53 only."""
_SUMMABLE = 1 << 53
_time_and_id = itemgetter(HIT.at["time"], HIT.at["raw_id"])
Record = TypeVar("Record")
_FIRST_DATE, _LAST_DATE = -62_135_596_800.0, 253_402_300_799.0
"""Years 1 to 9999."""
SUMS = ("covered_high", "covered_low", "sent_high", "sent_low")
_Sums: Any = msgspec.defstruct("Sums", SUMS)
_encode = msgspec.json.Encoder().encode
_KEYWORD = {"type": "keyword", "ignore_above": 8191}
_EXTRA_NUMBERS = ("duration_s", "cmcd_bl", "cmcd_br", "cmcd_d", "cmcd_mtp", "cmcd_pr", "cmcd_tb")
_EXTRA_TYPES = {name: {"type": "double", "ignore_malformed": True} for name in _EXTRA_NUMBERS}
_TYPES: dict[Kind, dict[str, Any]] = {
    Kind.TEXT: _KEYWORD,
    **{kind: {"type": "long"} for kind in (Kind.INTEGER, Kind.SMALL, Kind.VERSION)},
    Kind.TIME: {"type": "double"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.RANGES: {"type": "long_range", "doc_values": False},
    Kind.WORDS: _KEYWORD,
    Kind.SHORT_IDS: {"type": "keyword", "index": False, "doc_values": False},
    Kind.TEXTS: {"properties": {name: _EXTRA_TYPES.get(name, _KEYWORD) for name in EXTRAS}},
}
_DATE = {"type": "date", "format": "epoch_millis"}
_MORE: dict[str, dict[str, Any]] = {
    "ip_address": {"fields": {"ip": {"type": "ip", "ignore_malformed": True}}},
    **{
        name: {"fields": {"date": {"type": "date", "format": "epoch_second", "ignore_malformed": True}}}
        for name in ("window_start", "first")
    },
}
"""What fields have beside what their kind says: networks, and dates beside numbers (`last` is `@timestamp`)."""
_BESIDE: dict[str, dict[str, Any]] = {
    "timestamp": {**_DATE, "ignore_malformed": True},
    "key_hash": {"type": "keyword"},
    "key_id": {"type": "keyword"},
    "superseded": {"type": "boolean"},
    "ingested": _DATE,
    "form": {"type": "short", "index": False, "doc_values": False},
    "sums": {"properties": {name: {"type": "long", "index": False} for name in SUMS}},
    "unsummed": {"type": "boolean"},
    "exact": {"type": "keyword", "index": False, "doc_values": False},
}
"""What documents have beside the fields of their records."""
_LEFT_OUT = {"sums": None, "unsummed": False, "exact": None}
"""What few documents have: elsewhere it is this, and not written."""
_RENAMED = {"timestamp": "@timestamp"}


def _refuse(told: str) -> None:
    raise ValueError(told)


def _fitting(table: Table) -> Callable[[Sequence[Any]], bool]:
    checks, bounds = [], []
    for field in table.fields:
        name, absent = field.name, f"{field.name} is None or " if field.optional else ""
        if field.kind is Kind.TIME:
            checks.append(
                f"{absent}isinstance({name}, (int, float)) and {name} == {name} or refuse('{name} is no number')"
            )
            bounds.append(f"({absent}least_time < {name} < most_time)")
        elif field.kind is Kind.SMALL:
            checks.append(f"{absent}isinstance({name}, int) or refuse(f'{name} {{{name}!r:.80}} is no integer')")
        elif field.kind in (Kind.INTEGER, Kind.VERSION):
            bounds.append(f"({absent}least <= {name} <= most)")
    lines = [*checks, f"return {' and '.join(bounds)}"]
    numbers: dict[str, Any] = {"least": -LONGEST, "most": LONGEST, "least_time": -math.inf, "most_time": math.inf}
    return table.written_out(lines, refuse=_refuse, **numbers)


class Documents:
    """One kind of documents: how they are made and mapped. The raw id of a record is the id of its document.

    `time`: the field that their time is searched by; `more`: what they have beside the fields, and beside what all have.
    """

    def __init__(self, table: Table, time: str, *more: str) -> None:
        self.table, self._time = table, table.at[time]
        self.fields = tuple(field for field in table.fields if field.kind is not Kind.RAW_ID)
        keyed = set(KEY) <= table.at.keys()
        self._key = table.picker(tuple(table[name] for name in KEY)) if keyed else None
        self.beside = ("timestamp", *(("key_hash", "key_id") if keyed else ()), "ingested", "form", *more, "exact")
        declared: list[Any] = [(field.column, Any) for field in self.fields]
        declared += [(name, Any, _LEFT_OUT.get(name, msgspec.NODEFAULT)) for name in self.beside]
        name = f"{table.record.__name__}Document"
        self._make: Any = msgspec.defstruct(name, declared, omit_defaults=True, rename=_RENAMED)
        self._values = table.picker(self.fields)
        self._fit = _fitting(table)

    def json(
        self, record: Any, ingested_ms: int, *more: Any, values: Sequence[Any] | None = None, fits: bool = True
    ) -> bytes:
        """The document of a record, with the values of `more`. Raises ValueError for a record that cannot be kept.

        `values` stand where the record's would, of which they say it all if it `fits`.
        """
        fits = self._fit(record) and fits
        named = key_id(*self._key(record)) if self._key else ()
        values = self._values(record) if values is None else values
        document = self._make(*values, _date(record[self._time]), *named, ingested_ms, FORM, *more)
        if fits:
            try:
                return _encode(document)
            except UnicodeEncodeError:  # lone surrogates
                pass
        try:
            document.exact = json.dumps(dict(zip(self.table.at, record, strict=True)))
        except ValueError:
            raise ValueError("an integer of more than 4,300 digits") from None
        for name in document.__struct_fields__:
            setattr(document, name, _mended(getattr(document, name)))
        return _encode(document)

    def mapping(self) -> dict[str, Any]:
        """The mapping of their index, with the form of what is in it."""
        properties = {field.column: {**_TYPES[field.kind], **_MORE.get(field.name, {})} for field in self.fields}
        properties |= {_RENAMED.get(name, name): _BESIDE[name] for name in self.beside}
        return {"dynamic": False, "_meta": {"form": FORM}, "properties": properties}


def refuse_form(raw_id: str, source: Mapping[str, Any]) -> None:
    """Raises UnknownStoreForm for a document, from `_id` and `_source`, that this program does not know."""
    if source.get("form") != FORM:
        raise UnknownStoreForm(f"the document {raw_id} of Elasticsearch", source.get("form"), FORM)


HITS, REJECTS = Documents(HIT, "time"), Documents(REJECT, "time")
DELIVERIES = Documents(DELIVERY, "last", "superseded", "sums", "unsummed")
DOCUMENTS = {"raw": HITS, "reduced": DELIVERIES, "rejects": REJECTS}
"""By the kind of index."""


def _mended(value: Any) -> Any:
    """The value as far as a field of Elasticsearch can hold it."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mended(one) for one in value]
    if isinstance(value, dict):
        return {name: _mended(one) for name, one in value.items()}
    if isinstance(value, int):
        return value if -LONGEST <= value <= LONGEST else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _date(time: float) -> int | None:
    """Milliseconds, or None outside of the calendar."""
    return round(time * 1000) if _FIRST_DATE <= time <= _LAST_DATE else None


def key_id(ip_address: str | None, user_agent: str | None, request: str | None) -> tuple[str, str]:
    """(key_hash, key_id): the hash of the joined text, which `-k` asks for, and the same with where its parts end.

    >>> key_id("10.0.0.1", "curl/8", "GET /a")
    ('870741b7af200f9bad78c32ce7d0403c', '870741b7af200f9bad78c32ce7d0403c:8:6:6')
    >>> key_id("10.0.0.1", None, "")[1][-7:]
    'd:8:-:0'
    """
    hashed = key_hash(f"{ip_address or ''}_{user_agent or ''}_{request or ''}")
    lengths = ["-" if part is None else str(len(part)) for part in (ip_address, user_agent, request)]
    return hashed, f"{hashed}:{':'.join(lengths)}"


_RANGES = tuple(at for at, field in enumerate(DELIVERIES.fields) if field.kind is Kind.RANGES)


def _ranges(pairs: Sequence[Sequence[int]]) -> tuple[list[dict[str, int]], bool]:
    """As long_range takes them, clipped to 64 bits, and whether that says it all."""
    kept = [
        {"gte": lo, "lte": hi if hi <= LONGEST else LONGEST}
        for lo, hi in pairs
        if lo <= hi and -LONGEST <= lo <= LONGEST
    ]
    return kept, len(kept) == len(pairs) and all(hi <= LONGEST for _, hi in pairs)


def is_summed(delivery: Delivery) -> bool:
    """Whether Elasticsearch can sum its bytes."""
    return 0 <= delivery.covered_bytes < _SUMMABLE and 0 <= (delivery.bytes_sent or 0) < _SUMMABLE


def delivery_document(delivery: Delivery, ingested_ms: int) -> bytes:
    """Raises ValueError for a delivery that cannot be kept."""
    values: list[Any] = list(delivery)
    fits, sums = True, None
    for at in _RANGES:
        values[at], whole = _ranges(values[at])
        fits = fits and whole
    if is_summed(delivery):
        covered, sent, low = delivery.covered_bytes, delivery.bytes_sent or 0, (1 << SUM_SHIFT) - 1
        sums = _Sums(covered >> SUM_SHIFT, covered & low, sent >> SUM_SHIFT, sent & low)
    more = delivery.superseded_by is not None, sums, sums is None
    return DELIVERIES.json(delivery, ingested_ms, *more, values=values, fits=fits)


class Item(NamedTuple, Generic[Record]):
    """One document on its way."""

    record: Record
    lines: bytes
    """Action and document, each with its newline."""


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
