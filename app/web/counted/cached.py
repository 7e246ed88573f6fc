"""Results that many ask for: made once, kept for a moment, made anew by one at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from app.errors import StoreError

__all__ = ["Cached", "CachedResult", "Found", "Shared", "Times"]

log = logging.getLogger(__name__)
ASKED_FOR_S = 10.0
"""A result that nobody asked for within this time is not made anew by the clock."""


class Times(NamedTuple):
    """How old results may be."""

    refresh_s: float
    """One that is asked for is made anew this often."""
    max_age_s: float
    """None is older than this when it is given out."""


class Found(NamedTuple):
    """A result that another worker may have made."""

    made: float
    """When its making began, UTC seconds."""
    value: Any
    """JSON values."""


class Shared(Protocol):
    """A cache that several workers share. Calls never raise: a cache that is away is an empty one."""

    async def get(self, name: str) -> Found | None: ...

    async def put(self, name: str, found: Found, keep_s: float) -> None: ...

    async def try_lock(self, name: str, hold_s: float) -> bool:
        """True for the one who is to make the result now."""

    async def unlock(self, name: str) -> None: ...


class CachedResult:
    """One result, with what was rendered of it."""

    def __init__(self, found: Found) -> None:
        self.made = found.made
        self.value = found.value
        self.rendered: dict[str, bytes] = {}

    def body(self, form: str, render: Callable[[Any], bytes]) -> bytes:
        """The result in a form, rendered the first time."""
        if form not in self.rendered:
            self.rendered[form] = render(self.value)
        return self.rendered[form]


class Cached:
    """One result. `make` may raise StoreError: then the last one is given out while it is young enough."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Awaitable[Any]],
        times: Times,
        shared: Shared | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name, self._make, self._times, self._shared, self._clock = name, make, times, shared, clock
        self._entry: CachedResult | None = None
        self._asked = float("-inf")
        self._kept = False
        self._lock = asyncio.Lock()
        self.makes = 0
        """How often this process has made it."""

    async def get(self, newer_than: float | None = None) -> CachedResult:
        """The result; one whose making began at `newer_than` or later, where that is given. Raises StoreError, TimeoutError."""
        now = self._asked = self._clock()
        entry = self._entry
        if newer_than is not None:
            return await self._made(newer_than)
        if entry is not None:
            age_s = now - entry.made
            if age_s < self._times.refresh_s or (self._kept and age_s < self._times.max_age_s):
                return entry
        try:
            return await self._made(now - self._times.refresh_s)
        except (StoreError, TimeoutError):
            if entry is not None and self._clock() - entry.made < self._times.max_age_s:
                return entry
            raise

    async def keep(self) -> None:
        """Make it anew by the clock while it is asked for; runs until it is cancelled."""
        self._kept = True
        try:
            while True:
                await asyncio.sleep(self._times.refresh_s)
                now = self._clock()
                if now - self._asked < ASKED_FOR_S:
                    try:
                        await self._made(now - self._times.refresh_s / 2)
                    except (StoreError, TimeoutError) as error:
                        log.warning("the result %s could not be made anew: %s", self._name, error)
        finally:
            self._kept = False

    async def _made(self, not_before: float) -> CachedResult:
        async with self._lock:  # one at a time; who waited takes what was made meanwhile
            if self._entry is None or self._entry.made < not_before:
                self._entry = CachedResult(
                    await (self._make_here() if self._shared is None else self._share(self._shared, not_before))
                )
            return self._entry

    async def _make_here(self) -> Found:
        made = self._clock()
        self.makes += 1
        return Found(made, await self._make())

    async def _share(self, shared: Shared, not_before: float) -> Found:
        give_up = self._clock() + self._times.max_age_s / 2
        while True:
            found = await shared.get(self._name)
            if found is not None and found.made >= not_before:
                return found
            if await shared.try_lock(self._name, self._times.max_age_s):
                try:
                    found = await self._make_here()
                    await shared.put(self._name, found, self._times.max_age_s)
                    return found
                finally:
                    await shared.unlock(self._name)
            if self._clock() > give_up:
                return await self._make_here()
            await asyncio.sleep(0.02)
