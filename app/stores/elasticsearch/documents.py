"""Records as Elasticsearch documents, and back: nothing is refused, nothing is lost, whatever the log held. No network here.

A document's fields are what people search. Where a field can not hold the value (an integer beyond 64 bits, text that is no
valid Unicode, an infinite time) the field is left out or mended, and `exact` has the whole record as JSON text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from app.domain.records import Delivery, Hit, Reject, key_hash

__all__ = [
    "LONGEST",
    "SUM_SHIFT",
    "Range",
    "delivery_document",
    "delivery_of",
    "encode",
    "hit_document",
    "hit_of",
    "key_id",
    "key_of",
    "reject_document",
    "reject_of",
]

LONGEST = (1 << 63) - 1
SUM_SHIFT = 24
"""Sums are taken of the bits above and below this one: Elasticsearch adds in doubles, which are exact up to 2**53 only."""
_SUMMABLE = 1 << 53
_FIRST_DATE, _LAST_DATE = -62_135_596_800.0, 253_402_300_799.0
"""Years 1 to 9999."""


class Range(msgspec.Struct):
    """Both ends inclusive, as Elasticsearch's long_range has it."""

    gte: int
    lte: int


class Sums(msgspec.Struct):
    covered_high: int
    covered_low: int
    sent_high: int
    sent_low: int


class HitDocument(msgspec.Struct, omit_defaults=True, rename={"timestamp": "@timestamp"}):
    timestamp: int | None
    time: float | None
    ip_address: str | None
    user_agent: str | None
    request: str | None
    key_hash: str
    key_id: str
    method: str | None
    status: int | None
    lo: int | None
    hi: int | None
    bytes_sent: int | None
    total_bytes: int | None
    flags: int | None
    source: str | None
    position: int | None
    ingested: int
    exact: str | None = None


class RejectDocument(msgspec.Struct, omit_defaults=True, rename={"timestamp": "@timestamp"}):
    timestamp: int | None
    reason: str
    detail: str
    line: str
    source: str
    position: int | None
    time: float | None
    ingested: int
    exact: str | None = None


class DeliveryDocument(msgspec.Struct, omit_defaults=True, rename={"timestamp": "@timestamp"}):
    timestamp: int | None
    ip_address: str
    user_agent: str
    request: str
    key_hash: str
    key_id: str
    window_start: float | None
    first: float | None
    last: float | None
    byte_ranges: list[Range]
    missing: list[Range]
    covered_bytes: int | None
    total_bytes: int | None
    size_known: bool
    verdict: str
    evidence: str
    reason: str | None
    hits: int | None
    bytes_sent: int | None
    flags: list[str]
    hit_ids: list[str]
    final: bool
    version: int
    superseded: bool
    superseded_by: float | None
    ingested: int
    sums: Sums | None = None
    unsummed: bool = False
    exact: str | None = None


_encoder = msgspec.json.Encoder()


def encode(document: msgspec.Struct, record: Sequence[Any], *, fits: bool) -> bytes:
    """The document as JSON. `fits`: every number of the record has its place in the fields.

    Raises ValueError for what can not be written down at all.
    """
    if fits:
        try:
            return _encoder.encode(document)
        except UnicodeEncodeError:  # lone surrogates
            pass
    document.exact = _exact(record)  # type: ignore[attr-defined]
    for name in document.__struct_fields__:
        setattr(document, name, _mended(getattr(document, name)))
    return _encoder.encode(document)


def _exact(record: Sequence[Any]) -> str:
    try:
        return json.dumps(list(record))
    except ValueError:
        raise ValueError("an integer of more than 4,300 digits") from None


