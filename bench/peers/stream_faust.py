"""Plain Faust, as its documentation shows it: one message a line, one table write a line. Run by `faust -A bench.peers.stream_faust worker`."""

from __future__ import annotations

import json
from typing import Any

import faust

from bench.peers.job import add, parse, place

_place = place()
app = faust.App(
    _place.group,
    broker=f"kafka://{_place.server}",
    store="memory://",  # the changelog in Kafka is what lasts
    datadir=_place.folder,
    key_serializer="raw",
    topic_partitions=_place.partitions,
    topic_replication_factor=1,
    topic_disable_leader=True,
    table_standby_replicas=0,
    consumer_auto_offset_reset="earliest",
)
lines = app.topic(_place.source, value_type=bytes, value_serializer="raw")
hits = app.topic(f"{_place.group}-hits", key_type=bytes, key_serializer="raw", value_serializer="json")
results = app.topic(_place.target, key_type=bytes, key_serializer="raw", value_serializer="json")
sessions = app.Table("sessions", key_type=bytes, default=list)


@app.agent(lines)
async def spread(stream: Any) -> None:
    async for line in stream:
        found = parse(line.decode())
        if found is not None:
            key, hit = found
            await hits.send(key=json.dumps(key).encode(), value=hit)


@app.agent(hits)
async def merge(stream: Any) -> None:
    async for key, hit in stream.items():
        state = add(sessions[key], tuple(hit))
        sessions[key] = state
        await results.send(key=key, value=state)
