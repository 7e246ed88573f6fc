"""Writing what must stand in a store, and removing what must not; or only counting it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from app.checking.report import CheckReport
from app.errors import UnreadableRecord
from app.flows.registry import COUNTED
from app.process.crash_points import crash_point
from app.stores.contract import Store

__all__ = ["Mender"]

_AT_ONCE = 1000


class Mender:
    """For one store. Each call is whole or not at all in each batch, and the same again changes nothing."""

    def __init__(self, store: Store, report: CheckReport, dry_run: bool = False) -> None:
        self._store, self._report, self._dry_run = store, report, dry_run
        mending = store.mending
        self._write: dict[str, Callable[[Sequence[Any]], Awaitable[None]]] = {
            "hit": mending.mend_hits,
            "reject": mending.mend_rejects,
            "delivery": mending.mend_deliveries,
        }
        self._remove: dict[str, Callable[[Sequence[Any]], Awaitable[None]]] = {
            "hit": mending.remove_hits,
            "reject": mending.remove_rejects,
            "delivery": mending.remove_deliveries,
        }
        for kind in COUNTED:
            self._write[kind.one] = partial(store.ledgers.mend_events, kind)
            self._remove[kind.one] = partial(store.ledgers.remove_events, kind)
            self._write[f"{kind.one} sum"] = partial(store.ledgers.mend_sums, kind)
            self._remove[f"{kind.one} sum"] = partial(store.ledgers.remove_sums, kind)

    async def write(self, record: str, records: Sequence[Any]) -> None:
        """`record`: hit, reject, delivery, or of a counted kind `vote`, `vote sum`."""
        await self._in_batches("written", record, self._write[record], records)

    async def remove(self, record: str, records: Sequence[Any]) -> None:
        """As they are stored; deliveries by (key, window start)."""
        await self._in_batches("removed", record, self._remove[record], records)

    async def remove_unreadable(self, found: Sequence[UnreadableRecord]) -> None:
        """Records that cannot be read: the next look misses them, and writes what is known of them."""
        if not self._dry_run:
            await self._store.mending.remove_unreadable(found)
        for each in found:
            self._report.mended[self._store.name, each.record, "removed"] += 1

    async def recount(self) -> None:
        """Of a store that keeps its counts beside the records."""
        if not self._dry_run:
            await self._store.mending.recount()
        self._report.mended[self._store.name, "count", "written"] += 1

    async def _in_batches(
        self, what: str, record: str, call: Callable[[Sequence[Any]], Awaitable[None]], records: Sequence[Any]
    ) -> None:
        for at in range(0, len(records), _AT_ONCE):
            batch = records[at : at + _AT_ONCE]
            if not self._dry_run:
                await call(batch)
                crash_point("mended")
            self._report.mended[self._store.name, record, what] += len(batch)
