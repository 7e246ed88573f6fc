"""What every store can do for votes and spending, whatever engine is behind it.

The rules are those of app.stores.contract: a write returns when it is durable, may be repeated, and an older version changes
nothing. A store has these calls in its attribute `ledgers`; opening and closing is the store's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from app.domain.events import Sum, Transaction, Vote

__all__ = ["LEDGERS", "SHORT_DAYS", "Ledgers", "Named", "Top"]

LEDGERS = ("votes", "spend")
SHORT_DAYS = 2.0
"""Counts by second are for the last minutes: they are deleted after so many days, whatever the retention."""
Named = Literal["candidates", "users"]


class Top(NamedTuple):
    """One user in the order of what they spent."""

    user_id: str
    cents: int
    transactions: int


class Ledgers(Protocol):
    """All calls may raise StoreError, or StoreUnreachable where the engine is not there."""

    async def write_votes(self, votes: Sequence[Vote]) -> list[tuple[Vote, str]]:
        """By vote id: the first stays. What the store refuses for good, with the reason."""

    async def write_transactions(self, transactions: Sequence[Transaction]) -> list[tuple[Transaction, str]]:
        """By user and transaction id: the first stays."""

    async def write_vote_sums(self, sums: Sequence[Sum]) -> list[tuple[Sum, str]]:
        """By resolution, group, start, partition and share: the highest version stays."""

    async def write_spend_sums(self, sums: Sequence[Sum]) -> list[tuple[Sum, str]]:
        """The same for spending."""

    async def vote_sums(self, resolution: str, begin: float, end: float) -> list[Sum]:
        """Of all groups, the buckets that start at `begin` or later and before `end`. Not for `kiosk`, of which there are too many."""

    async def kiosk_sums(self, candidate_id: int, begin: float, end: float) -> list[Sum]:
        """One candidate's windows by kiosk, those that start at `begin` or later and before `end`."""

    async def spend_sums(self, user_id: str, resolution: str, begin: float, end: float) -> list[Sum]:
        """One user's buckets that start at `begin` or later and before `end`."""

    async def transactions(self, user_id: str, begin: float, end: float, limit: int) -> list[Transaction]:
        """One user's at `begin` or later and before `end`, by time and id; at most `limit`."""

    async def spent(self, user_id: str, begin: float, end: float) -> tuple[int, int]:
        """(cents, transactions) of those, all of them, from the transactions themselves."""

    async def top(self, limit: int) -> list[Top]:
        """The users who spent most in all, most first; users who spent the same by their id."""

    async def names(self, kind: Named) -> dict[str, str]:
        """id -> name. Candidates' ids are decimal."""

    async def put_names(self, kind: Named, names: Mapping[str, str]) -> None:
        """Adds these, or gives them other names."""

    def all_votes(self) -> AsyncIterator[Vote]:
        """Every vote once, in the store's own order, in slices."""

    def all_transactions(self) -> AsyncIterator[Transaction]:
        """Every transaction once, in the store's own order, in slices."""

    def all_sums(self, ledger: str) -> AsyncIterator[Sum]:
        """Every sum of one of LEDGERS, in the store's own order, in slices."""

    async def drop(self) -> None:
        """Deletes all votes, transactions and sums; candidates and users stay."""

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        """Deletes what was written last more than so many days before `now`; how many votes, and how many transactions and sums.

        Raw are the votes; transactions stay as long as their sums. Totals are never deleted.
        """
