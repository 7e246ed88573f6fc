"""What a store keeps, for a report: raw hits and deliveries one by one, or the sums of requests that the worker counts."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np

from app.checking.digests import key_number
from app.checking.shares import WHOLE, Share, TooMany, by_shares
from app.columns.blocks import Floats, Ints
from app.domain.counted import Sum
from app.domain.key_hits import KEY_FIELDS, Key, KeyHits
from app.domain.parts import part_of
from app.domain.records import REASONS, Delivery, Hit
from app.domain.requests import extension_of
from app.domain.tallies import MAX_HITS, Part
from app.domain.totals import Totals
from app.domain.windows import Rules
from app.errors import SettingsError
from app.flows.requests import NONE, REQUESTS
from app.reports.counting import Counted, GroupSums, HitGroups, Plan, PlanWork
from app.reports.countries import Countries
from app.reports.facts import Facts
from app.reports.filters import Filters, is_status
from app.reports.hit_order import HitOrder
from app.reports.hits import rows_table
from app.reports.sums import as_numbers, total_of
from app.reports.zones import day_number
from app.settings import Settings
from app.stores import open_store
from app.stores.contract import Store, place

__all__ = ["KeptHits", "KeptStore", "KeptSums", "kept_in"]

Call = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine where the store is, and gives what it returns."""
OnProgress = Callable[[str, int, int | None], object]
"""Takes the name of the store, how many records of it were read, and of how many if that is known."""
Record = TypeVar("Record")
_SLICE = 20_000
_MOST_PLACED = 400_000
"""Hits of deliveries that are kept at a time for their order: about 150 MB. Of more the store is read again for each part."""
_SHORT_ID_DIGITS = 16
_DAY_S, _HOUR_S = 86400, 3600
_MAY = "ask the store's hits without --counted, or the log"


class KeptStore(ABC):
    """One store. Its methods block, and are called from outside of the store's event loop. They raise StoreError and SettingsError."""

    def __init__(
        self, call: Call, store: Store, settings: Settings, on_progress: OnProgress = lambda store, done, total: None
    ) -> None:
        self._call, self._store, self._settings = call, store, settings
        self.on_progress = on_progress
        self._walks: list[AsyncIterator[Any]] = []

    @property
    def rules(self) -> Rules:
        """By which the flow cuts hits into deliveries."""
        return self._settings.rules

    @abstractmethod
    def count(self, plan: Plan) -> Counted:
        """The groups of a plan. Raises SettingsError for what is not kept."""

    def hits(self, facts: Facts) -> Iterator[list[Hit]]:
        """All raw hits, some at a time; what was read is added to `facts`. Raises SettingsError if none are kept."""
        self._check_hits()
        totals, read = self._totals(), 0
        for some in self._slices(self._store.reads.all_hits(), totals.hits):
            yield some
            read += len(some)
        facts.add(self._facts(read, totals.rejects, self._settings.retention_days[0], "hits"))

    def deliveries(self, facts: Facts, order: HitOrder | None = None) -> Iterator[Delivery]:
        """All visible deliveries, as the flow has judged them; what was read is added to `facts`.

        `order` is turned to each. Deliveries whose hits are not kept any more are left out then, and a note says so.
        """
        totals = self._totals()
        days = self._settings.retention_days[1]
        if order is not None:
            self._check_hits()
            days = min(days, self._settings.retention_days[0])
        facts.add(self._facts(totals.hits, totals.rejects, days, "deliveries"))
        if order is None:
            for some in self._slices(self._store.reads.all_deliveries(), None):
                yield from some
            return
        lacking = 0
        shares = by_shares(lambda share: self._order(share, order, totals.hits))
        self._walks.append(shares)
        while (share := self._call(anext(shares, None))) is not None:
            for some in self._slices(self._store.reads.all_deliveries(), None):
                for one in some:
                    if share is not WHOLE and not share.takes(key_number(one.key)):
                        continue
                    if order.look_at(one):
                        yield one
                    else:
                        lacking += 1
            order.forget()
        if lacking:
            facts.notes.append(f"deliveries left out, because the store lacks some of their hits: {lacking:,}")

    async def _order(self, share: Share, order: HitOrder, total: int) -> Share:
        """Notes the hits of a share of the keys, each key's in the order of the log. Raises TooMany."""
        placed: dict[Key, list[tuple[tuple[float, str, int], Part]]] = {}
        kept = read = 0
        async for hit in self._store.reads.all_hits():
            read += 1
            if read % _SLICE == 0:
                self.on_progress(self._store.name, read, total)
            part = part_of(hit, int(hit.raw_id[:_SHORT_ID_DIGITS], 16))
            key: Any = hit[KEY_FIELDS]
            if part is None or (share is not WHOLE and not share.takes(key_number(key))):
                continue
            some = placed.setdefault(key, [])
            some.append((place(hit), part))
            kept += 1
            if len(some) > 2 * MAX_HITS:
                some.sort(key=lambda each: each[0])
                del some[MAX_HITS:]
                kept -= MAX_HITS + 1
            if kept > _MOST_PLACED and len(placed) > 1:
                raise TooMany
        for key, some in placed.items():
            some.sort(key=lambda each: each[0])
            order.note(KeyHits(0, key, None, [part for _, part in some].copy))
        return share

    def _check_hits(self) -> None:
        if self._settings.store_raw != "all":
            raise SettingsError(
                f"WEBLOGS_STORE_RAW={self._settings.store_raw}: the store keeps no hits; read the log, or ask with --counted"
            )

    def end_reading(self) -> None:
        """Ends what was begun and not read to its end, so that the store can be closed."""
        for walk in self._walks:
            self._call(_ended(walk))

    def _totals(self) -> Totals:
        totals: Totals = self._call(self._store.reads.counts())
        return totals

    def _facts(self, hits: int, rejects: Any, days: float, what: str) -> Facts:
        of_lines = Counter({reason: rejects[reason] for reason in REASONS if rejects.get(reason)})
        return Facts(
            lines=hits + of_lines.total(),
            hits=hits,
            rejects=of_lines,
            notes=[f"the store keeps {what} for {days:g} days after they came in; head lines are not kept"],
            inputs=[f"the store {self._store.name}"],
        )

    def _slices(self, records: AsyncIterator[Record], total: int | None) -> Iterator[list[Record]]:
        self._walks.append(records)
        read = 0

        async def some() -> list[Record]:
            found: list[Record] = []
            async for record in records:
                found.append(record)
                if len(found) == _SLICE:
                    break
            return found

        while found := self._call(some()):
            yield found
            read += len(found)
            self.on_progress(self._store.name, read, total)
        self._walks.remove(records)


