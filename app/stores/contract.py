"""What stores can do, each capability apart.

A worker needs Writes, and of the ledgers LedgerWrites: a new store begins as one class with these nine methods, and
`Store(name, writes, ledgers=writes)`. Reads, Mending, Retention and ledgers are asked of by the client, the page, `check`, `repair`
and `stores`; whoever asks a store for one that it does not have gets one sentence.

A write returns when the store has acknowledged durably. Writes are idempotent: the same raw id again changes nothing, an
older version of a delivery is refused silently and counts as done, an equal one is the same record. What a write returns are
the records that the store refuses for good, each with the reason; a StoreError instead means that not all of the batch was
taken, and the very same call may be repeated. Superseded deliveries are kept, but hidden by every read unless `superseded=True`.

All calls may raise StoreError, StoreUnreachable if the engine is not there, or UnknownForm if what is stored has a form that this
program does not know.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from app.domain.records import Delivery, Hit, Reject
from app.domain.totals import Totals
from app.errors import SettingsError, UnreadableRecord
from app.stores.ledger_contract import Ledgers, LedgerWrites
from app.stores.readable import OnUnreadable

__all__ = [
    "KINDS",
    "SEARCHED_KEYS",
    "SEARCH_S",
    "FoundKeys",
    "Key",
    "Mending",
    "Reads",
    "Retention",
    "Store",
    "Writes",
    "place",
]

KINDS = ("raw", "reduced", "rejects")
"""What a store keeps, each apart from the others."""

Key = tuple[str, str, str]
"""ip_address, user_agent, request"""

SEARCHED_KEYS = 1_000_000
"""One search by a part of the key looks at about this many keys at most, where no index serves it,"""
SEARCH_S = 2.0
"""and for about this many seconds."""


class FoundKeys(NamedTuple):
    """What a search by a part of the key found."""

    keys: list[Key]
    """Newest first."""
    searched: int = 0
    """How many keys were looked at, if that is not all."""
    rest: str = ""
    """Where a further search begins, with the newest key that was not looked at; empty: none is left."""


def place(hit: Hit) -> tuple[float, str, int]:
    """What the hits of a key are ordered by, in every store alike: many have the same time."""
    return hit.time, hit.source, hit.position


class Writes(Protocol):
    """What the flow needs of a store, and all that it needs."""

    async def open(self) -> None:
        """Creates what is missing, adds fields that were added to records since, never drops.

        Of a store that was opened for reading nothing is created.
        """

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


class Reads(Protocol):
    """Answers questions. Raises UnreadableRecord for a damaged record that belongs to the answer, but for `readable.passing_over`."""

    on_unreadable: OnUnreadable | None
    """Whom `all_…` tell of records that cannot be read, and go on; without it they raise UnreadableRecord."""

    async def keys_by_hash(self, key_hash: str) -> list[Key]:
        """The keys whose joined text has this hash (32 hex digits): more than one if they join alike."""

    async def keys_by_text_part(
        self, part: str, limit: int = 50, begin: str = "", most: int = SEARCHED_KEYS
    ) -> FoundKeys:
        """At most `limit` keys whose joined text has `part` in it; a-z as A-Z.

        `begin`: the `rest` of the search before, else ValueError. `most`: keys to look at, about; some are looked at each time.
        """

    async def deliveries_of(
        self, ip_address: str, user_agent: str, request: str, superseded: bool = False
    ) -> list[Delivery]:
        """Newest window first."""

    async def hits_of(
        self, ip_address: str | None, user_agent: str | None, request: str | None, limit: int = 1000
    ) -> tuple[list[Hit], int]:
        """The first `limit` hits by `place`, and how many there are in all."""

    async def newest_deliveries(self, limit: int, verdict: str | None = None) -> list[Delivery]:
        """By the time of their latest hit, newest first; superseded ones are left out."""

    async def counts(self) -> Totals:
        """Answers as fast for millions of deliveries as for none."""

    def all_deliveries(self, superseded: bool = False) -> AsyncIterator[Delivery]:
        """Every delivery once, in the store's own order, in slices: memory is bounded."""

    def all_hits(self) -> AsyncIterator[Hit]:
        """Every hit once, in the store's own order, in slices."""

    def all_rejects(self) -> AsyncIterator[Reject]:
        """Every reject once, in the store's own order, in slices."""


