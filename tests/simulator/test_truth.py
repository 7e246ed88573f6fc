"""The simulator's answers are right, checked against sets of single bytes and against cases by hand."""

from hypothesis import given
from hypothesis import strategies as st

from simulator.truth import Shot, WindowRule, answers, marked_ranges, windows_of
from tests.simulator.integers import bytes_delivered, runs_of, sessions_by_pairs

_KEY = ("10.0.0.1", "agent", "GET /a")
_SPANS = st.tuples(st.integers(0, 60), st.integers(0, 25)).map(lambda pair: (pair[0], pair[0] + pair[1]))
_SHOTS = st.lists(
    st.builds(
        lambda time, span, sent: Shot(time, span[0], span[1], sent, -1), st.integers(0, 50), _SPANS, st.integers(-1, 30)
    ),
    min_size=1,
    max_size=8,
)


def _one(shots: list[Shot], size: int = -1) -> tuple[str, str | None, list[list[int]], list[list[int]]]:
    (found,) = answers(_KEY, shots, WindowRule("all"), size, in_flight=0)
    return found["verdict"], found["reason"], found["ranges"], found["missing"]


@given(st.lists(_SPANS, min_size=1))
def test_marked_ranges_are_the_runs_of_the_set_of_bytes(spans: list[tuple[int, int]]) -> None:
    assert marked_ranges(spans) == runs_of({number for lo, hi in spans for number in range(lo, hi + 1)})


@given(_SHOTS)
def test_ranges_and_missing_and_covered_agree_with_single_bytes(shots: list[Shot]) -> None:
    (found,) = answers(_KEY, shots, WindowRule("all"), in_flight=0)
    delivered = bytes_delivered(shots)
    assert found["ranges"] == runs_of(delivered)
    assert found["covered_bytes"] == len(delivered)
    assert found["missing"] == runs_of(set(range(max(delivered, default=-1) + 1)) - delivered)


@given(_SHOTS, st.integers(1, 90))
def test_with_a_size_complete_is_said_exactly_when_every_byte_is_there(shots: list[Shot], size: int) -> None:
    (found,) = answers(_KEY, shots, WindowRule("all"), size)
    everything = set(range(size))
    assert (found["verdict"] == "complete") == (everything <= bytes_delivered(shots))
    assert found["missing"] == runs_of(everything - bytes_delivered(shots))


@given(st.lists(st.integers(0, 300), min_size=1, max_size=12), st.integers(1, 60))
def test_sessions_are_the_components_of_times_less_than_a_length_apart(times: list[int], length_s: int) -> None:
    windows = windows_of([Shot(time, 0, 1, -1, -1) for time in times], WindowRule("last_touch", length_s))
    assert {frozenset(shot.time for shot in inside) for _, inside in windows} == sessions_by_pairs(times, length_s)
    assert all(start == min(shot.time for shot in inside) for start, inside in windows)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=12), st.integers(1, 60))
def test_first_touch_windows_hold_what_comes_less_than_a_length_after_their_first(
    times: list[int], length_s: int
) -> None:
    windows = windows_of([Shot(time, 0, 1, -1, -1) for time in times], WindowRule("first_touch", length_s))
    rest = sorted(times)
    for start, inside in windows:
        assert start == rest[0]
        expected = [time for time in rest if time < start + length_s]
        assert [shot.time for shot in inside] == expected
        rest = rest[len(expected) :]
    assert rest == []


def test_day_is_the_utc_day_and_all_is_one_window_named_0() -> None:
    shots = [Shot(time, 0, 1, -1, -1) for time in (86_399, 86_400, 5, 172_799)]
    assert [(start, [shot.time for shot in inside]) for start, inside in windows_of(shots, WindowRule("day"))] == [
        (0.0, [5, 86_399]),
        (86_400.0, [86_400, 172_799]),
    ]
    assert [start for start, _ in windows_of(shots, WindowRule("all"))] == [0.0]