async def _ended(walk: AsyncIterator[Any]) -> None:
    if isinstance(walk, AsyncGenerator):
        await walk.aclose()


class KeptHits(KeptStore):
    """The raw hits of a store: they answer every question, and each is read."""

    def count(self, plan: Plan) -> Counted:
        sums, work, facts = GroupSums(plan.keys), PlanWork(plan), Facts()
        for hits in self.hits(facts):
            table, beyond = rows_table(hits, [hit.position for hit in hits], plan.columns, _utc, "")
            counted = work.count(table)
            sums.add(counted.groups)
            facts.add(counted.facts)
            facts.beyond += beyond
        return Counted(sums.table(), facts)


def _utc(positions: Ints, times: Floats) -> Ints:
    return np.zeros(len(positions), np.int64)


class _Base(NamedTuple):
    """One resolution of the sums: what of a hit its groups tell."""

    resolution: str
    column: str
    """The field that the group is; empty: none."""
    tells: frozenset[str]
    """Keys of a plan."""


_BASES = (
    _Base("hour", "", frozenset({"hour", "day"})),
    _Base("status", "status", frozenset({"day", "status"})),
    _Base("method", "method", frozenset({"day", "method"})),
    _Base("host", "ip_address", frozenset({"day", "ip_address"})),
    _Base("path", "path", frozenset({"day", "path", "extension"})),
)


