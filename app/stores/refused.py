"""A record that a store refuses for good, as a reject: with the store's reason, and an id that is the same each time."""

from __future__ import annotations

from typing import Any

from app import wire
from app.domain.events import Sum, Transaction, Vote
from app.domain.records import Delivery, Hit, Reject, raw_ids

__all__ = ["as_reject"]

_KEPT_BYTES = 4096


def as_reject(store: str, record: Any, reason: str, now: float) -> Reject:
    """Of a hit, a delivery, an event or a sum; `now` is when it was refused, UTC seconds."""
    line = wire.encode(record)[:_KEPT_BYTES].decode("utf-8", "replace")
    if isinstance(record, Vote | Transaction | Sum):
        source = f"{type(record).__name__.lower()}/{store}"
        return Reject(f"refused_by_{store}", reason, line, raw_ids(source + line)(0), source, 0, now)
    if not isinstance(record, Delivery):
        record = Hit._make(record)
        return Reject(f"refused_by_{store}", reason, line, record.raw_id, record.source, record.position, now)
    source = f"weblogs_reduced/{store}"
    return Reject(f"refused_by_{store}", reason, line, raw_ids(source + line)(record.version), source, record.version, now)
