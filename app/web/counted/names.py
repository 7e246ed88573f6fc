"""The candidates and users: known to every request without asking the store each time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from app.errors import StoreError
from app.stores.contract import Store
from app.stores.ledger_contract import Named

__all__ = ["DEMO_CANDIDATES", "CandidateNames"]

DEMO_CANDIDATES = {1: "Candidate 1", 2: "Candidate 2", 3: "Candidate 3"}
"""Who can be voted for while no candidate was added: a fresh system answers the examples."""
_FRESH_S = 5.0
_MISS_S = 0.5
"""An unknown candidate makes the list be read anew, but no more often than this."""


class CandidateNames:
    """Candidates from a store, and changes to it and the other stores of this worker."""

    def __init__(self, store: Store, others: Sequence[Store] = ()) -> None:
        self._stores = (store, *(other for other in others if other is not store))
        self._candidates: dict[int, str] = {}
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def candidates(self, wanted: int | None = None) -> dict[int, str]:
        """id -> name, at most some seconds old; younger where `wanted` is not in it. Raises StoreError where none was ever read."""
        if self._is_fresh(wanted):
            return self._candidates
        async with self._lock:
            if not self._is_fresh(wanted):
                try:
                    await self._read()
                except (StoreError, TimeoutError):
                    if not self._candidates:
                        raise
                    self._read_at = time.monotonic() - _FRESH_S + _MISS_S
        return self._candidates

    def _is_fresh(self, wanted: int | None) -> bool:
        age_s = time.monotonic() - self._read_at
        return age_s < (_FRESH_S if wanted is None or wanted in self._candidates else _MISS_S)

    async def _read(self) -> None:
        async with asyncio.timeout(_FRESH_S):
            found = await self._stores[0].ledgers.names("candidates")
        self._candidates = {int(number): name for number, name in found.items()} or DEMO_CANDIDATES
        self._read_at = time.monotonic()

    async def users(self) -> dict[str, str]:
        """id -> name."""
        return await self._stores[0].ledgers.names("users")

    async def put(self, kind: Named, names: Mapping[str, str]) -> None:
        """In every store of this worker."""
        for store in self._stores:
            await store.ledgers.put_names(kind, names)
        self._read_at = float("-inf")
