"""The record of the usage log: its fields, its canonical bytes, its checksum.

A call makes two records, `request` and `response`. The other kinds tell of the producer itself, and take numbers of the same sequence:
so a lost one is named, too. One producer is one start of one process: see `producer_of`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from math import isfinite
from typing import Any, NamedTuple

from app.domain.fields import Field, Kind, Table

__all__ = [
    "ANONYMOUS",
    "DROPPED",
    "HEARTBEAT",
    "KINDS",
    "MAX_USAGE_MESSAGE_BYTES",
    "OUTCOMES",
    "REQUEST",
    "RESPONSE",
    "START",
    "STOP",
    "USAGE",
    "Producer",
    "UsageRecord",
    "canonical",
    "fault_of",
    "fields_of",
    "is_for_stores",
    "is_intact",
    "is_unicode",
    "producer_of",
    "record_of",
    "sealed",
    "sealed_json",
    "user_key",
]

MAX_USAGE_MESSAGE_BYTES = 900_000
"""Of a record, and of several in one message: Kafka takes 1 MB, and one that it refuses would hold up all that are spooled behind it."""
REQUEST, RESPONSE, START, STOP, HEARTBEAT, DROPPED = "request", "response", "start", "stop", "heartbeat", "dropped"
KINDS = (REQUEST, RESPONSE, START, STOP, HEARTBEAT, DROPPED)
"""A closed set."""
OUTCOMES = ("done", "exception", "client_gone", "timed_out", "cancelled")
"""How a call ended; a closed set. A status of 500 that the service chose to send is `done`."""
ANONYMOUS = "anonymous"
"""The user of a call that names none: told apart by address."""


class UsageRecord(NamedTuple):
    """One record of one producer."""

    kind: str
    service: str
    machine: str
    start_id: str
    seq: int
    time: float
    process: int
    instance: str
    cluster: str | None = None
    region: str | None = None
    user_id: str | None = None
    address: str | None = None
    trace_id: str | None = None
    method: str | None = None
    uri: str | None = None
    monitored: bool = False
    request_seq: int | None = None
    status: int | None = None
    outcome: str | None = None
    detail: str | None = None
    duration_us: int | None = None
    request_bytes: int | None = None
    response_bytes: int | None = None
    body: str | None = None
    first_seq: int | None = None
    last_seq: int | None = None
    dropped: int | None = None
    spooled: int | None = None
    memory_records: int | None = None
    sha256: str = ""


class Producer(NamedTuple):
    """What every record of one start of a process says of it."""

    service: str
    machine: str
    start_id: str
    process: int
    instance: str
    cluster: str | None
    region: str | None

    def record(
        self, kind: str, seq: int, time: float, fields: tuple[Any, ...], more: tuple[Any, ...] = ()
    ) -> UsageRecord:
        """`fields` and `more`: those behind `region`, in order; what is missing at the end is empty."""
        service, machine, start_id, process, instance, cluster, region = self
        own = (kind, service, machine, start_id, seq, time, process, instance, cluster, region)
        return UsageRecord(*own, *fields, *more)


def fields_of(**fields: Any) -> tuple[Any, ...]:
    """Of any record, by names, for Producer.record. Raises TypeError for a name that is none of them."""
    return UsageRecord("", "", "", "", 0, 0.0, 0, "", None, None, **fields)[_OWN:]


_OWN = UsageRecord._fields.index("user_id")

USAGE = Table(
    UsageRecord,
    Field(
        "kind",
        Kind.TEXT,
        "`request` and `response` of a call; of the producer: `start`, `stop` at an ordered end, `heartbeat`, `dropped`",
    ),
    Field("service", Kind.TEXT, "name of the service; with `machine` and `start_id` it names the producer"),
    Field("machine", Kind.TEXT, "name of the machine"),
    Field("start_id", Kind.TEXT, "32 hex digits, new at each start of a process and after each fork"),
    Field("seq", Kind.INTEGER, "number of the record: from 1, without holes, given when the record is made"),
    Field("time", Kind.TIME, "when it was made, by the clock of the machine", "UTC seconds since 1970"),
    Field("process", Kind.INTEGER, "id of the process"),
    Field("instance", Kind.TEXT, "name of the instance, or empty"),
    Field("cluster", Kind.TEXT, "name of the cluster", optional=True),
    Field("region", Kind.TEXT, "name of the region", optional=True),
    Field("user_id", Kind.TEXT, "who called; `anonymous` if the call names nobody", optional=True),
    Field("address", Kind.TEXT, "address of the client", optional=True),
    Field("trace_id", Kind.TEXT, "32 hex digits from the head `traceparent`", optional=True),
    Field("method", Kind.TEXT, "method of the request; `CALL` for a function", optional=True),
    Field("uri", Kind.TEXT, "path and query, secrets masked; the name of a function", optional=True),
    Field("monitored", Kind.BOOLEAN, "it goes to the stores at once"),
    Field("request_seq", Kind.INTEGER, "of a response: the `seq` of its request", optional=True),
    Field("status", Kind.SMALL, "of a response: the status sent; null if none was", optional=True),
    Field(
        "outcome",
        Kind.TEXT,
        "of a response: `done`, `exception`, `client_gone`, `timed_out` or `cancelled`",
        optional=True,
    ),
    Field("detail", Kind.TEXT, "of a response: the class of the exception; of `dropped`: the reason", optional=True),
    Field("duration_us", Kind.INTEGER, "of a response: time since its request", "microseconds", optional=True),
    Field("request_bytes", Kind.INTEGER, "of a response: bytes of the body that were received", "bytes", optional=True),
    Field("response_bytes", Kind.INTEGER, "of a response: bytes of the body that were sent", "bytes", optional=True),
    Field(
        "body", Kind.TEXT, "of a response: the body of its request, masked and cut, if it is asked for", optional=True
    ),
    Field("first_seq", Kind.INTEGER, "of `dropped`: the first number that was dropped", optional=True),
    Field(
        "last_seq",
        Kind.INTEGER,
        "of `dropped`: the last number that was dropped; of `heartbeat`: the last number that was given",
        optional=True,
    ),
    Field("dropped", Kind.INTEGER, "of `heartbeat` and `stop`: records dropped since the start", optional=True),
    Field("spooled", Kind.INTEGER, "of `heartbeat`: records that wait in the spool", optional=True),
    Field(
        "memory_records",
        Kind.INTEGER,
        "of `start` and `heartbeat`: how many records a kill can take with it at most",
        optional=True,
    ),
    Field("sha256", Kind.TEXT, "64 hex digits: the checksum of the record's canonical bytes"),
)
"""`sha256` is the last: it covers all before it."""

_CLOSED = {"kind": KINDS, "outcome": OUTCOMES}
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode


def canonical(record: UsageRecord) -> bytes:
    """The bytes that the checksum covers: a JSON array of all fields but `sha256`, in order, in ASCII, without blanks.

    Raises ValueError for a time that is no number.
    """
    return _encode(record[:-1]).encode("ascii")


def sealed(record: UsageRecord) -> UsageRecord:
    """The record with its checksum.

    >>> is_intact(sealed(UsageRecord("start", "shop", "m1", "0" * 32, 1, 0.5, 7, "")))
    True
    """
    return record._replace(sha256=sha256(canonical(record)).hexdigest())


def sealed_json(record: UsageRecord) -> bytes:
    """The sealed record as a JSON array, in ASCII: the canonical bytes with the checksum at the end.

    >>> record = UsageRecord("start", "shop", "m1", "0" * 32, 1, 0.5, 7, "")
    >>> sealed_json(record) == _encode(sealed(record)).encode()
    True
    """
    text = canonical(record)
    return b'%b,"%b"]' % (text[:-1], sha256(text).hexdigest().encode())


def is_intact(record: UsageRecord) -> bool:
    """Whether the checksum is that of the record."""
    try:
        return sha256(canonical(record)).hexdigest() == record.sha256
    except ValueError:
        return False


def producer_of(record: UsageRecord) -> str:
    """The name of the producer.

    >>> producer_of(UsageRecord("start", "shop", "m1", "ab", 1, 0.5, 7, ""))
    'shop@m1/ab'
    """
    return f"{record.service}@{record.machine}/{record.start_id}"


def is_for_stores(record: UsageRecord) -> bool:
    """Whether it goes to the stores at once: it is monitored, somebody's, and its texts are Unicode.

    >>> is_for_stores(UsageRecord("request", "shop", "m1", "ab", 2, 0.5, 7, "", user_id="u1", monitored=True))
    True
    """
    return record.monitored and record.user_id is not None and is_unicode(record)


def is_unicode(record: UsageRecord) -> bool:
    """Whether no text of it has half a surrogate pair."""
    try:
        "".join([value for value in record if isinstance(value, str)]).encode()
    except UnicodeEncodeError:
        return False
    return True


def user_key(record: UsageRecord) -> str:
    """Whose records keep their order: the user's, an anonymous one's by address, the producer's own.

    >>> user_key(UsageRecord("request", "shop", "m1", "ab", 2, 0.5, 7, "", user_id="anonymous", address="10.0.0.1"))
    'anonymous 10.0.0.1'
    """
    if record.user_id is None:
        return producer_of(record)
    return f"{ANONYMOUS} {record.address}" if record.user_id == ANONYMOUS else record.user_id


def record_of(row: object, form: int = USAGE.form) -> UsageRecord:
    """The record in a list of its fields, as a message or a file holds it. Raises ValueError that says what is wrong with which field."""
    length, read = _reader(form)
    if not isinstance(row, list | tuple) or len(row) != length:
        raise ValueError(f"a record of form {form} is a list of {length} fields")
    record = read(row)
    if wrong := fault_of(record):
        raise ValueError(wrong)
    return record


@cache
def _reader(form: int) -> tuple[int, Callable[[Sequence[Any]], UsageRecord]]:
    """How many fields a record of the form has, and what makes it of them."""
    return len(USAGE.of_form(form)), USAGE.reader(form)


_TYPES_KEPT = 1000
_good_types: set[tuple[type, ...]] = set()
"""Types of records that were found right: only values that are right or wrong by themselves are looked at again."""
_BY_VALUE = tuple(
    (at, field)
    for at, field in enumerate(USAGE.fields)
    if field.kind in (Kind.SMALL, Kind.TIME) or field.name in _CLOSED
)


def fault_of(record: UsageRecord) -> str:
    """What is wrong with the types of a record, a clause; empty for a good one."""
    types = tuple(map(type, record))
    is_known = types in _good_types
    for at, field in _BY_VALUE if is_known else enumerate(USAGE.fields):
        value = record[at]
        if value is None and field.optional:
            continue
        if not _fits(field, value):
            return f"{field.name} is no {field.kind.value}: {value!r:.60}"
        if field.name in _CLOSED and value not in _CLOSED[field.name]:
            return f"{field.name} is none of {', '.join(_CLOSED[field.name])}: {value!r:.60}"
    if not is_known and len(_good_types) < _TYPES_KEPT:
        _good_types.add(types)
    return "" if record.seq > 0 else f"seq is below 1: {record.seq}"


def _fits(field: Field, value: Any) -> bool:
    """By hand and not by msgspec: the library in a service needs nothing but the standard library."""
    if field.kind is Kind.BOOLEAN:
        return isinstance(value, bool)
    if field.kind is Kind.TEXT:
        return isinstance(value, str)
    if isinstance(value, bool):
        return False
    if field.kind is Kind.TIME:
        return isinstance(value, float) and isfinite(value)
    return isinstance(value, int) and (field.kind is not Kind.SMALL or -(1 << 31) <= value < 1 << 31)
