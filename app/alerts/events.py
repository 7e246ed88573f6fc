"""What an alert looks at: an event, its fields, and which events a rule means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b
from types import NoneType, UnionType
from typing import Any, NamedTuple, get_args, get_type_hints

from app.domain.records import Delivery
from app.domain.usage.records import DROPPED, REQUEST, RESPONSE, STOP, UsageRecord, producer_of

__all__ = [
    "COMPARISONS",
    "DELIVERY_FIELDS",
    "DERIVED",
    "USAGE_FIELDS",
    "Event",
    "event_of",
    "event_of_delivery",
    "field_of",
    "matcher",
]

_NUMBERS = re.compile(r"[0-9]+|[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]{4,}){0,4}")
COMPARISONS = ("at_least", "at_most", "is_not")
_ROUTES_REMEMBERED = 10_000


class Event(NamedTuple):
    """One thing that happened, or `weight` equal ones."""

    time: float
    """UTC seconds."""
    of: Any
    """The record whose fields rules name."""
    producer: str = ""
    """Empty: events have no numbers."""
    number: int = 0
    """Of its producer; without one, what tells the event from others."""
    weight: int = 1
    stops: bool = False
    """The producer ends with it."""
    dropped: tuple[int, int] | None = None
    """Numbers that the producer says it gave up."""
    is_call: bool = True
    """Counts; False: it only tells of its producer."""


def event_of(record: UsageRecord) -> Event:
    """A record of the usage log. Records of the producer itself move its sequence."""
    gap = None
    if record.kind == DROPPED and record.first_seq and record.last_seq:
        gap = record.first_seq, record.last_seq
    return Event(
        record.time,
        record,
        producer_of(record),
        record.seq,
        1,
        record.kind == STOP,
        gap,
        record.kind in (REQUEST, RESPONSE),
    )


def event_of_delivery(delivery: Delivery) -> Event:
    """A delivery, at its last hit."""
    named = "\0".join((*delivery.key, repr(delivery.window_start)))
    number = int.from_bytes(blake2b(named.encode("utf-8", "surrogatepass"), digest_size=8).digest())
    return Event(delivery.last, delivery, "", number)


@lru_cache(maxsize=_ROUTES_REMEMBERED)
def route_of(uri: str) -> str:
    """The path, its numbers and identifiers as `{}`, so that a route is one series.

    >>> route_of("/items/17/reviews?page=2")
    '/items/{}/reviews'
    """
    path = uri.partition("?")[0]
    return "/".join("{}" if _NUMBERS.fullmatch(part) else part for part in path.split("/"))


DERIVED: dict[str, Callable[[Any], Any]] = {
    "route": lambda record: None if record.uri is None else route_of(record.uri),
    "producer": producer_of,
}
"""Fields of a usage record that follow from others."""


def _types_of(record: type) -> dict[str, frozenset[Any]]:
    return {
        name: frozenset(get_args(hint) if isinstance(hint, UnionType) else (hint,))
        for name, hint in get_type_hints(record).items()
    }


USAGE_FIELDS = _types_of(UsageRecord) | {name: frozenset((str, NoneType)) for name in DERIVED}
"""Field -> types that its values have; of rules that compare with another one nothing would ever hold."""
DELIVERY_FIELDS = _types_of(Delivery)


def field_of(name: str) -> Callable[[Any], Any]:
    """What reads a field of a record. For a kind of record that has no such field it raises AttributeError."""
    derived = DERIVED.get(name)
    return derived if derived is not None else lambda record: getattr(record, name)


def matcher(where: Mapping[str, Any]) -> Callable[[Any], bool]:
    """Whether a record is meant: all fields must fit."""
    tests = [(field_of(name), _test(wanted)) for name, wanted in where.items()]

    def fits(record: Any) -> bool:
        return all(test(read(record)) for read, test in tests)

    return fits


def _test(wanted: Any) -> Callable[[Any], bool]:
    if isinstance(wanted, list | tuple):
        return lambda value: value in wanted
    if not isinstance(wanted, Mapping):
        return lambda value: bool(value == wanted)
    low, high, other = (wanted.get(name) for name in COMPARISONS)

    def within(value: Any) -> bool:
        if value is None:
            return False
        return (low is None or value >= low) and (high is None or value <= high) and (other is None or value != other)

    return within
