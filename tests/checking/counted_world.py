"""A log and a store with votes and transactions as the counting flow leaves them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.domain.counted import CountedKind, partition_by
from app.engine.partition import MemoryPart
from app.flows.registry import COUNTED
from app.flows.spending import SPENDING, Transaction
from app.flows.votes import VOTES, Vote
from app.messages.events import decode_counted, encode_counted
from app.steps.ledger import Arrived, Ledger
from app.transports.messages import Message
from tests.checking.world import BASE_S, PARTITIONS, World

REDUCED = tuple(kind.reduced for kind in COUNTED)


def some_votes(count: int = 60, first: int = 0, begin_s: float = BASE_S) -> list[Vote]:
    """Of a few candidates and kiosks, seven seconds apart."""
    return [
        Vote(f"v{first + n}", n % 3, begin_s + 7.0 * n, ("hall", None, "ca/fé")[n % 3], f"u{n % 9}", None)
        for n in range(count)
    ]


def some_transactions(count: int = 60, first: int = 0, begin_s: float = BASE_S) -> list[Transaction]:
    """Of a few users, eleven minutes apart."""
    return [
        Transaction(f"t{first + n}", f"u{n % 5}", begin_s + 660.0 * n, random.Random(n).randint(-50, 9999))
        for n in range(count)
    ]


class CountedWorld(World):
    """What is sent is counted as in a worker; the store has all of it at once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ledgers: dict[str, Any] = {kind.name: Ledger(kind.rules(self.settings)) for kind in COUNTED}
        self.states = {(kind.name, n): MemoryPart() for kind in COUNTED for n in range(PARTITIONS)}
        self.offsets = dict.fromkeys(self.states, 0)
        with self.log() as log:
            for kind in COUNTED:
                for topic in kind.topics:
                    log.create_topic(topic, PARTITIONS)
            log.register_group("weblogs-sqlite", REDUCED)

    def count(
        self, kind: CountedKind[Any], events: Sequence[Any], now: float = BASE_S + 1e6, stored: bool = True
    ) -> list[Message]:
        """Gives the messages of what counts."""
        by_partition: dict[int, list[Any]] = {}
        for event in events:
            by_partition.setdefault(partition_by(kind.spread_by(event, self.settings), PARTITIONS), []).append(event)
        messages = []
        for partition, some in by_partition.items():
            at = (kind.name, partition)
            arrived = Arrived(self.offsets[at], now, some)
            self.offsets[at] += 1
            for step in self.ledgers[kind.name].steps(f"{kind.name}@1", partition, self.states[at], [arrived]):
                self.states[at].apply(step.changes.items(), 0)
                messages += [
                    Message(kind.reduced, partition, None, value, {}, now)
                    for value in encode_counted(step.events, step.sums)
                ]
        with self.log() as log:
            log.append(messages)
            if stored:
                self.commit(log, "weblogs-sqlite")
        if stored:
            self.with_store(lambda store: write_counted(store, messages))
        return messages

    def commit(self, log: Any, group: str) -> None:
        log.commit(group, {key: end for key, end in log.ends().items() if key[0] in REDUCED})


async def write_counted(store: Any, messages: Sequence[Message]) -> None:
    for each in messages:
        kind = next(kind for kind in COUNTED if kind.reduced == each.topic)
        found = decode_counted(kind, each.value or b"")
        assert await store.ledgers.write_events(kind, found.events) == []
        assert await store.ledgers.write_sums(kind, found.sums) == []


async def all_counted(store: Any) -> list[list[Any]]:
    """Everything that a store keeps of counted events, sorted."""
    found = []
    for kind in (VOTES, SPENDING):
        found.append(sorted([each async for each in store.ledgers.all_events(kind)], key=repr))
        found.append(sorted([each async for each in store.ledgers.all_sums(kind)]))
    return found
