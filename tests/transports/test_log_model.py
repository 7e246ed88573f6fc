"""The log against a model of plain dictionaries, by random operations."""

from __future__ import annotations

import shutil
import tempfile
import time
from itertools import chain
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.errors import Fenced, LogError
from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message
from tests.properties import examples

PARTITIONS = 2
partition = st.integers(0, PARTITIONS - 1)
value = st.none() | st.binary(max_size=40)
keys = st.sampled_from([b"a", b"b", b"c", b"d"])


class LogModel(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.log = EmbeddedLog(self.folder / "log.db", keep_s=0.0)
        self.log.create_topic("lines", PARTITIONS)
        self.log.create_topic("changes", PARTITIONS, compacted=True)
        self.lines: list[list[tuple[bytes | None, bytes | None]]] = [[] for _ in range(PARTITIONS)]
        self.trimmed = [0] * PARTITIONS
        self.changes: list[list[tuple[bytes, bytes | None]]] = [[] for _ in range(PARTITIONS)]
        self.compacted_to = [0] * PARTITIONS
        self.epochs = [0] * PARTITIONS
        self.groups: dict[str, list[int]] = {}

    def teardown(self) -> None:
        if hasattr(self, "log"):
            self.log.close()
            shutil.rmtree(self.folder)

    @rule(messages=st.lists(st.tuples(partition, st.none() | keys, value), max_size=6), external=st.booleans())
    def append(self, messages: list[tuple[int, bytes | None, bytes | None]], external: bool) -> None:
        expected = []
        for number, key, content in messages:
            expected.append(len(self.lines[number]))
            self.lines[number].append((key, content))
        sent = [Message("lines", number, key, content, {}, 0.0) for number, key, content in messages]
        assert self.log.append(sent, external=external) == expected

    @rule(number=partition)
    def take_ownership(self, number: int) -> None:
        self.epochs[number] += 1
        assert self.log.take_ownership("changes", number) == self.epochs[number]

    @rule(number=partition, pairs=st.lists(st.tuples(keys, value), max_size=6))
    def append_batch(self, number: int, pairs: list[tuple[bytes, bytes | None]]) -> None:
        self.changes[number] += pairs
        assert self.log.append_batch("changes", number, pairs, self.epochs[number]) == len(self.changes[number])

    @rule(number=partition, other=st.integers(-3, 3).filter(bool))
    def append_as_another_owner(self, number: int, other: int) -> None:
        with pytest.raises(Fenced):
            self.log.append_batch("changes", number, [(b"a", b"stale")], self.epochs[number] + other)

    @rule(group=st.sampled_from(["g", "h"]))
    def register(self, group: str) -> None:
        self.log.register_group(group, ["lines"])
        self.groups.setdefault(group, [0] * PARTITIONS)

    @precondition(lambda self: self.groups)
    @rule(data=st.data(), number=partition)
    def commit(self, data: st.DataObject, number: int) -> None:
        group = data.draw(st.sampled_from(sorted(self.groups)))
        offset = data.draw(st.integers(0, len(self.lines[number])))
        self.log.commit(group, {("lines", number): offset})
        self.groups[group][number] = offset

    @rule()
    def trim(self) -> None:
        before = sum(self.trimmed)
        for number in range(PARTITIONS):
            slowest = min((offsets[number] for offsets in self.groups.values()), default=0)
            self.trimmed[number] = max(self.trimmed[number], slowest)
        assert self.log.trim(time.time() + 1) == sum(self.trimmed) - before

    @rule(number=partition)
    def compact(self, number: int) -> None:
        if self.log.compact("changes", number, at_least_bytes=1):
            self.compacted_to[number] = len(self.changes[number])

    @rule()
    def reopen(self) -> None:
        self.log.close()
        self.log = EmbeddedLog(self.folder / "log.db", keep_s=0.0)

    @rule(number=partition, data=st.data())
    def read(self, number: int, data: st.DataObject) -> None:
        start = data.draw(st.integers(0, len(self.lines[number])))
        most = data.draw(st.integers(1, 5))
        rows = self.log.read("lines", number, start, max_records=most)
        begin = max(start, self.trimmed[number])
        assert [(row.offset, row.key, row.value) for row in rows] == [
            (offset, *pair) for offset, pair in enumerate(self.lines[number]) if offset >= begin
        ][:most]

    @rule(number=partition, data=st.data())
    def read_changelog_from(self, number: int, data: st.DataObject) -> None:
        start = data.draw(st.integers(0, len(self.changes[number])))
        if 0 < start < self.compacted_to[number]:
            with pytest.raises(LogError, match="was compacted"):
                list(self.log.read_changelog("changes", number, start))
        elif start:
            assert (
                list(chain.from_iterable(self.log.read_changelog("changes", number, start)))
                == self.changes[number][start:]
            )
        else:
            state: dict[bytes, bytes | None] = {}
            for pairs in self.log.read_changelog("changes", number):
                state.update(pairs)
            expected = dict(self.changes[number])
            assert {k: v for k, v in state.items() if v is not None} == {
                k: v for k, v in expected.items() if v is not None
            }

    @invariant()
    def bounds_agree(self) -> None:
        if not hasattr(self, "log"):
            return
        expected = {("lines", n): (self.trimmed[n], len(self.lines[n])) for n in range(PARTITIONS)}
        expected |= {("changes", n): (0, len(self.changes[n])) for n in range(PARTITIONS)}
        assert self.log.bounds() == expected


LogModel.TestCase.settings = settings(
    max_examples=examples(25), stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLogModel = LogModel.TestCase
