"""The state of a partition, in memory and on disk: what the changelog says, and nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine import partition as parts
from app.engine.partition import DeliveriesPart, MemoryPart, RocksPart
from tests.properties import examples

AGE_S = 3600.0
plain = [b"a", b"b", b"\0clock|1", b"\0rules"]
deliveries = [b'["1","2","3"]', b'["1","2","4"]', b'["1","3","4"]', b'["\\",\\"","","3"]', b"\0clock|1", b"\0rules"]


Batch = list[tuple[bytes, bytes | None]]


def batches_of(keys: list[bytes]) -> st.SearchStrategy[list[Batch]]:
    return st.lists(
        st.lists(st.tuples(st.sampled_from(keys), st.none() | st.binary(max_size=20)), max_size=6), max_size=8
    )


def applied(changes: list[Batch]) -> dict[bytes, bytes]:
    state: dict[bytes, bytes] = {}
    for batch in changes:
        for key, value in batch:
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
    return state


@settings(max_examples=examples(30), deadline=None)
@given(batches_of(plain + deliveries))
def test_both_kinds_hold_what_the_changes_say_and_the_one_on_disk_holds_it_after_a_reopening(
    tmp_path_factory: pytest.TempPathFactory, changes: list[Batch]
) -> None:
    folder = tmp_path_factory.mktemp("part") / "p"
    memory, rocks = MemoryPart(), RocksPart(folder, "log", AGE_S)
    for number, batch in enumerate(changes, 1):
        memory.apply(batch, number)
        rocks.apply(batch, number)
    wanted = applied(changes)
    for part in (memory, rocks):
        assert dict(part.items()) == wanted
        assert {key: part.get(key) for key in (b"a", b"\0rules", b"none")} == {
            key: wanted.get(key) for key in (b"a", b"\0rules", b"none")
        }
        asked = [b"none", *wanted, b"a"]
        assert part.get_many(asked) == [*map(wanted.get, asked)] and part.get_many([]) == []
        assert part.next_offset == len(changes)
    assert memory.entries == len([key for key in wanted if key[0]])
    rocks.close()
    again = RocksPart(folder, "log", AGE_S)
    assert dict(again.items()) == wanted
    assert again.next_offset == (len(changes) if changes else 0)
    again.close()


@settings(deadline=None)
@given(batches_of(deliveries))
def test_the_one_for_deliveries_holds_it_under_short_keys(changes: list[Batch]) -> None:
    part = DeliveriesPart()
    for number, batch in enumerate(changes, 1):
        part.apply(batch, number)
        wanted = applied(changes[:number])
        assert dict(part.items()) == wanted
        assert {key: part.get(key) for key in deliveries} == {key: wanted.get(key) for key in deliveries}
        assert part.get_many(deliveries) == [*map(wanted.get, deliveries)]
        assert part.entries == len([key for key in wanted if key[0]])
    assert part.next_offset == len(changes)


def test_the_one_for_deliveries_may_change_while_it_is_gone_through() -> None:
    part, names = DeliveriesPart(), [b'["%d","agent","GET /"]' % number for number in range(100)]
    part.apply([(name, b"v") for name in names], 1)
    seen = []
    for key, value in part.items():
        seen.append((key, value))
        part.apply([(key, None), (b'["new","other","%d"]' % len(seen), b"w")], 2)
    assert seen == [(name, b"v") for name in names]
    assert part.entries == 100


def test_the_one_for_deliveries_forgets_agents_that_are_gone() -> None:
    part = DeliveriesPart()
    part.apply([(b'["1","stays","GET /"]', b"v")], 1)
    for number in range(10_000):
        part.apply([(b'["1","agent %d","GET /"]' % number, b"v")], 1)
        part.apply([(b'["1","agent %d","GET /"]' % number, None)], 1)
    assert len(part._keys) < 2 * parts._AGENTS
    assert dict(part.items()) == {b'["1","stays","GET /"]': b"v"}


def test_a_part_on_disk_of_another_topic_or_too_old_begins_with_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(log: str, age_s: float = AGE_S) -> tuple[dict[bytes, bytes], int]:
        part = RocksPart(tmp_path / "p", log, age_s)
        found = dict(part.items()), part.next_offset
        part.apply([(b"k", b"v")], 5)
        part.close()
        return found

    assert opened("one") == ({}, 0)
    assert opened("one") == ({b"k": b"v"}, 5)
    assert opened("other") == ({}, 0)
    later = time.time() + AGE_S + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert opened("other") == ({}, 0)


def test_what_is_gone_through_on_disk_is_the_state_as_it_was(tmp_path: Path) -> None:
    part = RocksPart(tmp_path / "p", "log", AGE_S)
    part.apply([(b"%d" % number, b"v") for number in range(100)], 1)
    seen = 0
    for key, _ in part.items():
        part.apply([(key, None), (b"new" + key, b"w")], 2)
        seen += 1
    assert seen == 100
    part.close()


def test_a_wiped_part_is_empty(tmp_path: Path) -> None:
    for part in (MemoryPart(), DeliveriesPart(), RocksPart(tmp_path / "p", "log", AGE_S)):
        part.apply([(b"\0k", b"v"), (deliveries[0], b"v")], 7)
        part.wipe()
        assert part.entries == 0
        assert (dict(part.items()), part.next_offset) == ({}, 0)
        part.close()
