"""What the stores hold of monitored calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.domain.usage.records import UsageRecord
from app.flows.usage import MONITORED
from app.settings import Settings
from app.stores import open_store

__all__ = ["show_stored"]


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
