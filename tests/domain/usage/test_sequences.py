"""Which records are missing, doubled, late or altered: each is named, whatever the counts say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.byteranges import Ranges, normalise
from app.domain.usage.records import UsageRecord, producer_of, sealed
from app.domain.usage.sequences import Held, ProducerState, judge
from app.domain.usage.sides import NAMED_AT_MOST, Side
from app.words import usage_lines
from tests.properties import examples


def record(producer: str, seq: int, user: str | None = "u", kind: str = "request", **fields: Any) -> UsageRecord:
    one = UsageRecord(kind, producer, "m", "1", seq, 3600.0 + seq, 7, "", user_id=user)
    return sealed(one._replace(**fields))


def producer_record(producer: str, seq: int, kind: str, **fields: Any) -> UsageRecord:
    return record(producer, seq, None, kind, **fields)


def side(records: Iterable[UsageRecord], name: str = "archive", **options: bool | int) -> Side:
    found = Side(name, **options)  # type: ignore[arg-type]  # of one of two types each
    for one in records:
        found.see(one)
    return found


def ranges(numbers: Iterable[int]) -> Ranges:
    return normalise((number, number) for number in numbers)


def only(states: list[ProducerState]) -> tuple[ProducerState, Held]:
    (state,) = states
    (held,) = state.held
    return state, held


def lines(states: list[ProducerState]) -> list[str]:
    return [line.replace("@m/1", "") for state in states for line in usage_lines(state)]


def test_each_lost_doubled_and_late_record_of_two_producers_is_named() -> None:
    """p1 makes 1-12, p2 makes 1-7, both end in order; one user of p2."""
    journal = side([producer_record("p1", 12, "stop"), producer_record("p2", 7, "stop")], "producer", is_whole=False)
    held = [record("p1", seq, f"u{seq}") for seq in (1, 2, 3, 4, 7, 8, 9, 10, 10)]
    held += [producer_record("p1", 12, "stop")]
    held += [record("p2", seq) for seq in (1, 2, 4, 3, 5, 6)] + [producer_record("p2", 7, "stop")]
    assert lines(judge([side(held), journal])) == [
        "archive: p1 missing 5-6 and 11",
        "archive: p1 doubled 10",
        "archive: p1 9 of 12",
        "producer: p1 1 of 12",
        "archive: p2 order 4 before 3",
        "archive: p2 7 of 7",
        "producer: p2 1 of 7",
    ]


def test_a_loss_that_a_double_hides_from_the_count_is_named_with_the_double() -> None:
    made = [record("p", seq) for seq in range(1, 9)] + [producer_record("p", 9, "stop")]
    held = [one for one in made if one.seq != 5] + [made[5]]
    assert len(held) == len(made)
    state, archive = only(judge([side(held)]))
    assert (archive.missing, archive.doubled, archive.records, state.made) == (((5, 5),), ((6, 6),), 8, 9)
    assert state.differs and not state.is_unknown


def test_a_double_that_comes_late_is_no_disorder() -> None:
    state, archive = only(judge([side([record("p", seq) for seq in (1, 2, 3, 1)])]))
    assert archive.doubled == ((1, 1),) and archive.late == () and state.tail is not None


def test_records_of_different_users_have_no_order_among_them() -> None:
    _, archive = only(judge([side([record("p", 2, "a"), record("p", 1, "b"), record("p", 3, "a")])]))
    assert archive.late == ()


def test_without_a_stop_record_the_tail_is_unknown_and_has_the_bound_of_the_newest_record_that_names_one() -> None:
    made = [producer_record("p", 1, "start", memory_records=10), record("p", 2)]
    assert lines(judge([side(made)]))[-1] == "tail of p unknown after 2: no stop record, at most 10 beside its spool"
    made.append(producer_record("p", 3, "heartbeat", memory_records=500, last_seq=40))
    state, archive = only(judge([side(made)]))
    assert state.tail == (40, 500) and archive.missing == ((4, 40),)
    assert state.is_unknown


def test_without_any_bound_it_is_said_that_none_is_known() -> None:
    assert lines(judge([side([record("p", 1)])]))[-1] == "tail of p unknown after 1: no stop record, no bound is known"


def test_a_mark_that_survived_the_producer_makes_its_tail_known() -> None:
    made = [producer_record("p", 1, "start", memory_records=10), record("p", 2)]
    state, archive = only(judge([side(made)], {producer_of(made[0]): 9}))
    assert state.tail is None and state.made == 9 and archive.missing == ((3, 9),)


def test_a_producer_that_only_its_mark_names_is_missing_from_1_on() -> None:
    state, archive = only(judge([side([])], {"p": 3}))
    assert (state.made, archive.missing, archive.records) == (3, ((1, 3),), 0)


def test_a_dropped_record_is_named_with_its_reason_and_is_not_missing() -> None:
    made = [record("p", seq) for seq in (1, 2, 5)]
    made += [producer_record("p", 6, "dropped", first_seq=3, last_seq=4, detail="queue full")]
    made += [producer_record("p", 7, "stop")]
    state, archive = only(judge([side(made)]))
    assert archive.missing == () and dict(state.dropped) == {"queue full": ((3, 4),)} and state.differs
    assert lines([state])[0] == "p dropped 3-4: queue full"


def test_a_number_whose_record_was_none_is_named_though_another_record_stands_for_it() -> None:
    made = [record("p", 1), producer_record("p", 2, "dropped", detail="no record: a"), producer_record("p", 3, "stop")]
    state, archive = only(judge([side(made)]))
    assert archive.missing == () and dict(state.dropped) == {"what was made was no record": ((2, 2),)} and state.differs


def test_what_is_told_as_dropped_but_is_on_one_side_is_missing_on_the_other() -> None:
    told = producer_record("p", 3, "dropped", first_seq=1, last_seq=2, detail="queue full")
    (state,) = judge([side([record("p", 1), record("p", 2), told], "topic"), side([told])])
    assert state.dropped == {} and state.held[1].missing == ((1, 2),)


def test_an_altered_record_is_named_and_proves_nothing() -> None:
    made = [record("p", seq) for seq in (1, 2, 3)]
    state, archive = only(judge([side([made[0], made[1]._replace(uri="/other"), made[2]])]))
    assert (archive.altered, archive.missing, archive.records) == (((2, 2),), (), 2)
    state, archive = only(judge([side([made[0], made[1]._replace(seq=900), made[2]])]))
    assert (archive.altered, archive.missing, state.made) == (((900, 900),), ((2, 2),), 3)


def test_numbers_after_the_stop_record_are_named() -> None:
    made = [record("p", 1), producer_record("p", 2, "stop"), record("p", 3)]
    state, _ = only(judge([side(made)]))
    assert state.after_stop == ((3, 3),) and state.differs
    assert lines([state])[0] == "p 3 after its stop record: two processes share a start id"


def test_what_one_side_knows_is_missing_on_each_other_whole_side() -> None:
    made = [record("p", seq) for seq in range(1, 6)] + [producer_record("p", 6, "stop")]
    topic, archive, spool = side(made[:4], "topic"), side(made[:2], "archive"), side(made[4:], "spool", is_whole=False)
    (state,) = judge([topic, archive, spool])
    assert [each.missing for each in state.held] == [((5, 6),), ((3, 6),), ()]


def test_counts_are_by_hour_of_distinct_records() -> None:
    made = [record("p", 1, time=10.0), record("p", 2, time=3600.0), record("p", 3, time=7199.0)]
    _, archive = only(judge([side([*made, made[0]])]))
    assert archive.by_hour == {0: 1, 3600: 2}


def test_of_users_that_are_no_longer_watched_the_order_is_unknown_and_not_good() -> None:
    made = [record("p", 3, "a"), record("p", 4, "b"), record("p", 5, "c"), record("p", 2, "a"), record("p", 6, "a")]
    state, archive = only(judge([side(made, users_at_most=2)]))
    assert archive.late == () and archive.undecided == ((2, 2),) and state.is_unknown
    assert "archive: p order of 2 unknown: too many users" in lines([state])


def test_only_the_first_late_records_are_named_with_their_pair_and_the_others_are_counted() -> None:
    many = NAMED_AT_MOST + 50
    state, archive = only(judge([side([record("p", seq) for seq in range(many + 1, 0, -1)])]))
    assert archive.late == ((1, many),) and len(archive.late_named) == NAMED_AT_MOST
    assert "archive: p order wrong for 50 more" in lines([state])


def test_memory_grows_with_the_holes_and_not_with_the_records() -> None:
    found = side(record("p", seq, f"u{seq % 7}") for seq in range(1, 4_001) if seq % 1_000)
    held = found.sequence("p@m/1").held
    assert held.ranges == ((1, 999), (1001, 1999), (2001, 2999), (3001, 3999)) and not held._waiting


@dataclass
class Truth:
    """What a producer made, and what became of it."""

    made: list[UsageRecord]
    lost: set[int]
    doubled: set[int]
    arrived: list[UsageRecord]


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    last = draw(st.integers(1, 40))
    users = draw(st.lists(st.sampled_from("abc"), min_size=last, max_size=last))
    made = [record("p", seq, user) for seq, user in enumerate(users, 1)] + [producer_record("p", last + 1, "stop")]
    lost = draw(st.sets(st.integers(1, last)))
    doubled = draw(st.sets(st.integers(1, last + 1))) - lost
    kept = [one for one in made if one.seq not in lost]
    arrived = draw(st.permutations(kept + [one for one in made if one.seq in doubled]))
    return Truth(made, lost, doubled, arrived)


def late_by_the_definition(arrived: Sequence[UsageRecord]) -> list[tuple[str, int, int]]:
    """Each first arrival after a greater number of its user, with the greatest such."""
    found: list[tuple[str, int, int]] = []
    seen: list[UsageRecord] = []
    for one in arrived:
        if one in seen or one.user_id is None:
            continue
        if greater := [other.seq for other in seen if other.user_id == one.user_id and other.seq > one.seq]:
            found.append((one.user_id, max(greater), one.seq))
        seen.append(one)
    return found


@settings(max_examples=examples(100), deadline=None)
@given(truths())
def test_any_loss_doubling_and_order_of_any_sequence_is_named_exactly(truth: Truth) -> None:
    state, archive = only(judge([side(truth.arrived)]))
    assert archive.missing == ranges(truth.lost)
    assert archive.doubled == ranges(truth.doubled)
    assert [tuple(late) for late in archive.late_named] == late_by_the_definition(truth.arrived)
    assert archive.late == ranges(late.seq for late in archive.late_named)
    assert (archive.records, state.made, state.tail) == (len(truth.made) - len(truth.lost), len(truth.made), None)
    assert state.differs == bool(truth.lost or truth.doubled or archive.late)


@settings(deadline=None)
@given(truths(), st.data())
def test_an_altered_record_is_named_by_its_number_beside_any_loss(truth: Truth, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(truth.arrived) - 1))
    one = truth.arrived[at]
    arrived = [each for each in truth.arrived if each.seq != one.seq] + [one._replace(process=8)]
    _, archive = only(judge([side(arrived)]))
    assert archive.altered == ranges([one.seq])
    known = max((each.seq for each in arrived[:-1]), default=0)
    assert archive.missing == ranges(seq for seq in truth.lost if seq <= known)


@pytest.mark.parametrize("split", [1, 2, 3])
def test_sides_that_hold_a_part_each_make_one_truth(split: int) -> None:
    made = [record("p", seq) for seq in range(1, 12)] + [producer_record("p", 12, "stop")]
    parts = [side(made[at::split], f"part{at}", is_whole=False) for at in range(split)]
    (state,) = judge([*parts, side([], "archive")])
    assert state.held[-1].missing == ((1, 12),) and state.tail is None


def test_a_topic_that_has_forgotten_what_is_archived_says_so() -> None:
    made = [record("p", seq) for seq in range(1, 9)] + [producer_record("p", 9, "stop")]
    told = lines(judge([side(made), side([made[-1]], "topic", is_whole=False)]))
    assert told == ["archive: p 9 of 9", "topic: p 1 of 9; the others are no longer in the topic"]
