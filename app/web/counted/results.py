"""The results of votes, spending and requests that the worker keeps ready: made from the store, cached, refreshed by the clock."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from app.domain.counted import CountedKind
from app.flows.spending import SPENDING
from app.flows.votes import VOTES
from app.settings import Settings
from app.stores.contract import Store
from app.web.counted.cached import Cached, CachedResult, Shared, Times
from app.web.counted.distribution import LOOK_BACK_S, second_bounds, value_of
from app.web.counted.event_intake import PostedEvents

__all__ = ["MAX_WINDOWS", "Results"]

MAX_WINDOWS = 53_000
"""A year of windows of ten minutes."""
_READ_S = 5.0
_OTHERS = 64
"""This many results of other ranges are remembered."""
_FEW = 100
"""Who asks while no more votes than this come in a second or two gets an answer that has them all; else one made each second."""

Settled = Callable[[Sequence[str]], Awaitable[None]]
"""Returns when what these topics hold now is in the store, or after some seconds."""


async def _at_once(topics: Sequence[str]) -> None:
    """For a store that nothing waits for."""


class Results:
    """Cached results. `settled` tells when votes that were accepted can be seen in the store."""

    def __init__(
        self,
        store: Store,
        events: PostedEvents,
        settings: Settings,
        shared: Shared | None = None,
        settled: Settled = _at_once,
    ) -> None:
        self._store, self._events, self._settings, self._shared, self._settled = (
            store,
            events,
            settings,
            shared,
            settled,
        )
        self._times = Times(min(settings.cache_refresh, settings.cache_max_age), settings.cache_max_age)
        self._settled_to: dict[str, int] = {}
        """topic -> this many accepted events are in the store for sure"""
        self._votes = Cached("votes", self._make_votes, self._times, shared)
        self._others: OrderedDict[str, Cached] = OrderedDict()
        self._reports = asyncio.Semaphore(2)

    @property
    def max_age_s(self) -> float:
        return self._times.max_age_s

    async def run(self, app: web.Application) -> Any:
        """Refreshes by the clock from start to stop of the web application: a cleanup context."""
        task = asyncio.create_task(self._votes.keep())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def votes(self, force: bool = False) -> CachedResult:
        """The distribution of all votes, of the windows since a day ago. Raises StoreError, TimeoutError."""
        if await self.settle(VOTES) or force:
            return await self._votes.get(newer_than=time.time())
        return await self._votes.get()

    async def settle(self, kind: CountedKind[Any]) -> bool:
        """Wait until the few events of a kind that this worker accepted last can be seen; whether there were any."""
        topic = kind.name
        accepted = self._events.accepted[topic]
        if accepted == self._settled_to.get(topic, 0) or self._events.recent(topic) > _FEW:
            return False
        await self._settled(kind.topics)
        self._settled_to[topic] = max(accepted, self._settled_to.get(topic, 0))
        return True

    async def votes_between(self, begin: float, end: float, force: bool = False) -> CachedResult:
        """The windows that begin in this range, and their totals."""
        cached = self._other(f"votes:{begin!r}:{end!r}", lambda: self._make_windows(begin, end))
        return await cached.get(newer_than=time.time() if force else None)

    async def top(self, limit: int, force: bool = False) -> CachedResult:
        """[[user, cents, transactions]…], most first."""
        cached = self._other(f"top:{limit}", lambda: self._make_top(limit))
        renew = await self.settle(SPENDING) or force
        return await cached.get(newer_than=time.time() if renew else None)

    async def report(self, name: str, make: Callable[[], Awaitable[Any]]) -> CachedResult:
        """A report that `make` makes; two are made at a time. Raises what it raises, TimeoutError too."""

        async def made() -> Any:
            async with asyncio.timeout(4 * _READ_S), self._reports:
                return await make()

        return await self._other(f"report:{name}", made).get()

    def _other(self, name: str, make: Callable[[], Awaitable[Any]]) -> Cached:
        cached = self._others.get(name)
        if cached is None:
            cached = self._others[name] = Cached(name, make, self._times, self._shared)
        self._others.move_to_end(name)
        while len(self._others) > _OTHERS:
            self._others.popitem(last=False)
        return cached

    async def _make_votes(self) -> dict[str, Any]:
        now, ledgers = time.time(), self._store.ledgers
        window_s = self._settings.vote_window
        begin = (now - LOOK_BACK_S) // window_s * window_s
        async with asyncio.timeout(_READ_S):
            totals, seconds, windows = await asyncio.gather(
                ledgers.sums(VOTES, None, "total", 0, 1),
                ledgers.sums(VOTES, None, "second", *second_bounds(now)),
                ledgers.sums(VOTES, None, "window", begin, now + self._settings.vote_future + 1),
            )
        return value_of(totals, seconds, windows, None, None, window_s)

    async def _make_windows(self, begin: float, end: float) -> dict[str, Any]:
        ledgers = self._store.ledgers
        async with asyncio.timeout(_READ_S):
            seconds, windows = await asyncio.gather(
                ledgers.sums(VOTES, None, "second", *second_bounds(time.time())),
                ledgers.sums(VOTES, None, "window", begin, end),
            )
        return value_of(None, seconds, windows, begin, end, self._settings.vote_window)

    async def _make_top(self, limit: int) -> list[list[Any]]:
        async with asyncio.timeout(4 * _READ_S):
            return [list(each) for each in await self._store.ledgers.top(SPENDING, limit)]
