"""Windows of event time: the deliveries of a key are a function of the set of its hits."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.deliveries import describe
from app.domain.entries import MAX_SOURCES, Entry
from app.domain.open_deliveries import entry_of
from app.domain.records import Delivery
from app.domain.tallies import MAX_HITS, UNPROVED, Mark, Part
from app.domain.windows import DAY_S, WINDOWS, Rules, bucket_start, cut_first_touch, end
from app.messages.state_values import pack_entry, unpack_entry
from tests.domain.hits import KEY
from tests.properties import examples

FAST = settings(deadline=None, max_examples=examples(80))
LENGTH_S = 10.0
OFFSETS = int(Mark.OFFSETS | Mark.SENT)

MARKS = [
    *range(64),
    *(OFFSETS | Mark.CUT | Mark.BROKEN | some for some in (0, Mark.REACHED)),
    OFFSETS | Mark.ANSWERED,
    *(Mark.SENT | some for some in (Mark.START, Mark.START_ABORTED, Mark.START | Mark.COMPRESSIBLE, Mark.ENCODED)),
    *(Mark.START | Mark.WHOLE, Mark.ANSWERED_WHOLE, Mark.ANSWERED_BROKEN),
]


def utc(day: int, hour: int, minute: int) -> float:
    """August 2020, whose 3rd was a Monday."""
    return datetime(2020, 8, day, hour, minute, tzinfo=UTC).timestamp()


REQUESTS = (utc(3, 22, 0), utc(4, 3, 0), utc(4, 22, 15), utc(5, 23, 15))
"""Monday 22:00, Tuesday 03:00, Tuesday 22:15, Wednesday 23:15."""


def part(time: float, hit_id: int, lo: int = 0, hi: int = 9) -> Part:
    return Part(time, hit_id, lo, hi, hi - lo + 1, -1, OFFSETS, -1)


def windows_of(times: list[float], rules: Rules) -> list[tuple[float, list[float]]]:
    """By the definitions, hit by hit in order of time: the start of each window and the times in it."""
    found: list[tuple[float, list[float]]] = []
    for time in sorted(times):
        if rules.window == "last_touch":
            same = bool(found) and found[-1][1][-1] + rules.length_s > time
        elif rules.window == "first_touch":
            same = bool(found) and found[-1][0] + rules.length_s > time
        else:
            start = math.floor(time / DAY_S) * DAY_S if rules.window == "day" else 0.0
            same = bool(found) and found[-1][0] == start
        if same:
            found[-1][1].append(time)
        else:
            found.append((start if rules.window in ("day", "all") else time, [time]))
    return found


def seen(entry: Entry) -> list[Delivery]:
    return [describe(KEY, tally, 1000) for tally in entry.tallies]


@pytest.mark.parametrize(
    ("window", "starts"), [("day", (1, 2, 4)), ("first_touch", (1, 3, 4)), ("last_touch", (1, 4)), ("all", (1,))]
)
def test_which_requests_start_a_delivery(window: str, starts: tuple[int, ...]) -> None:
    for order in (REQUESTS, REQUESTS[::-1], (REQUESTS[2], *REQUESTS[:2], REQUESTS[3])):
        entry = Entry()
        entry.merge([part(time, REQUESTS.index(time)) for time in order], Rules(window))
        assert [REQUESTS.index(tally.first) + 1 for tally in entry.tallies] == list(starts)


@pytest.mark.parametrize("window", ["last_touch", "first_touch"])
def test_a_window_ends_a_length_after_its_touch_to_the_instant(window: str) -> None:
    for gap, count in ((DAY_S, 2), (math.nextafter(DAY_S, 0), 1)):
        entry = Entry()
        entry.merge([part(0.0, 1), part(gap, 2)], Rules(window))
        assert len(entry.tallies) == count


def test_days_are_those_of_utc() -> None:
    midnight = utc(4, 0, 0)
    assert bucket_start("day", midnight) == midnight
    assert bucket_start("day", midnight - 0.001) == midnight - DAY_S
    assert bucket_start("day", -0.5) == -DAY_S


@pytest.mark.parametrize(
    ("window", "expected"), [("last_touch", 17.0), ("first_touch", 10.0), ("day", DAY_S), ("all", math.inf)]
)
def test_when_a_window_is_over(window: str, expected: float) -> None:
    assert end(Rules(window, 10.0), 0.0, 7.0) == expected


TIMES = st.lists(st.integers(-30, 90).map(float), min_size=1, max_size=14)
HITS = st.lists(
    st.builds(
        lambda time, lo, more, cut, total, marks: part(time / 2, 0, lo, lo + more)._replace(
            cut_hi=cut, total=total, marks=marks
        ),
        st.integers(-30, 90),
        st.integers(0, 60),
        st.integers(0, 30),
        st.sampled_from((-1, 20, 90)),
        st.sampled_from((-1, -1, 100, 200)),
        st.sampled_from(MARKS),
    ),
    min_size=1,
    max_size=14,
).map(lambda some: [one._replace(hit_id=number) for number, one in enumerate(some)])


@FAST
@given(TIMES)
def test_first_touch_is_cut_as_it_is_defined(times: list[float]) -> None:
    assert cut_first_touch(sorted(times), LENGTH_S) == [
        start for start, _ in windows_of(times, Rules("first_touch", LENGTH_S))
    ]


@pytest.mark.parametrize("window", WINDOWS)
@settings(deadline=None, max_examples=examples(150))
@given(hits=HITS, extra=st.lists(st.integers(0, 13), max_size=8), random=st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_of_hits_gives_the_same_deliveries(
    window: str, hits: list[Part], extra: list[int], random: Random
) -> None:
    rules = Rules(window, LENGTH_S)
    given_hits = [*hits, *(hits[number] for number in extra if number < len(hits))]
    random.shuffle(given_hits)
    entry = Entry()
    for one in given_hits:
        assert entry.merge([one], rules) == {tally.start for tally in entry.tallies if one.hit_id in tally.ids}
    at_once = Entry()
    at_once.merge(given_hits, rules)
    expected = windows_of([one.time for one in hits], rules)
    assert [(tally.start, tally.first, tally.last, len(tally)) for tally in entry.tallies] == [
        (start, times[0], times[-1], len(times)) for start, times in expected
    ]
    for tally in (*entry.tallies, *at_once.tallies):
        inside = [one for one in hits if tally.first <= one.time <= tally.last]
        assert list(tally.ids) == sorted(one.hit_id for one in inside)
        proved = [one for one in inside if not one.marks & UNPROVED]
        assert {byte for lo, hi in tally.ranges for byte in range(lo, hi + 1)} == {
            byte for one in proved for byte in range(one.lo, one.hi + 1)
        }
        assert tally.broken == tuple(sorted({(one.lo, one.hi) for one in inside if one.marks & Mark.BROKEN}))
        answered = {byte for one in inside if one.marks & Mark.ANSWERED for byte in range(one.lo, one.hi + 1)}
        answered |= {one.cut_hi for one in inside if one.marks & Mark.REACHED}
        assert {byte for lo, hi in tally.answered for byte in range(lo, hi + 1)} == answered
        for most, mark in ((tally.start_sent, Mark.START), (tally.start_aborted, Mark.START_ABORTED)):
            assert most == max((one.hi + 1 for one in inside if one.marks & mark), default=-1)
        totals = [one.total for one in inside if one.total >= 0] or [-1]
        assert tally.sent == sum(one.sent for one in inside)
        assert (tally.total_min, tally.total_max) == (min(totals), max(totals))
        assert tally.cut_hi == max(one.cut_hi for one in inside)
        assert {bit for bit in range(17) if tally.marks >> bit & 1} == {
            bit for bit in range(17) for one in inside if one.marks >> bit & 1
        }
    assert seen(entry) == seen(at_once) == seen(entry_of(given_hits, rules))
    assert seen(unpack_entry(pack_entry(entry), rules)) == seen(entry)


@pytest.mark.parametrize("window", WINDOWS)
@FAST
@given(hits=HITS, cut=st.integers(0, 13), before=st.integers(-30, 60).map(float))
def test_windows_that_are_evicted_are_those_that_are_over(
    window: str, hits: list[Part], cut: int, before: float
) -> None:
    rules = Rules(window, LENGTH_S)
    entry = Entry()
    entry.merge(hits, rules)
    held = seen(entry)
    gone = entry.evict(before, rules)
    assert sorted([*gone, *entry.tallies], key=lambda tally: tally.start) == [*gone, *entry.tallies]
    assert [describe(KEY, tally, 1000) for tally in gone] == held[: len(gone)]
    assert seen(entry) == held[len(gone) :]
    assert all(end(rules, tally.start, tally.last) <= before for tally in gone)
    assert all(end(rules, tally.start, tally.last) > before for tally in entry.tallies)
    again = unpack_entry(pack_entry(entry), rules)
    assert seen(again) == seen(entry), "versions, too"
    assert again.is_empty == entry.is_empty
    assert entry.evict(before, rules) == []


@FAST
@given(HITS)
def test_what_is_evicted_leaves_the_versions_of_later_windows_as_they_are(hits: list[Part]) -> None:
    """first_touch: a window's version counts the hits that lead up to it, evicted or not."""
    rules = Rules("first_touch", LENGTH_S)
    hits = sorted(hits)
    whole, swept = Entry(), Entry()
    for one in hits:
        whole.merge([one], rules)
        swept.evict(one.time, rules)
        swept = Entry() if swept.is_empty else unpack_entry(pack_entry(swept), rules)
        swept.merge([one], rules)
        assert seen(swept) == seen(whole)[-len(swept.tallies) :]


