"""Bytewax: stateful_map over its own exchange, state in its recovery store. Run by `python -m bytewax.run bench.peers.stream_bytewax`."""

from __future__ import annotations

import json
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow

from bench.peers.job import Hit, add, parse, place

_place = place()


def _hit(message: Any) -> tuple[str, Hit] | None:
    found = parse(message.value.decode())
    return None if found is None else (json.dumps(found[0]), found[1])


def _merge(sessions: list[Any] | None, hit: Hit) -> tuple[list[Any], list[Any]]:
    merged = add(sessions or [], hit)
    return merged, merged


def _message(pair: tuple[str, list[Any]]) -> KafkaSinkMessage:
    return KafkaSinkMessage(pair[0].encode(), json.dumps(pair[1]).encode())


flow = Dataflow("weblogs")
source = kafka.input("lines", flow, brokers=[_place.server], topics=[_place.source], batch_size=1000)
hits = op.filter_map("parse", source.oks, _hit)
sessions = op.stateful_map("merge", hits, _merge)
kafka.output("results", op.map("encode", sessions, _message), brokers=[_place.server], topic=_place.target)