def test_verdicts_without_a_size() -> None:
    assert _one([Shot(1, 0, 9, -1, -1), Shot(2, 10, 19, -1, -1)]) == ("complete", None, [[0, 19]], [])
    assert _one([Shot(1, 5, 9, -1, -1)]) == ("partial", "start_missing", [[5, 9]], [[0, 4]])
    assert _one([Shot(1, 0, 9, -1, -1), Shot(2, 11, 19, -1, -1)]) == ("partial", "gap", [[0, 9], [11, 19]], [[10, 10]])
    assert _one([Shot(1, 0, 1, -1, -1)]) == ("partial", "probe_only", [[0, 1]], [])
    assert _one([Shot(1, 0, 9, 4, -1)]) == ("partial", "cut_off", [[0, 3]], [])
    assert _one([Shot(1, 0, 9, 4, -1), Shot(2, 4, 9, 6, -1)]) == ("complete", None, [[0, 9]], [])
    assert _one([Shot(1, 0, 1, 1, -1), Shot(2, 0, 1, 2, -1)]) == ("partial", "probe_only", [[0, 1]], [])
    assert _one([Shot(1, 0, 9, 0, -1)]) == ("partial", "cut_off", [], [])


def test_verdicts_with_a_size() -> None:
    assert _one([Shot(1, 0, 9, -1, 10)]) == ("complete", None, [[0, 9]], [])
    assert _one([Shot(1, 0, 9, -1, 20)]) == ("partial", "end_missing", [[0, 9]], [[10, 19]])
    assert _one([Shot(1, 5, 19, -1, 20)]) == ("partial", "start_missing", [[5, 19]], [[0, 4]])
    assert _one([Shot(1, 0, 4, -1, 20), Shot(1, 9, 19, -1, 20)]) == ("partial", "gap", [[0, 4], [9, 19]], [[5, 8]])
    assert _one([Shot(1, 0, 1, -1, 20)]) == ("partial", "probe_only", [[0, 1]], [[2, 19]])
    assert _one([Shot(1, 0, 1, -1, 2)]) == ("complete", None, [[0, 1]], [])
    assert _one([Shot(1, 0, 12, -1, -1)], 10) == ("complete", None, [[0, 9]], [])
    assert _one([Shot(1, 0, 9, -1, 10), Shot(2, 0, 9, -1, 11)])[:2] == ("unknown", "size_changed")


def test_verdicts_of_byte_counts_alone() -> None:
    assert _one([Shot(1, -1, -1, 500, -1)]) == ("unknown", "size_unknown", [], [])
    assert _one([Shot(1, -1, -1, 500, -1)], 900) == ("partial", "not_enough_bytes", [], []), "any byte may have arrived"
    assert _one([Shot(1, -1, -1, 900, -1)], 900) == ("unknown", "no_offsets", [], [])


def test_verdicts_of_answers_from_the_start() -> None:
    assert _one([Shot(1, -1, -1, 900, -1, True)]) == ("unknown", "size_unknown", [[0, 899]], [])
    assert _one([Shot(1, -1, -1, 900, -1, True)], 900) == ("complete", None, [[0, 899]], [])
    assert _one([Shot(1, -1, -1, 500, -1, True)], 900) == ("partial", "cut_off", [[0, 499]], [[500, 899]])


def test_the_last_bytes_of_an_answer_that_broke_are_not_sure() -> None:
    shots = [Shot(1, 0, 9, 6, 10), Shot(2, 4, 9, 6, 10)]
    (found,) = answers(_KEY, shots, WindowRule("all"), in_flight=4)
    assert (found["verdict"], found["evidence"], found["ranges"]) == ("complete", "resumed", [[0, 1], [4, 9]])
    (found,) = answers(_KEY, shots, WindowRule("all"), in_flight=2)
    assert (found["verdict"], found["evidence"], found["ranges"]) == ("complete", "ranges", [[0, 9]])
