"""`/metrics`: the worker's numbers for Prometheus. Names carry their unit."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

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


def _family(
    make: type[CounterMetricFamily] | type[GaugeMetricFamily],
    name: str,
    says: str,
    values: float | Mapping[Any, float],
    *labels: str,
) -> Metric:
    """One number, or numbers by what the labels say: a text, or a tuple if there are several labels."""
    family = make(name, says, labels=labels)
    for named, value in sorted(values.items()) if isinstance(values, Mapping) else [((), values)]:
        texts = named if isinstance(named, tuple) else (named,)
        family.add_metric([visible(str(text)) for text in texts], value)
    return family


_counter, _gauge = partial(_family, CounterMetricFamily), partial(_family, GaugeMetricFamily)


def _flow(snapshot: Snapshot) -> Iterable[Metric]:
    yield _counter("weblogs_lines", "Lines tokenized: hits, rejects and head lines.", snapshot.lines)
    yield _counter("weblogs_hits", "Lines that are hits.", snapshot.hits)
    yield _counter("weblogs_rejects", "Lines that are no hit, by reason.", snapshot.rejects, "reason")
    yield _counter("weblogs_events", "Votes and transactions that came.", snapshot.events, "topic", "outcome")
    yield _gauge("weblogs_state_entries", "Keys held in the table of byte ranges.", snapshot.state_entries)
    yield _gauge("weblogs_lag_messages", "Messages not yet committed.", snapshot.lag, "group", "topic", "partition")


def _progress(snapshot: Snapshot, healthy: bool) -> Iterable[Metric]:
    newest = dict(heapq.nlargest(MAX_SOURCES, snapshot.watermarks.items(), key=lambda item: item[1]))
    yield _gauge("weblogs_watermark_seconds", "Highest event time seen in a source, newest sources.", newest, "source")
    yield _gauge("weblogs_sources", "Sources with a watermark.", len(snapshot.watermarks))
    if snapshot.started is not None:
        yield _gauge("weblogs_started_timestamp_seconds", "When the worker was ready.", snapshot.started)
    if snapshot.committed_at is not None:
        yield _gauge("weblogs_committed_timestamp_seconds", "When an offset was last committed.", snapshot.committed_at)
    yield _gauge("weblogs_progressing", "1 unless the worker is stalled or not ready.", float(healthy))
    yield _counter("weblogs_bad_ids", "Messages whose shipper gave them an id that is none.", snapshot.bad_ids, "why")
    lost = "Messages that were deleted, or passed over, before a group read them."
    yield _counter("weblogs_lost_messages", lost, snapshot.lost, "group", "topic")


def _stores(snapshot: Snapshot, states: Mapping[str, StoreState], totals: Totals | None) -> Iterable[Metric]:
    up = {store: state.up for store, state in states.items()}
    slow = {store: state.up and state.problem != "" for store, state in states.items()}
    yield _gauge("weblogs_store_backlog_messages", "Messages that wait for a store.", snapshot.backlog, "store")
    yield _gauge("weblogs_store_up", "1 unless nobody reaches the store; a slow one is up.", up, "store")
    yield _gauge("weblogs_store_slow", "1 if the store is up and answers no ping within 5 s.", slow, "store")
    yield _gauge("weblogs_store_failing", "1 while a failed write is tried again.", snapshot.failing, "store")
    yield _counter("weblogs_store_retries", "Writes that failed and were tried again.", snapshot.store_retries, "store")
    yield _counter("weblogs_store_refused", "Records that the store refused for good.", snapshot.store_refused, "store")
    if totals is not None:
        yield _gauge("weblogs_deliveries", "Deliveries in the store, by verdict.", totals.deliveries, "verdict")
        by_evidence = "Complete deliveries, by what they rest on."
        yield _gauge("weblogs_complete_deliveries", by_evidence, totals.complete, "evidence")


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
    families = [*_flow(snapshot), *_progress(snapshot, healthy), *_stores(snapshot, up, totals)]
    registry.register(_Worker(families))
    ProcessCollector(registry=registry)
    return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