class Mending(Protocol):
    """Makes records exactly what they must be, whatever somebody did to them: for `check` and `repair`."""

    holds_no_doubles: bool
    """The engine lets no two records stand under one raw id: nothing to look for."""

    async def mend_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Make the stored records exactly these, by key and window start, whatever stands there, whatever its version.

        For `repair` alone: the flow writes by version. A record that the store cannot hold is a StoreError, and nothing is written.
        """

    async def mend_hits(self, hits: Sequence[Hit]) -> None:
        """Make the stored hits exactly these, by raw id, whatever stands there. A hit that the store cannot hold is a StoreError."""

    async def mend_rejects(self, rejects: Sequence[Reject]) -> None:
        """The same for rejects."""

    async def remove_deliveries(self, names: Sequence[tuple[Key, float]]) -> None:
        """By key and window start; one that is not there is no error, and a later write is not hidden by it."""

    async def remove_hits(self, hits: Sequence[Hit]) -> None:
        """Remove these stored copies, as `all_hits` gave them: of a hit that stands twice, too. May remove all copies of a raw id."""

    async def remove_rejects(self, rejects: Sequence[Reject]) -> None:
        """The same for rejects."""

    async def remove_unreadable(self, found: Sequence[UnreadableRecord]) -> None:
        """Remove records that cannot be read, events and sums of the ledgers too, by their place. What is written there later shows."""

    async def miscounted(self) -> bool:
        """Whether `counts` says anything else than the records do; False in a store that counts its records when asked."""

    async def recount(self) -> bool:
        """Make `counts` right; whether it was not."""


class Retention(Protocol):
    """What a store is made of, and for how long it is kept."""

    async def map(self, kinds: Collection[str]) -> None:
        """Creates missing tables or indices of these kinds (KINDS), and adds missing fields."""

    async def drop(self, kinds: Collection[str]) -> None:
        """Deletes all records of these kinds (KINDS); `open` or `map` may follow."""

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        """Deletes what was ingested more than this many days before `now` (UTC seconds).

        Returns how many raw records (hits and rejects) and how many deliveries went.
        """


Capability = TypeVar("Capability")


class Store:
    """One store by its capabilities. `open`, `close` and `ping` are those of its writes."""

    def __init__(
        self,
        name: str,
        writes: Writes,
        *,
        reads: Reads | None = None,
        mending: Mending | None = None,
        retention: Retention | None = None,
        ledgers: LedgerWrites | None = None,
    ) -> None:
        """`ledgers` may have less than Ledgers has."""
        self.name = name
        self.writes = writes
        self.open, self.close, self.ping = writes.open, writes.close, writes.ping
        self._reads, self._mending, self._retention, self._ledgers = reads, mending, retention, ledgers

    def read_through(self, reads: Reads) -> Store:
        """The same store, of which everything is read through `reads`."""
        store = copy.copy(self)
        store._reads = reads  # noqa: SLF001
        return store

    def _able(self, capability: Capability | None, what: str) -> Capability:
        if capability is None:
            raise SettingsError(f"the store {self.name} cannot {what}; name another store")
        return capability

    @property
    def reads(self) -> Reads:
        """Raises SettingsError if the store only takes writes; so do the others."""
        return self._able(self._reads, "be read")

    @property
    def mending(self) -> Mending:
        return self._able(self._mending, "be repaired")

    @property
    def retention(self) -> Retention:
        return self._able(self._retention, "delete what is old")

    @property
    def ledgers(self) -> Ledgers:
        """Votes and spending. What they do not have raises SettingsError when it is asked for."""
        found = self._able(self._ledgers, "keep votes and spending")
        return cast("Ledgers", found if hasattr(found, "sums") else _WrittenLedgers(self.name, found))


class _WrittenLedgers:
    """The ledgers of a store that takes votes and spending, and cannot be asked for them."""

    def __init__(self, name: str, writes: LedgerWrites) -> None:
        self._name, self._writes = name, writes

    def __getattr__(self, what: str) -> Any:
        if hasattr(self._writes, what):
            return getattr(self._writes, what)
        raise SettingsError(f"the store {self._name} cannot be asked for votes and spending; name another store")
