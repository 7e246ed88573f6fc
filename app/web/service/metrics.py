"""`/metrics`: the worker's numbers for Prometheus. Names carry their unit."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from app.domain.totals import Totals
from app.errors import StoreError
from app.stores.contract import Store
from app.web.service.health import StoreState, progress_problems, store_state
from app.web.service.parts import PARTS, STORE_TIMEOUT_S
from app.web.service.status import Snapshot
from app.words import visible

__all__ = ["MAX_SOURCES", "answer_metrics"]

MAX_SOURCES = 100
"""Sources whose watermark is told, newest first: a label for each of many thousand files would swamp the scraper."""


def _labelled(family: Metric, values: Mapping[str, float]) -> Metric:
    for label, value in sorted(values.items()):
        family.add_metric([visible(label)], value)  # type: ignore[attr-defined]
    return family


def _flow(snapshot: Snapshot) -> Iterable[Metric]:
    yield CounterMetricFamily("weblogs_lines", "Lines tokenized: hits, rejects and head lines.", value=snapshot.lines)
    yield CounterMetricFamily("weblogs_hits", "Lines that are hits.", value=snapshot.hits)
    yield _labelled(
        CounterMetricFamily("weblogs_rejects", "Lines that are no hit, by reason.", labels=["reason"]), snapshot.rejects
    )
    events = CounterMetricFamily("weblogs_events", "Votes and transactions that came.", labels=["topic", "outcome"])
    for (topic, outcome), number in sorted(snapshot.events.items()):
        events.add_metric([topic, outcome], number)
    yield events
    yield GaugeMetricFamily(
        "weblogs_state_entries", "Keys held in the table of byte ranges.", value=snapshot.state_entries
    )
    lag = GaugeMetricFamily(
        "weblogs_lag_messages", "Messages not yet committed.", labels=["group", "topic", "partition"]
    )
    for (group, topic, partition), messages in sorted(snapshot.lag.items()):
        lag.add_metric([group, topic, str(partition)], messages)
    yield lag


def _lost(snapshot: Snapshot) -> Iterable[Metric]:
    yield _labelled(
        CounterMetricFamily("weblogs_bad_ids", "Messages whose shipper gave them an id that is none.", labels=["why"]),
        snapshot.bad_ids,
    )
    lost = CounterMetricFamily(
        "weblogs_lost_messages",
        "Messages that were deleted, or passed over, before a group read them.",
        labels=["group", "topic"],
    )
    for (group, topic), messages in sorted(snapshot.lost.items()):
        lost.add_metric([group, topic], messages)
    yield lost


def _progress(snapshot: Snapshot, healthy: bool) -> Iterable[Metric]:
    newest = dict(heapq.nlargest(MAX_SOURCES, snapshot.watermarks.items(), key=lambda item: item[1]))
    yield _labelled(
        GaugeMetricFamily(
            "weblogs_watermark_seconds", "Highest event time seen in a source, newest sources.", labels=["source"]
        ),
        newest,
    )
    yield GaugeMetricFamily("weblogs_sources", "Sources with a watermark.", value=len(snapshot.watermarks))
    if snapshot.started is not None:
        yield GaugeMetricFamily(
            "weblogs_started_timestamp_seconds", "When the worker was ready.", value=snapshot.started
        )
    if snapshot.committed_at is not None:
        yield GaugeMetricFamily(
            "weblogs_committed_timestamp_seconds", "When an offset was last committed.", value=snapshot.committed_at
        )
    yield GaugeMetricFamily("weblogs_progressing", "1 unless the worker is stalled or not ready.", value=float(healthy))


def _stores(snapshot: Snapshot, states: Mapping[str, StoreState], totals: Totals | None) -> Iterable[Metric]:
    backlog = GaugeMetricFamily("weblogs_store_backlog_messages", "Messages that wait for a store.", labels=["store"])
    yield _labelled(backlog, snapshot.backlog)
    yield _labelled(
        GaugeMetricFamily("weblogs_store_up", "1 unless nobody reaches the store; a slow one is up.", labels=["store"]),
        {store: state.up for store, state in states.items()},
    )
    yield _labelled(
        GaugeMetricFamily(
            "weblogs_store_slow", "1 if the store is up and answers no ping within 5 s.", labels=["store"]
        ),
        {store: state.up and state.problem != "" for store, state in states.items()},
    )
    failing = GaugeMetricFamily("weblogs_store_failing", "1 while a failed write is tried again.", labels=["store"])
    yield _labelled(failing, snapshot.failing)
    retries = CounterMetricFamily("weblogs_store_retries", "Writes that failed and were tried again.", labels=["store"])
    yield _labelled(retries, snapshot.store_retries)
    refused = CounterMetricFamily("weblogs_store_refused", "Records that the store refused for good.", labels=["store"])
    yield _labelled(refused, snapshot.store_refused)
    if totals is not None:
        yield _labelled(
            GaugeMetricFamily("weblogs_deliveries", "Deliveries in the store, by verdict.", labels=["verdict"]),
            totals.deliveries,
        )
        yield _labelled(
            GaugeMetricFamily(
                "weblogs_complete_deliveries", "Complete deliveries, by what they rest on.", labels=["evidence"]
            ),
            totals.complete,
        )


class _Worker:
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


async def _totals(store: Store) -> Totals | None:
    """What the store counts; None if it does not tell it in time."""
    try:
        async with asyncio.timeout(STORE_TIMEOUT_S):
            return await store.reads.counts()
    except (StoreError, TimeoutError):
        return None


async def answer_metrics(request: web.Request) -> web.Response:
    """Text in Prometheus' format; a store that does not answer costs its own figures only."""
    parts = request.app[PARTS]
    snapshot = parts.status.snapshot()
    healthy = not progress_problems(snapshot, parts.settings.stall_after)
    pings = asyncio.gather(*map(store_state, parts.stores))
    totals, states = await asyncio.gather(_totals(parts.store), pings)
    up = {store.name: state for store, state in zip(parts.stores, states, strict=True)}
    registry = CollectorRegistry()
    families = [*_flow(snapshot), *_progress(snapshot, healthy), *_lost(snapshot), *_stores(snapshot, up, totals)]
    registry.register(_Worker(families))
    ProcessCollector(registry=registry)
    return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
