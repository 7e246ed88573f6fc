"""What a process remembers of the tables: lookup rows that it has written, and the floors of mended deliveries.

Every hit of a key would write the same lookup rows again. Floors are added to the timestamps of all later writes of a delivery: a
person who alters or deletes a row of reduced_weblogs does it by the clock, and no version would ever show above that. Why:
docs/decisions/0011-versions-are-timestamps.md.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable

from app.stores.cassandra.connection import CassandraConnection

__all__ = ["FLOOR_AGE_S", "Floors", "Written", "now_us"]

FLOOR_AGE_S = 5.0
"""A writer knows the floors of this many seconds ago, at the latest."""
_PAGE_ROWS = 5000
_KEPT = 200_000
"""Rows remembered, about 200 bytes each."""


def now_us() -> int:
    """The clock by which a person writes and deletes."""
    return int(time.time() * 1_000_000)


class Written:
    """Names of rows that are in the store and will stay for a while; bounded, and forgotten after `age_s` to twice that.

    Two generations: the young one becomes the old one when it is full or `age_s` old, and what was only in the old one is gone.
    """

    def __init__(self, age_s: float) -> None:
        self._age_s = age_s
        self.forget()

    def forget(self) -> None:
        """After tables were dropped."""
        self._young: set[Hashable] = set()
        self._old: set[Hashable] = set()
        self._since = time.monotonic()

    def __contains__(self, name: Hashable) -> bool:
        return name in self._young or name in self._old

    def add(self, names: Iterable[Hashable]) -> None:
        """Only after the server has acknowledged."""
        if time.monotonic() - self._since > self._age_s or len(self._young) > _KEPT // 2:
            self._young, self._old, self._since = set(), self._young, time.monotonic()
        self._young.update(names)


class Floors:
    """Id → floor, read again when older than `age_s` seconds. There is one for each record that was mended: few."""

    def __init__(self, connection: CassandraConnection, age_s: float, table: str, name: str) -> None:
        """`name`: the column of their table that has the id."""
        self._connection, self._statement = connection, f"all {table}"
        connection.statements[self._statement] = f"SELECT {name}, floor FROM {connection.keyspace}.{table}"
        self.age_s = age_s
        self._known: dict[bytes, int] = {}
        self._read_at: float | None = None

    async def fresh(self) -> dict[bytes, int]:
        """Raises StoreUnreachable where they cannot be read: nothing may be written without them."""
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
