"""A record that a store refuses for good, as a reject: with the store's reason, and an id that is the same each time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from typing import Any

import msgspec

from app.domain.counted import Sum
from app.domain.records import Delivery, Hit, Reject, id_of_given, raw_ids
from app.errors import StoreError
from app.flows.registry import EVENTS
from app.words import counted_text

__all__ = ["all_taken", "as_reject", "refusal_id"]

_KEPT_BYTES = 4096
_OF_COUNTED: tuple[type, ...] = (Sum, *(kind.event for kind in EVENTS))


@cache
def _mark(store: str) -> int:
    return int.from_bytes(blake2b(store.encode(), digest_size=16, person=b"refused by").digest(), "big")


def refusal_id(store: str, raw_id: str) -> str:
    """The raw id of the reject that tells of a refused hit; of that id, the hit's again.

    It is another one than the hit's, because several stores may refuse one hit, and each tells why.

    >>> refusal_id("cassandra", refusal_id("cassandra", "0" * 31 + "7"))[-1]
    '7'
    """
    try:
        return f"{int(raw_id, 16) ^ _mark(store):032x}"[:32]
    except ValueError:  # not one of ours: from somebody who writes into our topics
        return id_of_given(f"{store} {raw_id}")


def as_reject(store: str, record: Any, reason: str, now: float) -> Reject:
    """Of a hit, a delivery, an event or a sum; `now` is when it was refused, UTC seconds."""
    line = msgspec.json.encode(record)[:_KEPT_BYTES].decode("utf-8", "replace")
    if isinstance(record, _OF_COUNTED):
        source = f"{type(record).__name__.lower()}/{store}"
        return Reject(f"refused_by_{store}", reason, line, raw_ids(source + line)(0), source, 0, now)
    if not isinstance(record, Delivery):
        record = Hit._make(record)
        return Reject(
            f"refused_by_{store}", reason, line, refusal_id(store, record.raw_id), record.source, record.position, now
        )
    source = f"weblogs_reduced/{store}"
    return Reject(
        f"refused_by_{store}", reason, line, raw_ids(source + line)(record.version), source, record.version, now
    )


def all_taken(refused: Sequence[tuple[Any, str]]) -> None:
    """Raises StoreError that names the first of what a store refused of records that it must take."""
    if refused:
        record, reason = refused[0]
        raise StoreError(
            f"{counted_text(len(refused), 'record')} cannot be written, the first because: {reason}: {record!s:.300}"
        )
