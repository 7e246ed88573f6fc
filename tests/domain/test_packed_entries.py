"""An entry that was packed and unpacked is the entry: in all that it holds, and in all that it does from then on."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.entries import Entry
from app.domain.tallies import Mark, Part, Tally
from app.domain.windows import WINDOWS, Rules
from app.messages.state_values import pack_entry, unpack_entry
from tests.properties import examples

DAY_S = 86_400.0
MARKS = [*range(64), *(one << shift for one in (1, 3) for shift in range(7, 17)), 36 | Mark.BROKEN]
SIZES = {"small": 2**16, "in 64 bits": 2**64 - 1, "beyond 64 bits": 10**40}


def parts_up_to(most: int) -> st.SearchStrategy[Part]:
    """Hits of a few days, some with whole seconds, some whose ranges are none."""
    numbers = st.integers(0, most // 2) | st.sampled_from([0, most // 2])
    times = st.integers(0, 4 * 86_400).map(float) | st.floats(0, 4 * DAY_S) | st.just(-0.5)
    return st.builds(
        lambda time, hit_id, lo, more, sent, total, marks, cut: Part(time, hit_id, lo, lo + more, sent, total, marks, cut),
        times, st.integers(0, 2**64 - 1), numbers, numbers | st.just(-1), numbers, numbers | st.just(-1), st.sampled_from(MARKS), numbers | st.just(-1),
    )  # fmt: skip


def all_of(entry: Entry) -> dict[str, Any]:
    """Everything in it, with the types of the numbers: an integer must not come back for a time."""
    held = {name: getattr(entry, name) for name in Entry.__slots__ if name != "tallies"}
    held["tallies"] = [{name: getattr(tally, name) for name in Tally.__slots__} for tally in entry.tallies]
    times = [entry.touched, entry.floor, entry.evicted_last, entry.lost, *(part.time for part in entry.parts)]
    times += [time for tally in entry.tallies for time in (tally.start, tally.first, tally.last)]
    assert {type(time) for time in times} == {float}
    return held


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("size", SIZES)
@settings(deadline=None, max_examples=examples(40))
@given(data=st.data())
def test_a_packed_entry_is_the_entry(window: str, size: str, data: st.DataObject) -> None:
    rules, parts = Rules(window), parts_up_to(SIZES[size])
    entry = Entry()
    for now in range(data.draw(st.integers(1, 3))):
        entry.merge(data.draw(st.lists(parts, max_size=8, unique_by=lambda part: part.hit_id)), rules)
        entry.touched = now + data.draw(st.sampled_from([0.0, 0.25]))
        entry.fed_by(data.draw(st.integers(0, 2**63 - 1)))
        if data.draw(st.booleans()):
            entry.evict(data.draw(st.floats(0, 6 * DAY_S)), rules)
    if data.draw(st.booleans()):
        entry.sources = None
    if window == "first_touch" and data.draw(st.booleans()):
        entry.lost = data.draw(st.floats(0, 4 * DAY_S))
        entry.recut(rules)
    packed = pack_entry(entry)
    again = unpack_entry(packed, rules)
    assert all_of(again) == all_of(entry)
    assert pack_entry(again) == packed
    more = data.draw(st.lists(parts, max_size=6))
    assert again.merge(more, rules) == entry.merge(more, rules)
    assert [vars_of(tally) for tally in again.evict(3 * DAY_S, rules)] == [
        vars_of(tally) for tally in entry.evict(3 * DAY_S, rules)
    ]
    assert all_of(again) == all_of(entry)


def vars_of(tally: Tally) -> dict[str, Any]:
    return {name: getattr(tally, name) for name in Tally.__slots__}


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("base", [0, 2**31, 2**63 - 5, 2**64, 10**30])
def test_thousands_of_ranges_come_back(window: str, base: int) -> None:
    rules, entry = Rules(window), Entry()
    entry.merge(
        [Part(float(at), at, base + 3 * at, base + 3 * at, 1, -1, Mark.OFFSETS | Mark.SENT, -1) for at in range(3000)],
        rules,
    )
    again = unpack_entry(pack_entry(entry), rules)
    assert all_of(again) == all_of(entry)
    assert len(again.tallies[0].ranges) == 3000


@pytest.mark.parametrize("window", WINDOWS)
def test_an_empty_entry_comes_back(window: str) -> None:
    entry = unpack_entry(pack_entry(Entry()), Rules(window))
    assert all_of(entry) == all_of(Entry())
    assert math.isinf(entry.floor)


def test_a_delivery_of_eight_hits_apart_is_small() -> None:
    entry = Entry()
    entry.merge(
        [Part(1.6e9 + 600 * at, 2**64 // 9 * at, 2000 * at, 2000 * at + 999, 1000, -1, 36, -1) for at in range(1, 9)],
        Rules("last_touch"),
    )
    entry.touched, entry.sources = 1.7e9 + 0.123, (2**62,)
    assert len(pack_entry(entry)) <= 160
