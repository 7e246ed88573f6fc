"""Floors of mended deliveries: what is added to the timestamps of all their later writes.

A person who alters or deletes a row of reduced_weblogs does it by the clock, and no version would ever show above that. A mended
delivery is therefore written above a floor, and every writer adds it from then on. Why: docs/decisions/0011-versions-are-timestamps.md.
"""

from __future__ import annotations

import time

from app.stores.cassandra.connection import Connection

__all__ = ["FLOOR_AGE_S", "FLOOR_END", "STEPS_US", "Floors"]

FLOOR_AGE_S = 5.0
"""A writer knows the floors of so many seconds ago, at the latest."""
STEPS_US = (1_000_000, 86_400_000_000, 100 * 365 * 86_400_000_000, 2 * 10**18)
"""How far above the clock and what is seen: a deletion can not be seen, and was perhaps written by a clock that is ahead, or in ns."""
FLOOR_END = 1 << 62
_PAGE_ROWS = 5000


class Floors:
    """Id → floor, read again when older than `age_s` seconds. There is one for each record that was mended: few."""

    def __init__(self, connection: Connection, age_s: float = FLOOR_AGE_S, statement: str = "floors") -> None:
        """`statement`: the prepared one that reads them all."""
        self._connection, self._statement = connection, statement
        self.age_s = age_s
        self._known: dict[bytes, int] = {}
        self._read_at: float | None = None

    async def fresh(self) -> dict[bytes, int]:
        """Raises StoreUnreachable where they can not be read: nothing may be written without them."""
        now = time.monotonic()
        if self._read_at is None or now - self._read_at > self.age_s:
            known: dict[bytes, int] = {}
            async for rows in self._connection.pages(self._connection.bound(self._statement, (), _PAGE_ROWS)):
                known.update(rows)
            self._known, self._read_at = known, now
        return self._known

    def forget(self) -> None:
        """The next write reads them."""
        self._read_at = None
