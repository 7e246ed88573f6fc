"""What every store can do for counted events (votes and spending), whatever engine is behind it.

The rules are those of app.stores.contract: a write returns when it is durable, may be repeated, and an older version changes
nothing. A store has these calls in its attribute `ledgers`; opening and closing is the store's. All calls may raise StoreError,
or StoreUnreachable if the engine is not there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, TypeVar

from app.domain.counted import CountedKind, EventKind, Sum
from app.stores.readable import OnUnreadable

__all__ = [
    "SHORT_DAYS",
    "LedgerMending",
    "LedgerReads",
    "LedgerRetention",
    "LedgerWrites",
    "Ledgers",
    "Named",
    "Top",
]

SHORT_DAYS = 2.0
"""Counts by second are for the last minutes: they are deleted after this many days, whatever the retention."""
Named = Literal["candidates", "users"]
Event = TypeVar("Event", bound=tuple)  # type: ignore[type-arg]


class Top(NamedTuple):
    """One group, such as a user, in the order of its amount."""

    group: str
    amount: int
    events: int


class LedgerWrites(Protocol):
    """What the flow needs."""

    async def write_events(self, kind: EventKind[Event], events: Sequence[Event]) -> list[tuple[Event, str]]:
        """By their id: the first stays. Returns what the store refuses for good, with the reason."""

    async def write_sums(self, kind: CountedKind[Event], sums: Sequence[Sum]) -> list[tuple[Sum, str]]:
        """By resolution, group, start, partition and share: the highest version stays."""

    async def put_names(self, kind: Named, names: Mapping[str, str]) -> None:
        """Adds these, or gives them other names."""


class LedgerReads(Protocol):
    """What pages, exports and checks ask."""

    on_unreadable: OnUnreadable | None
    """As that of Reads."""

    async def sums(
        self, kind: CountedKind[Event], group: str | None, resolution: str, begin: float, end: float
    ) -> list[Sum]:
        """The buckets that start at `begin` or later and before `end`.

        Of one group if the kind is read by group; otherwise of all groups (`group` is None). For a resolution with a second part
        (`kiosk`), `group` is the first part, such as the candidate.
        """

    async def events(self, kind: EventKind[Event], group: str, begin: float, end: float, limit: int) -> list[Event]:
        """One group's at `begin` or later and before `end`, by time and id; at most `limit`. For kinds that are read by group."""

    async def spent(self, kind: CountedKind[Event], group: str, begin: float, end: float) -> tuple[int, int]:
        """(amount, events) of those, all of them, from the events themselves."""

    async def top(self, kind: CountedKind[Event], limit: int) -> list[Top]:
        """The groups with the highest total amount, highest first; equal ones by their name."""

    async def names(self, kind: Named) -> dict[str, str]:
        """id -> name. Candidates' ids are decimal."""

    def all_events(self, kind: EventKind[Event]) -> AsyncIterator[Event]:
        """Every event as often as it is stored, in the store's own order, in slices."""

    def all_sums(self, kind: CountedKind[Event]) -> AsyncIterator[Sum]:
        """Every sum as often as it is stored, in the store's own order, in slices."""


class LedgerMending(Protocol):
    """For `repair` alone: the flow writes by id and version. What a store cannot hold is a StoreError."""

    async def mend_events(self, kind: EventKind[Event], events: Sequence[Event]) -> None:
        """Make the stored events exactly these, by id, whatever is stored."""

    async def mend_sums(self, kind: CountedKind[Event], sums: Sequence[Sum]) -> None:
        """Make the stored sums exactly these, by resolution, group, start, partition and share, whatever is stored."""

    async def remove_events(self, kind: EventKind[Event], events: Sequence[Event]) -> None:
        """Remove these, as `all_events` gave them. May remove all copies of an id; a later write is not hidden by it."""

    async def remove_sums(self, kind: CountedKind[Event], sums: Sequence[Sum]) -> None:
        """The same for sums."""


class LedgerRetention(Protocol):
    """What deletes."""

    async def drop(self) -> None:
        """Deletes all events and sums; candidates and users stay."""

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        """Deletes what was written last more than this many days before `now`. Returns how many raw and reduced records.

        How long events and sums are kept is a matter of their kind and resolution. Totals are never deleted.
        """


class Ledgers(LedgerWrites, LedgerReads, LedgerMending, LedgerRetention, Protocol):
    """All of it."""