def _mended(value: Any) -> Any:
    """The value as far as a field of Elasticsearch can hold it."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mended(one) for one in value]
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if _fits(value) else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _fits(value: int | None) -> bool:
    return value is None or -LONGEST <= value <= LONGEST


def _checked_time(name: str, time: Any) -> bool:
    """Whether it is finite. Raises ValueError for what is no number."""
    if not isinstance(time, (int, float)) or time != time:
        raise ValueError(f"{name} is no number")
    return not math.isinf(time)


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
    lengths = [("-" if part is None else str(len(part))) for part in (ip_address, user_agent, request)]
    return hashed, f"{hashed}:{':'.join(lengths)}"


def hit_document(hit: Hit, ingested_ms: int) -> bytes:
    """Raises ValueError for a hit that can not be kept."""
    time, ip_address, user_agent, request, method, status, lo, hi, sent, total, flags, _, source, position = hit
    finite = _checked_time("time", time)
    if not isinstance(status, int):
        raise ValueError(f"status {status!r:.80} is no integer")
    hashed, name = key_id(ip_address, user_agent, request)
    document = HitDocument(
        _date(time), time, ip_address, user_agent, request, hashed, name, method, status, lo, hi, sent, total, flags, source, position,
        ingested_ms,
    )  # fmt: skip
    fits = finite and _fits(lo) and _fits(hi) and _fits(sent) and _fits(total) and _fits(position)
    return encode(document, hit, fits=fits)


def hit_of(raw_id: str, source: Mapping[str, Any]) -> Hit:
    """From `_id` and `_source`."""
    if exact := source.get("exact"):
        return Hit(*json.loads(exact))
    get = source.get
    return Hit(
        float(source["time"]),
        get("ip_address"),
        get("user_agent"),
        get("request"),
        get("method"),
        source["status"],
        get("lo"),
        get("hi"),
        get("bytes_sent"),
        get("total_bytes"),
        source["flags"],
        raw_id,
        source["source"],
        source["position"],
    )


def reject_document(reject: Reject, ingested_ms: int) -> bytes:
    """Raises ValueError for a reject that can not be kept."""
    reason, detail, line, _, source, position, time = reject
    finite = _checked_time("time", time)
    document = RejectDocument(_date(time), reason, detail, line, source, position, time, ingested_ms)
    return encode(document, reject, fits=finite and _fits(position))


def reject_of(raw_id: str, source: Mapping[str, Any]) -> Reject:
    """From `_id` and `_source`."""
    if exact := source.get("exact"):
        return Reject(*json.loads(exact))
    told = source["reason"], source["detail"], source["line"]
    return Reject(*told, raw_id, source["source"], source["position"], float(source["time"]))


def key_of(source: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    """The key of a hit's or a delivery's `_source`."""
    if exact := source.get("exact"):
        record = json.loads(exact)
        return tuple(record[1:4] if len(record) == len(Hit._fields) else record[:3])  # type: ignore[return-value]
    return source.get("ip_address"), source.get("user_agent"), source.get("request")


def _ranges(pairs: Sequence[Sequence[int]]) -> tuple[list[Range], bool]:
    """As long_range takes them, clipped to 64 bits, and whether that says it all."""
    kept = [Range(lo, hi if hi <= LONGEST else LONGEST) for lo, hi in pairs if lo <= hi and -LONGEST <= lo <= LONGEST]
    return kept, len(kept) == len(pairs) and all(hi <= LONGEST for _, hi in pairs)


def delivery_document(delivery: Delivery, ingested_ms: int) -> bytes:
    """Raises ValueError for a delivery that can not be kept."""
    d = delivery
    finite = [
        _checked_time(name, time)
        for name, time in (("window_start", d.window_start), ("first", d.first), ("last", d.last))
    ]
    finite.append(d.superseded_by is None or _checked_time("superseded_by", d.superseded_by))
    ranges, ranges_fit = _ranges(d.ranges)
    missing, missing_fit = _ranges(d.missing)
    hashed, name = key_id(d.ip_address, d.user_agent, d.request)
    document = DeliveryDocument(
        _date(d.last), d.ip_address, d.user_agent, d.request, hashed, name, d.window_start, d.first, d.last, ranges, missing,
        d.covered_bytes, d.total_bytes, d.size_known, d.verdict, d.evidence, d.reason, d.hits, d.bytes_sent, d.flags, d.hit_ids, d.final,
        d.version, d.superseded_by is not None, d.superseded_by, ingested_ms,
    )  # fmt: skip
    covered, sent = d.covered_bytes, d.bytes_sent or 0
    low = (1 << SUM_SHIFT) - 1
    if 0 <= covered < _SUMMABLE and 0 <= sent < _SUMMABLE:
        document.sums = Sums(covered >> SUM_SHIFT, covered & low, sent >> SUM_SHIFT, sent & low)
    else:
        document.unsummed = True
    fits = (
        all(finite)
        and ranges_fit
        and missing_fit
        and _fits(covered)
        and _fits(d.total_bytes)
        and _fits(d.hits)
        and _fits(d.bytes_sent)
    )
    return encode(document, delivery, fits=fits)


def delivery_of(source: Mapping[str, Any]) -> Delivery:
    """From `_source`."""
    if exact := source.get("exact"):
        return Delivery(*json.loads(exact))
    get = source.get
    superseded_by = get("superseded_by")
    return Delivery(
        source["ip_address"],
        source["user_agent"],
        source["request"],
        float(source["window_start"]),
        float(source["first"]),
        float(source["last"]),
        [[one["gte"], one["lte"]] for one in source["byte_ranges"]],
        [[one["gte"], one["lte"]] for one in source["missing"]],
        source["covered_bytes"],
        get("total_bytes"),
        source["size_known"],
        source["verdict"],
        source["evidence"],
        get("reason"),
        source["hits"],
        get("bytes_sent"),
        source["flags"],
        source["hit_ids"],
        source["final"],
        source["version"],
        None if superseded_by is None else float(superseded_by),
    )
