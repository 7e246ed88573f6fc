"""All comparisons of a run, in their order: hits, rejects, deliveries and counted events of each store, then the stores among one
another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from app.checking.counted import compare_counted
from app.checking.deliveries import Basis, compare_reduced
from app.checking.look import Look
from app.checking.mender import Mender
from app.checking.raw_records import HITS, REJECTS, compare_raw
from app.checking.remade_deliveries import RemadeDeliveries
from app.checking.report import UNREADABLE, CheckReport, Difference
from app.checking.store_digests import StoreDigests
from app.checking.store_pairs import ALL_KINDS, compare_stores, find_doubles
from app.checking.topic_view import TopicView
from app.checking.unread import compare_lines, report_losses
from app.domain.open_deliveries import SizeOf, no_sizes
from app.errors import UnreadableRecord
from app.flows.registry import COUNTED
from app.settings import Settings
from app.stores.contract import Store
from app.stores.refused import refusal_id
from app.transports.broker_view import BrokerView

__all__ = ["CheckRun", "check_stores", "reconcile"]


class CheckRun(NamedTuple):
    """What a run compares with."""

    settings: Settings
    reader: BrokerView | None
    size_of: SizeOf = no_sizes
    topic: bool = True
    """Compare with what the topics hold."""
    raw: bool = True
    """Compare deliveries with what the stored raw hits make."""
    on_progress: Callable[[str, int], object] = lambda what, count: None
    clock: Callable[[], float] = time.time
    """What retention is measured by."""

    def view_of(self, store: Store) -> TopicView | None:
        if self.reader is None:
            return None
        own = self.settings.flow_id
        return TopicView(self.reader, own, f"{own}-{store.name}", self.on_progress)


async def reconcile(
    run: CheckRun, store: Store, report: CheckReport, mender: Mender | None = None
) -> tuple[TopicView | None, StoreDigests]:
    """One store against the topics and against itself; with a mender, what differs is mended on the way.

    Returns the view taken of the topics, and what was learnt of the store, as it was before anything was mended.
    """
    settings, view = run.settings, run.view_of(store)
    unreadable: dict[str, UnreadableRecord] = {}

    def tell(error: UnreadableRecord) -> None:
        if error.name not in unreadable:
            unreadable[error.name] = error
            report.add(Difference(store.name, error.record, UNREADABLE, error.name, error.why))

    store.reads.on_unreadable = store.ledgers.on_unreadable = tell
    kept = settings.store_raw
    # hits that are mended must be read again, to be merged as they are then
    seen = StoreDigests(RemadeDeliveries(settings.rules, run.size_of) if mender is None and run.raw else None)
    look = Look(store, view, settings, report, mender, seen)
    report.totals[store.name] = await store.reads.counts()
    if view is None:
        if run.topic:
            report.skipped.append(f"{store.name}: there is no log, so it is compared with its own raw hits alone")
    else:
        if waiting := view.waiting():
            report.waiting[store.name] = waiting
            report.totals[store.name] = report.totals[store.name]._replace(settled=False)
        if kept == "all" and run.topic:
            await compare_raw(HITS, look, view, await _refused(view, store.name))
        if kept != "none" and run.topic:
            await compare_raw(REJECTS, look, view, ())
    if kept != "all" and run.raw:
        report.skipped.append(
            f"{store.name}: WEBLOGS_STORE_RAW={kept}, so no raw hits tell what its deliveries must be"
        )
    learned_then = bool(settings.learn_sizes) and mender is None
    await compare_reduced(look, Basis(settings.rules, run.size_of, kept == "all" and run.raw, run.topic, learned_then))
    for kind in COUNTED:
        await compare_counted(kind, look._replace(view=view if run.topic else None), run.clock(), run.raw)
    await _compare_counts(store, report, mender)
    removable = [each for each in unreadable.values() if each.place is not None]
    if mender is not None and removable:
        await mender.remove_unreadable(removable)
    if view is not None and view.foreign:
        named = ", ".join(f"{count:,} of {topic}" for topic, count in sorted(view.foreign.items()))
        report.skipped.append(f"{store.name}: messages that cannot be read were passed over: {named}; see the rejects")
    return view, seen


async def _compare_counts(store: Store, report: CheckReport, mender: Mender | None) -> None:
    """A store that keeps its counts beside the records can be asked whether they agree."""
    if await store.mending.miscounted():
        report.add(Difference(store.name, "count", "altered", "counts", "they are not those of the records"))
        if mender is not None:
            await mender.recount()


async def check_stores(run: CheckRun, stores: Sequence[Store], report: CheckReport) -> None:
    """Every store by itself, then what was never read, then each store against the first one."""
    looks = [await reconcile(run, store, report) for store in stores]
    for store, (_, seen) in zip(stores, looks, strict=True):
        if not store.mending.holds_no_doubles:
            await find_doubles(HITS, store, report, seen)
            await find_doubles(REJECTS, store, report, seen)
    if run.reader is not None:
        losses = await asyncio.to_thread(report_losses, run.reader, run.settings, report)
        await compare_lines(run.reader, run.settings, stores, losses, report)
    views = [view for view, _ in looks if view is not None]
    refused: set[str] = set()
    if len(stores) > 1 and run.topic and views:
        refused.update(*[await _refused(views[0], store.name) for store in stores])
    for other, (_, seen) in zip(stores[1:], looks[1:], strict=True):
        for kind in ALL_KINDS:
            both = (looks[0][1], seen)
            await compare_stores(kind, stores[0], other, run.settings.partitions, report, views, both, refused)


async def _refused(view: TopicView, store: str) -> set[str]:
    """Raw ids of what the store refused for good, as the topic of rejects tells."""
    reason = f"refused_by_{store}"
    return {
        refusal_id(store, reject.raw_id)
        async for rejects in view.rejects()
        for reject in rejects
        if reject.reason == reason
    }
