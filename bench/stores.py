"""Part `stores`: the Elasticsearch and the Cassandra store, each beside a bare bulk loader of the same records on the same server."""

from __future__ import annotations

import asyncio

from app.process.memory import collect_seldom
from app.settings import load
from bench import store_cassandra, store_elasticsearch
from bench.context import Context
from bench.figures import Figure, between

__all__ = ["run"]

PART = "stores"


def run(context: Context) -> list[Figure]:
    """Records a second, and the store's share of the bare loader's rate."""
    collect_seldom()  # as a worker does, for all ways
    context.stop("kafka")  # its part of the two cores is theirs now
    context.begin("elasticsearch", "cassandra")
    for kind in ("elasticsearch", "cassandra"):
        context.server(kind)  # one that still starts would take time from the other
    return [*_elasticsearch(context), *_cassandra(context)]


def _elasticsearch(context: Context) -> list[Figure]:
    hits = context.pick(40_000, 1_000)
    own = load(context.server("elasticsearch").settings())
    context.say(f"Elasticsearch: {hits:,} hits, three ways, {context.runs} times")
    rates = store_elasticsearch.measure(own, hits, context.runs)
    context.stop("elasticsearch")
    note = f"{hits:,} hits"
    figures = [Figure(PART, f"Elasticsearch, {way}", tuple(found), "hits/s", note) for way, found in rates.items()]
    bare = max((rates["async_bulk"], rates["parallel_bulk"]), key=max)
    return [
        *figures,
        between(PART, "Elasticsearch, the store, times the faster bare loader", rates["the store"], bare, "x"),
    ]


def _cassandra(context: Context) -> list[Figure]:
    hits, deliveries = context.pick((40_000, 10_000), (1_000, 300))
    own = load(context.server("cassandra").settings())
    context.say(f"Cassandra: {hits:,} hits and {deliveries:,} deliveries, three ways, {context.runs} times")
    measured = asyncio.run(store_cassandra.measure(own, hits, deliveries, context.runs))
    context.stop("cassandra")
    figures = []
    for kind, rates in measured.items():
        count = hits if kind == "hits" else deliveries
        figures += [
            Figure(PART, f"Cassandra {kind}, {way}", tuple(found), f"{kind}/s", f"{count:,} {kind}")
            for way, found in rates.items()
        ]
        figures.append(
            between(PART, f"Cassandra {kind}, the store, times bare", rates["store"], rates["bare, all its rows"], "x")
        )
    return figures
