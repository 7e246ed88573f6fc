"""What a worker makes of lines and puts into its stores, without the worker: the steps of its agents, one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from agents.count_requests import requests_of
from app.domain.counted import Sum
from app.domain.records import Hit, Reject
from app.engine.partition import MemoryPart
from app.flows.requests import REQUESTS
from app.messages.origins import Lines
from app.messages.tokens import decode_tokens, encode_tokens, hits_of
from app.reducing.job import Job, Statistics
from app.reducing.run import deliveries_of
from app.settings import Settings
from app.steps.ledger import Arrived, Ledger
from app.steps.tokenizer import Tokenizer
from app.stores import open_store

__all__ = ["NOW", "Flowed", "flowed", "store_of"]

PARTITIONS = 2
NOW = 1_600_000_000.0


class Flowed:
    """Hits, rejects and sums of requests, as the flow sends them on."""

    def __init__(self, settings: Settings) -> None:
        self._tokenizer = Tokenizer(PARTITIONS, columns_from_bytes=4096)
        self._ledger = Ledger(REQUESTS.rules(settings))
        self._states = [MemoryPart() for _ in range(PARTITIONS)]
        self._offsets = [0] * PARTITIONS
        self.hits: list[Hit] = []
        self.rejects: list[Reject] = []
        self.sums: list[Sum] = []

    def take(self, offset: int, value: bytes, now: float = NOW) -> None:
        """A message of lines: the same offset is the same message, which a worker reads again after it was killed."""
        found = self._tokenizer.tokenize([Lines("weblogs@1", 0, offset, now, value, {})])
        self.rejects += found.rejects
        for partition, tokens in found.tokens.items():
            for message in encode_tokens(tokens):
                self.hits += hits_of(decode_tokens(message))
                arrived = Arrived(self._offsets[partition], now, requests_of(message).events)
                self._offsets[partition] += 1
                for step in self._ledger.steps("tokens@1", partition, self._states[partition], [arrived]):
                    self.sums += step.sums
                    self._states[partition].apply(step.changes.items(), 0)


def flowed(log: Path, folder: Path, repeats: Iterable[int] = (), at_once: int = 7) -> Settings:
    """The settings of a SQLite store that holds a log: see `store_of`."""
    settings = Settings(data_dir=folder, count_requests=True, retention="90,90")
    asyncio.run(store_of(log, settings, repeats, at_once))
    return settings


async def store_of(log: Path, settings: Settings, repeats: Iterable[int] = (), at_once: int = 7) -> None:
    """Put a log into the SQLite store, some lines a message; the messages `repeats` were sent twice."""
    flow, lines = Flowed(settings), log.read_bytes().splitlines(keepends=True)
    messages = [b"".join(lines[at : at + at_once]) for at in range(0, len(lines), at_once)]
    for offset in (*range(len(messages)), *repeats):
        flow.take(offset, messages[offset])
    judged = list(deliveries_of(Job([str(log)], columns_from_bytes=0), Statistics()))
    opened = open_store("sqlite", settings)
    await opened.open()
    assert await opened.writes.write_hits(flow.hits) == []
    assert await opened.writes.write_rejects(flow.rejects) == []
    assert await opened.writes.write_deliveries(judged) == []
    assert await opened.ledgers.write_sums(REQUESTS, flow.sums) == []
    await opened.close()
