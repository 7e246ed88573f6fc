"""Counts of the Cassandra store: taken by walking the ring, answered from the last ones where that takes long.

There are no counters: a write that is repeated would count twice. So counting costs a walk through narrow columns, and what
is known answers meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from app.domain.totals import Judged, Totals
from app.errors import StoreError
from app.stores.cassandra.answers import text_of
from app.stores.cassandra.connection import CassandraConnection
from app.stores.cassandra.rows import KEY_COLUMNS, insert
from app.stores.cassandra.values import bigint

__all__ = ["COST_FACTOR", "WAIT_S", "Counter"]

WAIT_S = 2.0
"""Who asks waits this long for new counts, then gets the last known ones."""
COST_FACTOR = 10
"""Counts are taken anew when they are older than this many times what taking them took: a tenth of the time at most goes into it."""
SOON_S = 1.0
"""Counts that take no longer are taken anew after every write of this process."""
SLICES = 32
"""Parts of the ring, so that one request stays small."""
AT_ONCE = 4
_PAGE_ROWS = 1000
_RING = [-(1 << 63) + (1 << 64) * number // SLICES for number in range(SLICES)] + [(1 << 63) - 1]
_NAME = b"counts"


class Counter:
    """Takes counts and keeps the last. `writes` tells how many writes this process has made."""

    def __init__(self, connection: CassandraConnection, writes: Callable[[], int], keeps: bool) -> None:
        self._connection = connection
        self._writes = writes
        self._keeps = keeps
        self._known: Totals | None = None
        self._taken_at = self._cost_s = 0.0
        self._at_writes = -1
        self._walk: asyncio.Task[Totals] | None = None
        connection.statements |= _statements(connection.keyspace, keeps)

    async def counts(self) -> Totals:
        """New ones, or the last known where new ones take longer than WAIT_S; waits for the very first that nobody has taken yet."""
        if self._known is not None and self._is_fresh():
            return self._known
        if self._walk is None or self._walk.done():
            self._walk = asyncio.create_task(self._take())
            self._walk.add_done_callback(_retrieved)
        walk = self._walk
        done, _ = await asyncio.wait({walk}, timeout=WAIT_S)
        if done:
            return walk.result()
        known = self._known or await self._kept()
        return known if known is not None else await asyncio.shield(walk)

    async def close(self) -> None:
        walk, self._walk = self._walk, None
        if walk is not None:
            walk.cancel()
            await asyncio.wait({walk})

    def _is_fresh(self) -> bool:
        age_s = time.monotonic() - self._taken_at
        return age_s < COST_FACTOR * self._cost_s and (self._cost_s > SOON_S or self._at_writes == self._writes())

    async def _take(self) -> Totals:
        begun, writes = time.monotonic(), self._writes()
        hits = 0
        rejects: dict[str, int] = {}
        tally = _Deliveries()
        free = asyncio.Semaphore(AT_ONCE)

        async def count(lo: bytes, hi: bytes) -> None:
            nonlocal hits
            async with free:
                for (number,) in await self._connection.ask(self._bound("count_hits", lo, hi)):
                    hits += number
                for reason, number in await self._connection.ask(self._bound("count_rejects", lo, hi)):
                    name = text_of(reason)
                    rejects[name] = rejects.get(name, 0) + number
                async for rows in self._connection.pages(self._bound("count_deliveries", lo, hi)):
                    tally.add(rows)

        slices = [asyncio.ensure_future(count(bigint(lo), bigint(hi))) for lo, hi in pairwise(_RING)]
        try:
            await asyncio.gather(*slices)
        except BaseException:
            for one in slices:
                one.cancel()
            await asyncio.gather(*slices, return_exceptions=True)
            raise
        counts = Totals(hits, rejects, tally.judged, tally.merged, tally.covered_bytes, tally.bytes_sent)
        self._known, self._taken_at, self._cost_s = counts, time.monotonic(), time.monotonic() - begun
        self._at_writes = writes
        if self._keeps:
            await self._keep(counts)
        return counts

    def _bound(self, name: str, lo: bytes, hi: bytes) -> Any:
        return self._connection.bound(name, (lo, hi), _PAGE_ROWS)

    async def _keep(self, counts: Totals) -> None:
        """For other processes: a plain value, so that writing it twice is harmless."""
        judged = [[*name, number] for name, number in counts.judged.items()]
        sums = map(str, (counts.merged, counts.covered_bytes, counts.bytes_sent))
        try:
            await self._connection.ask(
                self._connection.bound(
                    "counts", (_NAME, json.dumps([counts.hits, counts.rejects, judged, *sums]).encode())
                )
            )
        except (StoreError, ValueError):  # a convenience only; ValueError: sums beyond what Python writes as decimals
            pass

    async def _kept(self) -> Totals | None:
        rows = await self._connection.ask(self._connection.bound("counts_taken", (_NAME,)))
        if not rows or not rows[0][0]:
            return None
        hits, rejects, judged, merged, covered, sent = json.loads(rows[0][0])
        if isinstance(judged, dict):  # of a program before evidence was counted
            return None
        by_name = {(one[0], one[1], one[2]): one[3] for one in judged}
        return Totals(hits, rejects, by_name, int(merged), int(covered), int(sent))


class _Deliveries:
    """Sums over the visible deliveries."""

    def __init__(self) -> None:
        self.judged: dict[Judged, int] = {}
        self.merged = 0
        self.covered_bytes = 0
        self.bytes_sent = 0

    def add(self, rows: list[tuple[Any, ...]]) -> None:
        for verdict, stored_reason, evidence, hits, covered, sent, superseded_by in rows:
            if superseded_by is not None:
                continue
            reason = None if stored_reason is None else text_of(stored_reason)
            name = (verdict or "", reason, text_of(evidence) if evidence else "")
            self.judged[name] = self.judged.get(name, 0) + 1
            self.merged += hits or 0
            self.covered_bytes += covered or 0
            self.bytes_sent += sent or 0


def _statements(keyspace: str, keeps: bool) -> dict[str, str]:
    k, ring = keyspace, "token({0}) > ? AND token({0}) <= ?"
    of_deliveries = "verdict, reason, evidence, hits, covered, bytes_sent, superseded_by"
    rejects = "GROUP BY reason, bucket"
    found = {
        "counts_taken": f"SELECT taken FROM {k}.counts_taken WHERE name = ?",
        "count_hits": f"SELECT count(*) FROM {k}.raw_weblogs WHERE {ring.format(f'{KEY_COLUMNS}, day')}",
        "count_rejects": f"SELECT reason, count(*) FROM {k}.rejects WHERE {ring.format('reason, bucket')} {rejects}",
        "count_deliveries": f"SELECT {of_deliveries} FROM {k}.reduced_weblogs WHERE {ring.format(KEY_COLUMNS)}",
    }
    return found | ({"counts": insert(f"{k}.counts_taken", "name, taken", "")} if keeps else {})


def _retrieved(walk: asyncio.Task[Totals]) -> None:
    """A walk that failed after nobody waited for it any more is no news: the next one will tell."""
    if not walk.cancelled():
        walk.exception()
