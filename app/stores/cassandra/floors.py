"""Floors of mended deliveries: what is added to the timestamps of all their later writes.

A person who alters or deletes a row of reduced_weblogs does it by the clock, and no version would ever show above that. A mended
delivery is therefore written above a floor, and every writer adds it from then on. Why: docs/decisions/0011-versions-are-timestamps.md.
"""

from __future__ import annotations

import time

from app.stores.cassandra.connection import Connection

__all__ = ["FLOOR_AGE_S", "Floors"]

FLOOR_AGE_S = 5.0
"""A writer knows the floors of so many seconds ago, at the latest."""
_PAGE_ROWS = 5000


class Floors:
    """delivery_id → floor, read again when older than `age_s` seconds. There is one for each delivery that was mended: few."""

    def __init__(self, connection: Connection, age_s: float = FLOOR_AGE_S) -> None:
        self._connection = connection
        self.age_s = age_s
        self._known: dict[bytes, int] = {}
        self._read_at: float | None = None

    async def fresh(self) -> dict[bytes, int]:
        """Raises StoreUnreachable where they can not be read: nothing may be written without them."""
        now = time.monotonic()
        if self._read_at is None or now - self._read_at > self.age_s:
            known: dict[bytes, int] = {}
            async for rows in self._connection.pages(self._connection.bound("floors", (), _PAGE_ROWS)):
                known.update(rows)
            self._known, self._read_at = known, now
        return self._known

    def forget(self) -> None:
        """The next write reads them."""
        self._read_at = None
