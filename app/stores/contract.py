"""What every store can do, whatever engine is behind it.

A write returns when the store has acknowledged durably. Writes are idempotent: the same raw id again changes nothing, an
older version of a delivery is refused silently and counts as done, an equal one is the same record. What a write returns are
the records that the store refuses for good, each with the reason; a StoreError instead means that not all of the batch was
taken, and the very same call may be repeated. Superseded deliveries are kept, but hidden by every read unless `superseded=True`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import NamedTuple, Protocol

from app.domain.records import Delivery, Hit, Reject
from app.stores.ledger_contract import Ledgers

__all__ = ["KINDS", "Counts", "Key", "Store", "place"]

KINDS = ("raw", "reduced", "rejects")
"""What a store keeps, each apart from the others."""

Key = tuple[str, str, str]
"""ip_address, user_agent, request"""


class Counts(NamedTuple):
    """What a store holds. Deliveries are the visible ones; sums are exact, integers of any size."""

    hits: int
    rejects: dict[str, int]
    """By reason."""
    deliveries: dict[str, int]
    """By verdict."""
    reasons: dict[tuple[str, str | None], int]
    """Deliveries by (verdict, reason)."""
    covered_bytes: int
    bytes_sent: int
    """Sum over the deliveries that know theirs."""


def place(hit: Hit) -> tuple[float, str, int]:
    """What the hits of a key are ordered by, in every store alike: many have the same time."""
    return hit.time, hit.source, hit.position


class Store(Protocol):
    """One store. All calls may raise StoreError, or StoreUnreachable where the engine is not there."""

    name: str
    ledgers: Ledgers
    """Votes and spending."""

    async def open(self) -> None:
        """Creates what is missing, never drops."""

    async def close(self) -> None:
        """Waits for the writes under way; `open` may follow."""

    async def ping(self) -> None:
        """Returns when the store answers."""

    async def write_hits(self, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
        """By raw id. Plain tuples in the order of Hit are welcome."""

    async def write_rejects(self, rejects: Sequence[Reject]) -> list[tuple[Reject, str]]:
        """By raw id."""

    async def write_deliveries(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, str]]:
        """By key and window start, the highest version wins; a batch may hold one several times."""

    async def keys_by_hash(self, key_hash: str) -> list[Key]:
        """The keys whose joined text has this hash (32 hex digits): more than one where they join alike."""

    async def keys_by_text_part(self, part: str, limit: int = 50) -> list[Key]:
        """At most `limit` keys whose joined text has `part` in it, newest first; a-z as A-Z."""

    async def deliveries_of(
        self, ip_address: str, user_agent: str, request: str, superseded: bool = False
    ) -> list[Delivery]:
        """Newest window first."""

    async def hits_of(
        self, ip_address: str | None, user_agent: str | None, request: str | None, limit: int = 1000
    ) -> tuple[list[Hit], int]:
        """The first `limit` hits by `place`, and how many there are in all."""

    async def newest_deliveries(
        self, limit: int, verdict: str | None = None, superseded: bool = False
    ) -> list[Delivery]:
        """By the time of their latest hit, newest first."""

    async def counts(self) -> Counts:
        """Answers as fast for millions of deliveries as for none."""

    def all_deliveries(self, superseded: bool = False) -> AsyncIterator[Delivery]:
        """Every delivery once, in the store's own order, in slices: memory is bounded."""

    def all_hits(self) -> AsyncIterator[Hit]:
        """Every hit once, in the store's own order, in slices."""

    def all_rejects(self) -> AsyncIterator[Reject]:
        """Every reject once, in the store's own order, in slices."""

    async def map(self, kinds: Collection[str]) -> None:
        """Makes tables or indices of these kinds (KINDS) where they are missing, and adds fields that they lack."""

    async def drop(self, kinds: Collection[str]) -> None:
        """Deletes all records of these kinds (KINDS); `open` or `map` may follow."""

    async def mend_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Make the stored records exactly these, by key and window start, whatever stands there, whatever its version.

        For `repair` alone: the flow writes by version. A record that the store can not hold is a StoreError, and nothing is written.
        """

    async def mend_hits(self, hits: Sequence[Hit]) -> None:
        """Make the stored hits exactly these, by raw id, whatever stands there. A hit that the store can not hold is a StoreError."""

    async def mend_rejects(self, rejects: Sequence[Reject]) -> None:
        """The same for rejects."""

    async def remove_deliveries(self, names: Sequence[tuple[Key, float]]) -> None:
        """By key and window start; one that is not there is no error, and a later write is not hidden by it."""

    async def remove_hits(self, hits: Sequence[Hit]) -> None:
        """Remove these stored copies, as `all_hits` gave them: of a hit that stands twice, too. May remove all copies of a raw id."""

    async def remove_rejects(self, rejects: Sequence[Reject]) -> None:
        """The same for rejects."""

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        """Deletes what was ingested more than so many days before `now` (UTC seconds); how many raw (hits and rejects) and reduced."""
