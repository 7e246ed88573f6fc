"""`python -m bench.store_elasticsearch`: the store beside a bare bulk loader with the same documents, on the same server in the same run."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import click
import msgspec

from app.domain.records import Hit, raw_ids
from app.process.memory import collect_seldom
from app.settings import Settings, settings
from app.stores.contract import KINDS
from app.stores.elasticsearch.documents import hit_item
from app.stores.elasticsearch.store import ElasticsearchStore

_BATCH = 20_000
"""Hits that the flow hands over at a time."""


def _hits(count: int) -> list[Hit]:
    rnd = random.Random(1)
    id_of = raw_ids("bench")
    hits = []
    for position in range(count):
        lo = rnd.randrange(0, 10**9)
        client = f"10.{rnd.randrange(64)}.{rnd.randrange(64)}.{rnd.randrange(64)}"
        agent = f"Mozilla/5.0 (X11; Linux x86_64) Player/{rnd.randrange(200)}.0"
        request = f"GET /media/video-{rnd.randrange(5000)}.mp4"
        time_s = 1.7e9 + position / 100
        hits.append(
            Hit(
                time_s,
                client,
                agent,
                request,
                "GET",
                206,
                lo,
                lo + 65535,
                65536,
                10**9,
                0,
                {},
                id_of(position),
                "bench",
                position,
            )
        )
    return hits


def _prefixed(own: Settings) -> Settings:
    return msgspec.structs.replace(own, elasticsearch_prefix=f"bench-{uuid4().hex[:8]}-")


async def _through_store(own: Settings, hits: Sequence[Hit]) -> float:
    store = ElasticsearchStore(_prefixed(own))
    await store.open()
    await store.writes.write_hits(hits[:1])  # the day's index is made
    began = time.perf_counter()
    for begin in range(0, len(hits), _BATCH):
        assert await store.writes.write_hits(hits[begin : begin + _BATCH]) == []
    seconds = time.perf_counter() - began
    assert (await store.reads.counts()).hits == len(hits)
    await store.retention.drop(KINDS)
    await store.close()
    return seconds


def _actions(hits: Sequence[Hit], store: ElasticsearchStore) -> list[dict[str, Any]]:
    """The very documents of the store, made before the clock starts."""
    actions = []
    for hit in hits:
        action, document = map(json.loads, hit_item(hit, store.names.raw_index, 0).lines.split(b"\n")[:2])
        actions.append({"_op_type": "create", **action["create"], "_source": document})
    return actions


async def _bare(own: Settings, hits: Sequence[Hit], kind: str) -> float:
    """The driver's own bulk helpers: async_bulk, or parallel_bulk with as many threads as the store has requests under way."""
    from elasticsearch import AsyncElasticsearch, Elasticsearch
    from elasticsearch.helpers import async_bulk, parallel_bulk

    own = _prefixed(own)
    store = ElasticsearchStore(own)
    await store.open()
    await store.writes.write_hits(hits[:1])
    actions = _actions(hits[1:], store)
    if kind == "async_bulk":
        async with AsyncElasticsearch(own.elasticsearch_url, request_timeout=60) as client:
            began = time.perf_counter()
            await async_bulk(client, iter(actions), chunk_size=5000, max_chunk_bytes=own.elasticsearch_bulk_bytes)
            seconds = time.perf_counter() - began
    else:

        def load(actions: Iterator[dict[str, Any]]) -> float:
            with Elasticsearch(
                own.elasticsearch_url, request_timeout=60, connections_per_node=own.elasticsearch_in_flight
            ) as client:
                began = time.perf_counter()
                sizes: dict[str, Any] = {"chunk_size": 5000, "max_chunk_bytes": own.elasticsearch_bulk_bytes}
                for taken, told in parallel_bulk(client, actions, thread_count=own.elasticsearch_in_flight, **sizes):
                    assert taken, told
                return time.perf_counter() - began

        seconds = await asyncio.to_thread(load, iter(actions))
    assert (await store.reads.counts()).hits == len(hits)
    await store.retention.drop(KINDS)
    await store.close()
    return seconds


def measure(own: Settings, count: int, runs: int) -> dict[str, list[float]]:
    """Hits a second of each way: the driver's two bulk helpers, and the store."""
    hits = _hits(count)
    rates: dict[str, list[float]] = {"async_bulk": [], "parallel_bulk": [], "the store": []}
    for _ in range(runs):
        for kind, found in rates.items():
            seconds = asyncio.run(_through_store(own, hits) if kind == "the store" else _bare(own, hits, kind))
            found.append(count / seconds)
    return rates


@click.command()
@click.option("--hits", "count", type=int, default=200_000, show_default=True, help="Hits written in each run.")
@click.option("--runs", type=int, default=3, show_default=True, help="Runs of each, in turn.")
def main(count: int, runs: int) -> None:
    """Hits a second into the store of the settings, and what a bare bulk loader reaches with the same documents."""
    collect_seldom()  # as a worker does, for all ways
    rates = measure(settings(), count, runs)
    best = max(statistics.median(found) for kind, found in rates.items() if kind != "the store")
    for kind, found in rates.items():
        median = statistics.median(found)
        click.echo(
            f"{kind:15} {median:9,.0f} hits/s ({min(found):,.0f} to {max(found):,.0f}), {median / best:4.0%} of the faster bare loader"
        )


if __name__ == "__main__":
    main(prog_name="python -m bench.store_elasticsearch")