def test_versions_of_first_touch_outgrow_each_move_of_a_cut() -> None:
    rules = Rules("first_touch", LENGTH_S)
    versions: dict[float, list[int]] = {}
    entry = Entry()
    for number, time in enumerate((0.0, 12.0, 21.0, 25.0, -3.0, 9.0, -12.0)):
        before = {tally.start: tally.known for tally in entry.tallies}
        entry.merge([part(time, number)], rules)
        for tally in entry.tallies:
            versions.setdefault(tally.start, []).append(tally.known * 8)
        for start in before.keys() - {tally.start for tally in entry.tallies}:
            versions[start].append(before[start] * 8 + 7)
    assert all(some == sorted(some) for some in versions.values())
    assert any(one % 8 for some in versions.values() for one in some)


def test_an_entry_names_at_most_so_many_sources() -> None:
    entry = Entry()
    for source in [*range(MAX_SOURCES), 3, 4]:
        entry.fed_by(source)
    assert entry.sources == tuple(range(MAX_SOURCES))
    entry.fed_by(99)
    assert entry.sources is None
    entry.fed_by(3)
    assert entry.sources is None


# -- hostile: more hits than are kept


def test_first_touch_keeps_so_many_hits_of_a_key_and_says_so() -> None:
    rules = Rules("first_touch", LENGTH_S)
    entry = Entry()
    entry.merge([part(number / 1000, number, number * 3, number * 3) for number in range(MAX_HITS)], rules)
    assert [delivery.reason for delivery in seen(entry)] == ["gap"]
    before = [delivery.version for delivery in seen(entry)]
    entry.merge([part(9.5, 10**6 + number) for number in range(50)], rules)
    assert len(entry.parts) == MAX_HITS
    assert {delivery.reason for delivery in seen(entry)} == {"fragmented"}
    assert all(new.version > old for new, old in zip(seen(entry), before, strict=True))


def test_what_was_not_taken_in_stays_said_when_other_windows_are_evicted() -> None:
    rules = Rules("first_touch", LENGTH_S)
    entry = Entry()
    entry.merge([part(number / 2000, number) for number in range(MAX_HITS - 5)], rules)
    entry.merge([part(20.0 + number, 10**6 + number) for number in range(9)], rules)
    assert len(entry.evict(15.0, rules)) == 1
    entry = unpack_entry(pack_entry(entry), rules)
    assert [(delivery.window_start, delivery.reason) for delivery in seen(entry)] == [(20.0, "fragmented")]
    entry.merge([part(29.5, 5), part(60.0, 6)], rules)
    assert [(delivery.window_start, delivery.flags) for delivery in seen(entry)] == [(20.0, ["fragmented"]), (60.0, [])]
