"""What the stores hold of monitored calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice

from app.domain.usage.records import UsageRecord
from app.flows.usage import MONITORED
from app.settings import Settings
from app.stores import open_store

__all__ = ["mend_stored", "show_stored"]

_AT_ONCE = 1_000


def show_stored(name: str, settings: Settings, see: Callable[[UsageRecord], None]) -> None:
    """Call `see` with each record, in the store's own order. Blocks. Raises StoreError, UnknownForm, SettingsError."""

    async def show() -> None:
        store = open_store(name, settings, read_only=True)
        try:
            await store.open()
            async for record in store.ledgers.all_events(MONITORED):
                see(record)
        finally:
            await store.close()

    asyncio.run(show())


def mend_stored(name: str, settings: Settings, records: Iterable[UsageRecord]) -> int:
    """Make the stored records exactly these; how many. Blocks. Raises StoreError, UnknownForm, SettingsError."""
    left = iter(records)

    async def mend() -> int:
        count = 0
        store = open_store(name, settings)
        try:
            await store.open()
            while some := list(islice(left, _AT_ONCE)):
                await store.ledgers.mend_events(MONITORED, some)
                count += len(some)
        finally:
            await store.close()
        return count

    return asyncio.run(mend())
