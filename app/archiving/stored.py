"""What the stores hold of monitored calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice

from app.domain.usage.records import UsageRecord
from app.flows.usage import MONITORED
from app.settings import Settings
from app.stores import opened_store

__all__ = ["mend_stored", "show_stored"]

_AT_ONCE = 1_000


def show_stored(name: str, settings: Settings, see: Callable[[UsageRecord], None]) -> None:
    """Call `see` with each record, in the store's own order. Blocks. Raises StoreError, UnknownForm, SettingsError."""

    async def show() -> None:
        async with opened_store(name, settings, read_only=True) as store:
            async for record in store.ledgers.all_events(MONITORED):
                see(record)

    asyncio.run(show())


def mend_stored(name: str, settings: Settings, records: Iterable[UsageRecord]) -> int:
    """Make the stored records exactly these; how many. Blocks. Raises StoreError, UnknownForm, SettingsError."""
    left = iter(records)

    async def mend() -> int:
        count = 0
        async with opened_store(name, settings) as store:
            while some := list(islice(left, _AT_ONCE)):
                await store.ledgers.mend_events(MONITORED, some)
                count += len(some)
        return count

    return asyncio.run(mend())