class KeptSums(KeptStore):
    """The sums of requests: as many as there are hosts and paths a day, however many hits."""

    def hits(self, facts: Facts) -> Iterator[list[Hit]]:
        raise SettingsError("--counted tells sums of requests, and no single one; leave it out")

    def count(self, plan: Plan) -> Counted:
        if not self._settings.count_requests:
            raise SettingsError("requests are not counted: start the worker with WEBLOGS_COUNT_REQUESTS=true")
        filters, base = plan.filters, _base_for(plan)
        hours, groups = self._sums(base, filters)
        asked = _asked(base, groups, plan)
        total = sum(requests for requests, _ in hours.values())
        facts = self._facts(total, self._totals().rejects, self._settings.retention_days[1], "sums")
        facts.counted = total_of(asked.requests)
        if not hours:
            facts.notes.append(
                "the store has no sums yet: a worker counts requests if it has WEBLOGS_COUNT_REQUESTS=true"
            )
        days = [start for _, start in hours if _is_asked(filters, start)]
        if days and not (filters.statuses or filters.extensions or filters.countries):
            facts.span((float(min(days)), 0), (float(max(days)), 0))
            facts.notes.append("the period is told in whole hours")
        return Counted(asked, facts)

    def _sums(self, base: _Base, filters: Filters) -> tuple[_Groups, _Groups]:
        """Of all hours, and of the base on the days that are asked for."""
        hours: _Groups = {}
        groups: _Groups = {}
        for some in self._slices(self._store.ledgers.all_sums(REQUESTS), None):
            for each in some:
                if each.resolution == "hour":
                    _add(hours, each)
                if each.resolution == base.resolution and _is_asked(filters, each.start):
                    _add(groups, each)
        return hours, groups


_Groups = dict[tuple[str, int], tuple[int, int]]
"""(group, start) -> (requests, bytes)"""


def _add(groups: _Groups, each: Sum) -> None:
    requests, sent = groups.get((each.group, each.start), (0, 0))
    groups[each.group, each.start] = (requests + each.events, sent + each.amount)


def _is_asked(filters: Filters, start: int) -> bool:
    first, last = filters.first_day, filters.last_day
    day = start // _DAY_S
    return (first is None or day >= day_number(first)) and (last is None or day <= day_number(last))


def _base_for(plan: Plan) -> _Base:
    filters = plan.filters
    if filters.zone not in ("", "UTC"):
        raise SettingsError(f"--tz {filters.zone}: requests are counted by days and hours of UTC; {_MAY}")
    if filters.no_bots:
        raise SettingsError(f"--no-bots: requests are not counted by user agent; {_MAY}")
    needed = set(plan.keys)
    needed |= {"status"} if filters.statuses else set()
    needed |= {"extension"} if filters.extensions else set()
    needed |= {"ip_address"} if filters.countries else set()
    base = next((one for one in _BASES if needed <= one.tells), None)
    if base is None:
        raise SettingsError(f"requests are not counted by {' together with '.join(sorted(needed))}; {_MAY}")
    return base


def _asked(base: _Base, groups: _Groups, plan: Plan) -> HitGroups:
    """What is asked for of the sums, by the keys of the plan."""
    filters = plan.filters
    places: Any = Countries(filters.geoip) if filters.countries else None
    values: dict[str, list[Any]] = {key: [] for key in plan.keys}
    sums = []
    for (group, start), of_group in groups.items():
        value: Any = None if group == NONE else group
        extension = extension_of(value) if base.column == "path" else None
        if filters.statuses and not is_status(group, filters.statuses):
            continue
        if filters.extensions and extension not in filters.extensions:
            continue
        if places is not None and (value is None or places.of(value) not in filters.countries):
            continue
        told = {"day": start // _DAY_S, "hour": start // _HOUR_S, "extension": extension}
        told[base.column] = int(value) if base.column == "status" else value
        for key, some in values.items():
            some.append(told[key])
        sums.append(of_group)
    every = GroupSums(plan.keys)
    every.add(
        HitGroups(
            dict.fromkeys(plan.keys, np.arange(len(sums))),
            values,
            *(as_numbers([of[at] for of in sums]) for at in (0, 1)),
        )
    )
    return every.table()


@contextmanager
def kept_in(name: str, settings: Settings, counted: bool) -> Iterator[KeptStore]:
    """What the store of this name keeps; of requests their sums if `counted`. Raises SettingsError and StoreError."""
    with asyncio.Runner() as runner:
        store = open_store(name, settings, read_only=True)
        try:
            runner.run(store.open())
            kept = (KeptSums if counted else KeptHits)(runner.run, store, settings)
            try:
                yield kept
            finally:
                kept.end_reading()
        finally:
            runner.run(store.close())
