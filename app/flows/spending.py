"""Spending: the cents of each user, by minute, hour and day, and in total; and how the sum of a range is put together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from app.domain.counted import Bucket, CountedKind, CountingRules, EventField, Resolution, identity

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = [
    "MAX_CENTS",
    "SPENDING",
    "SPEND_RESOLUTIONS",
    "SpendingPiece",
    "Transaction",
    "bucket_bounds",
    "pieces",
    "spend_buckets",
    "spend_identities",
]

MAX_CENTS = 10**12
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
SPEND_RESOLUTIONS = {"minute": _MINUTE, "hour": _HOUR, "day": _DAY}
"""Length of a bucket in seconds; `total` has one bucket, which begins at 0."""


class Transaction(NamedTuple):
    """One payment of one user. Ids are the user's own: two users may use the same."""

    transaction_id: str
    user_id: str
    time: float
    cents: int


def spend_identities(transaction: Transaction) -> tuple[bytes, ...]:
    """A transaction counts if this was not seen."""
    return (identity(b"t", transaction.user_id, transaction.transaction_id),)


def spend_buckets(transaction: Transaction) -> tuple[Bucket, ...]:
    """By minute, hour and day, and in total.

    >>> [bucket[:3] for bucket in spend_buckets(Transaction("a", "u1", 3700.5, 2000))]
    [('minute', 'u1', 3660), ('hour', 'u1', 3600), ('day', 'u1', 0), ('total', 'u1', 0)]
    """
    second, user = math.floor(transaction.time), transaction.user_id
    minute, hour, day = second - second % _MINUTE, second - second % _HOUR, second - second % _DAY
    return (
        ("minute", user, minute, minute + _MINUTE),
        ("hour", user, hour, hour + _HOUR),
        ("day", user, day, day + _DAY),
        ("total", user, 0, math.inf),
    )


def _rules(settings: Settings) -> CountingRules[Transaction]:
    return CountingRules(
        horizon_s=settings.event_horizon,
        identities=spend_identities,
        buckets=spend_buckets,
        amount=lambda transaction: transaction.cents,
        lengths_s=SPEND_RESOLUTIONS,
        fingerprint=(),
        mistake="WEBLOGS_EVENT_HORIZON has changed; set it back, or drop the spending",
    )


SPENDING: CountedKind[Transaction] = CountedKind(
    name="spend",
    one="transaction",
    many="transactions",
    event=Transaction,
    fields=(
        EventField("transaction_id", "text", 1),
        EventField("user_id", "text", 1),
        EventField.time(),
        EventField("cents", "integer", -MAX_CENTS, MAX_CENTS),
    ),
    id_fields=("user_id", "transaction_id"),
    group_field="user_id",
    resolutions=(Resolution("minute"), Resolution("hour"), Resolution("day"), Resolution("total", "ever")),
    rules=_rules,
    spread_by=lambda transaction, _: transaction.user_id,
    agent="sum_spend",
    table="spend_totals",
    events_table="transactions",
    sums_table="spend_sums",
    keeps_events="reduced",
    amount_field="cents",
    ranking_table="spend_users",
    posted_many="/spending",
    page="/spender",
)


class SpendingPiece(NamedTuple):
    """Buckets of a resolution that start at `begin` or later and before `end`; or payments, where it is None."""

    resolution: str | None
    begin: float
    end: float


def bucket_bounds(begin: float, end: float, resolution: str) -> tuple[float, float]:
    """From and to of the starts of the buckets that have a second in the range.

    >>> bucket_bounds(3700.0, 7200.0, "hour")
    (3600.0, 7200.0)
    """
    length_s = SPEND_RESOLUTIONS[resolution]
    return begin // length_s * length_s, end


def pieces(begin: float, end: float) -> list[SpendingPiece]:
    """The range from `begin` (inclusive) to `end` (exclusive), whole and without overlap.

    >>> [tuple(piece) for piece in pieces(30.0, 7230.0)]
    [(None, 30.0, 60), ('minute', 60, 3600), ('hour', 3600, 7200), (None, 7200, 7230.0)]
    """
    lengths = sorted(SPEND_RESOLUTIONS.items(), key=lambda item: item[1])
    return _pieces(begin, end, [(None, 0), *lengths]) if begin < end else []


def _pieces(begin: float, end: float, lengths: list[tuple[str | None, int]]) -> list[SpendingPiece]:
    """With the resolutions from the finest that may be used on."""
    (name, _), coarser = lengths[0], lengths[1:]
    if not coarser:
        return [SpendingPiece(name, begin, end)]
    length_s = coarser[0][1]
    first, last = int(-(-begin // length_s)) * length_s, int(end // length_s) * length_s
    if first >= last:
        return [SpendingPiece(name, begin, end)]
    found = [SpendingPiece(name, begin, first)] if begin < first else []
    found += _pieces(first, last, coarser)
    return found + ([SpendingPiece(name, last, end)] if last < end else [])
