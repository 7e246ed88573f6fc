"""Token messages through the merger with a state in memory, as the worker runs it, crashes included."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

from app.domain.open_deliveries import SizeOf, no_sizes
from app.domain.records import Delivery, raw_ids
from app.domain.watermarks import Advance, source_number
from app.domain.windows import Rules
from app.engine.partition import MemoryPart
from app.messages.records import decode_deliveries, encode_deliveries
from app.messages.tokens import HitGroup, TokenMessage, decode_tokens, encode_tokens
from app.steps.merger import Merger
from tests.domain.reducing import OneByOne

HOUR_S = 3600.0
BASE_S = 1_596_153_600.0
"""A midnight: 31 July 2020."""
TTL_S = 172_800.0
Key = tuple[str, str, str]
_ids_of = cache(raw_ids)
KEY: Key = ("203.0.113.9", "curl/8", "GET /a")


class Line(NamedTuple):
    """One log line that counts."""

    time: float
    lo: int
    hi: int
    position: int
    """Where it stands in its source: names it."""
    key: Key = KEY
    source: str = "a log"

    @property
    def hit(self) -> tuple[Any, ...]:
        """In the order of Parsed."""
        return (self.time, *self.key, "GET", 206, self.lo, self.hi, None, None, 0, {})

    @property
    def raw_id(self) -> str:
        return _ids_of(self.source)(self.position)


def message(
    lines: Iterable[Line], now: float = 0.0, *, unordered: bool = True, ended: bool = False, tick: bool = False
) -> TokenMessage:
    """A token message as it comes out of the topic; `unordered` lines move no watermark."""
    by_source: dict[str, list[Line]] = {}
    for line in lines:
        by_source.setdefault(line.source, []).append(line)
    groups = []
    for source, some in by_source.items():
        rows = [(*line.hit, line.raw_id, line.position, None) for line in some]
        groups.append(HitGroup.of(source, source_number(source), source, advance_of(some, unordered, ended), rows))
    return decode_tokens(encode_tokens(TokenMessage(now, groups, tick))[0])


def advance_of(lines: Sequence[Line], unordered: bool = False, ended: bool = False) -> Advance:
    """What lines in this order tell of their source's time."""
    times = [line.time for line in lines]
    if not times:
        return Advance(ended=ended, unordered=unordered)
    disorder = max(max(times[: at + 1]) - time for at, time in enumerate(times))
    return Advance(min(times), max(times), disorder, ended, unordered)


class Worker:
    """One partition: its state, and where its records go."""

    def __init__(
        self,
        rules: Rules,
        write: Callable[[list[Delivery]], object],
        max_step_bytes: int = 4 << 20,
        size_of: SizeOf = no_sizes,
        ttl_s: float = TTL_S,
    ) -> None:
        self._make: Callable[[], Merger] = lambda: Merger(rules, size_of, ttl_s, max_step_bytes)
        self._write = write
        self.merger = self._make()
        self.state = MemoryPart()

    def take(self, *messages: TokenMessage) -> int:
        """Merge a batch; gives the number of steps it took."""
        count = 0
        for records, changes, _ in self.merger.steps(0, self.state, messages):
            count += 1
            self._send(records)
            self.apply(changes)
        return count

    def take_and_crash(self, chance: random.Random, *messages: TokenMessage) -> bool:
        """Merge a batch, and die anywhere in it or not at all; True where it died."""
        for records, changes, _ in self.merger.steps(0, self.state, messages):
            self._send(records)
            if chance.random() < 0.25:
                break
            self.apply(changes)
            if chance.random() < 0.1:
                break
        else:
            return False
        self.merger = self._make()
        return True

    def apply(self, changes: dict[bytes, bytes | None]) -> None:
        self.state.apply(changes.items(), 0)

    def _send(self, records: list[Delivery]) -> None:
        self._write([record for value in encode_deliveries(records) for record in decode_deliveries(value)])


def run_with_crashes(worker: Worker, log: Sequence[TokenMessage], chance: random.Random) -> int:
    """Read the log in batches of any size; after a crash, again from any place not later. Gives how often it crashed."""
    at = committed = crashes = 0
    while at < len(log):
        size = chance.randint(1, 4)
        if crashes < 6 and worker.take_and_crash(chance, *log[at : at + size]):
            crashes += 1
            at = committed = chance.randint(committed, at)
            continue
        if crashes >= 6:
            worker.take(*log[at : at + size])
        at += size
        if chance.random() < 0.5:
            committed = min(at, len(log))
    return crashes


class NewestVersions:
    """What a store holds: the highest version of each delivery, superseded ones hidden."""

    def __init__(self) -> None:
        self.held: dict[Key, dict[float, Delivery]] = {}

    def write(self, records: Iterable[Delivery]) -> None:
        for record in records:
            windows = self.held.setdefault(record[:3], {})
            old = windows.get(record.window_start)
            if old is None or record.version > old.version:
                windows[record.window_start] = record

    def visible_of(self, key: Key) -> list[Delivery]:
        """The records of a key as they are, in order of their starts."""
        return [record for _, record in sorted(self.held.get(key, {}).items()) if record.superseded_by is None]

    def visible(self) -> dict[Key, list[Delivery]]:
        return visible(record for windows in self.held.values() for record in windows.values())

    def forget(self, key: Key) -> None:
        self.held.pop(key, None)


def reduced(lines: Iterable[Line], rules: Rules, size_of: SizeOf = no_sizes) -> dict[Key, list[Delivery]]:
    """The deliveries of a set of lines, by the standalone reduction."""
    reduction = OneByOne(rules, size_of)
    for line in lines:
        reduction.add([line.hit], [int(line.raw_id[:16], 16)], source_number(line.source), Advance(unordered=True))
    return visible(reduction.finish())


def visible(records: Iterable[Delivery]) -> dict[Key, list[Delivery]]:
    """By key, what a reader sees of them, in order of their starts: all fields but those that tell how they came about."""
    found: dict[Key, list[Delivery]] = {}
    for record in records:
        if record.superseded_by is None:
            found.setdefault(record[:3], []).append(record._replace(version=0, final=False))
    return {key: sorted(some, key=lambda record: record.window_start) for key, some in found.items()}
