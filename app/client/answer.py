"""What the client answers: from the deliveries of a key and the part asked for to whole, not, or unknown. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from app.domain import byteranges
from app.domain.byteranges import Ranges
from app.domain.records import Delivery, Hit
from app.stores.contract import Key

__all__ = ["Answer", "AskedBytes", "Exit", "answer", "doubtful_of", "ranges_of"]


class Exit(IntEnum):
    """Exit codes of the client."""

    WHOLE = 0
    NOT_WHOLE = 1
    USAGE = 2
    NOTHING_KNOWN = 3
    UNREACHABLE = 4
    UNKNOWN = 5


class AskedBytes(NamedTuple):
    """The bytes asked for, both ends inclusive."""

    lo: int
    hi: int


class Answer(NamedTuple):
    key: Key | None
    exit: Exit
    decider: Delivery | None
    """The delivery that the answer is about: the newest, or with all windows one that is whole."""
    missing: Ranges
    """Of the part asked for, or of the decider."""
    deliveries: list[Delivery]
    """Those asked about, newest window first."""
    containing: list[Delivery]
    """Those among them that hold the part asked for; without one, those that are whole."""
    older: int
    """Older windows that were not asked about."""
    hits: list[Hit]
    """By time, bounded."""
    hits_total: int
    part: AskedBytes | None


def ranges_of(delivery: Delivery) -> Ranges:
    """The bytes that are known to have arrived."""
    return byteranges.normalise((lo, hi) for lo, hi in delivery.ranges)


def doubtful_of(delivery: Delivery) -> Ranges:
    """The bytes that may have arrived."""
    return byteranges.normalise((lo, hi) for lo, hi in delivery.doubtful)


def answer(
    key: Key | None,
    deliveries: Sequence[Delivery],
    hits: Sequence[Hit],
    hits_total: int,
    part: AskedBytes | None,
    all_windows: bool,
) -> Answer:
    """`deliveries` newest window first; `key` None: no such key is known."""
    asked = list(deliveries) if all_windows else list(deliveries[:1])
    states = [(_state(delivery, part), delivery) for delivery in asked]
    containing = [delivery for state, delivery in states if state is Exit.WHOLE]
    if not asked:
        code, decider = (Exit.UNKNOWN if hits_total else Exit.NOTHING_KNOWN), None
    else:
        # whole if any window is; where none is, one that might be leaves it open
        code, decider = next(
            pair for wanted in (Exit.WHOLE, Exit.UNKNOWN, Exit.NOT_WHOLE) for pair in states if pair[0] is wanted
        )
    lacks = _missing(decider, part) if decider is not None else ()
    return Answer(
        key, code, decider, lacks, asked, containing, len(deliveries) - len(asked), list(hits), hits_total, part
    )


def _state(delivery: Delivery, part: AskedBytes | None) -> Exit:
    if part is not None and byteranges.contains(ranges_of(delivery), *part):
        return Exit.WHOLE
    if part is None or _is_all(delivery, part):
        return {"complete": Exit.WHOLE, "partial": Exit.NOT_WHOLE}.get(delivery.verdict, Exit.UNKNOWN)
    if delivery.total_bytes is not None and part.hi >= delivery.total_bytes:
        return Exit.NOT_WHOLE  # the file ends before: nobody can have got these bytes
    if delivery.is_counted or delivery.reason == "fragmented":
        return Exit.UNKNOWN  # counts do not say which bytes; of a fragmented delivery not all hits were merged
    missing = byteranges.normalise((lo, hi) for lo, hi in delivery.missing)
    if not byteranges.intersect(missing, ((part.lo, part.hi),)) and byteranges.intersect(
        doubtful_of(delivery), ((part.lo, part.hi),)
    ):
        return Exit.WHOLE if delivery.verdict == "complete" else Exit.UNKNOWN
    return Exit.NOT_WHOLE


def _is_all(delivery: Delivery, part: AskedBytes) -> bool:
    return part.lo == 0 and delivery.total_bytes is not None and part.hi == delivery.total_bytes - 1


def _missing(delivery: Delivery, part: AskedBytes | None) -> Ranges:
    if part is not None:
        lacking = byteranges.missing(ranges_of(delivery), *part)
        unsure = doubtful_of(delivery)
        return tuple(hole for lo, hi in lacking for hole in byteranges.missing(unsure, lo, hi))
    return byteranges.normalise((lo, hi) for lo, hi in delivery.missing)
