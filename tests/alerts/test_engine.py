"""Each kind of rule tells its fault once and its end once; order, repeats and cuts of the stream change no notice."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.alerts.engine import Engine
from app.alerts.events import Event
from app.alerts.latency import RELATIVE_ERROR, bin_of, percentile
from app.alerts.state import EngineState
from app.domain.alerts.lifecycle import Notice
from tests.alerts.making import BEGIN, call, calls, engine_of, notices_of, rules_of, told

QUIET = calls(600, 0, 3600)
ERRORS = {"kind": "percentage", "of": {"kind": "response"}, "where": {"status": {"at_least": 500}}, "percent": 20.0}
RULES: list[tuple[dict[str, Any], list[Event]]] = [
    ({"kind": "any", "where": {"status": 418}}, [call(601, 1800, status=418)]),
    ({"kind": "frequency", "count": 100, "window_s": 60}, calls(100, 1800, 1860, 601)),
    ({"kind": "spike", "factor": 3.0, "min_events": 20}, calls(200, 1800, 2100, 601)),
    ({"kind": "new_term", "field": "user_id", "learn_s": 600.0, "window_s": 60}, [call(601, 1800, user_id="u2")]),
    (ERRORS, calls(50, 1800, 2100, 601, status=503)),
    ({"kind": "latency", "field": "duration_us", "percentile": 95.0, "limit": 50_000.0},
     calls(10, 1800, 2100, 601, duration_us=90_000)),
    ({"kind": "missing_sequence", "window_s": 600}, [call(605, 1800)]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "fault"), RULES, ids=[rule["kind"] for rule, _ in RULES])
def test_each_kind_fires_once_on_its_fault_resolves_once_and_is_silent_without(
    rule: dict[str, Any], fault: list[Event]
) -> None:
    assert notices_of(engine_of(rule), QUIET, 7200) == []
    found = told(notices_of(engine_of(rule), sorted(QUIET + fault, key=lambda event: event.time), 7200))
    assert [status for _, status, _ in found] == ["firing", "resolved"]
    assert 1800 < found[0][2] <= 2160 and found[1][2] <= 2700


@pytest.mark.parametrize(
    "rule",
    [{"kind": "flatline", "count": 5}, {"kind": "producer_silent", "window_s": 300}],
    ids=lambda rule: rule["kind"],
)
def test_a_silence_of_the_service_is_told_once_and_its_end_too(rule: dict[str, Any]) -> None:
    broken = calls(300, 0, 1800) + calls(150, 2700, 3600, 301)
    assert notices_of(engine_of(rule), calls(600, 0, 3600), 3600) == []
    assert [status for _, status, _ in told(notices_of(engine_of(rule), broken, 3600))] == ["firing", "resolved"]


def test_a_number_that_no_float_holds_is_a_great_one() -> None:
    rule = {"kind": "latency", "field": "duration_us", "percentile": 95.0, "limit": 50_000.0}
    found = told(notices_of(engine_of(rule), calls(20, 0, 60, duration_us=10**400), 3600))
    assert [status for _, status, _ in found] == ["firing", "resolved"]


def test_a_producer_that_stops_in_order_is_not_silent_and_a_dropped_number_is_not_missing() -> None:
    engine = engine_of({"kind": "producer_silent"}, {"kind": "missing_sequence", "window_s": 600})
    ended = [*calls(10, 0, 600), call(14, 601, kind="dropped", first_seq=11, last_seq=13), call(15, 602, kind="stop")]
    assert notices_of(engine, ended, 7200) == []


def test_missing_numbers_are_named_until_they_come_from_a_spool() -> None:
    engine = engine_of({"kind": "missing_sequence", "window_s": 3600})
    found = notices_of(engine, [*calls(10, 0, 600), call(15, 660), call(16, 900)])
    assert [(notice.status, notice.series) for notice in found] == [("firing", {"producer": "shop@m/p1"})]
    assert found[0].text.endswith("firing: 4, limit 1 (11-14)")
    late = [call(seq, 650) for seq in range(11, 15)]
    assert [notice.status for notice in notices_of(engine, late, 1200)] == ["resolved"]


def test_an_anomaly_is_compared_with_the_same_hour_of_six_weeks() -> None:
    hours = [(hour, 600 + 400 * (hour % 24 == 12) + hour % 7) for hour in range(8 * 168)]
    rule = {"kind": "anomaly", "window_s": 3600}

    def found(**changed: int) -> list[tuple[str, str, float]]:
        weights = dict(hours) | {int(hour): weight for hour, weight in changed.items()}
        events = [call(hour + 1, 3600 * hour + 1)._replace(weight=weight) for hour, weight in weights.items() if weight]
        return told(notices_of(engine_of(rule, step_s=3600), events, 3600 * 8 * 168))

    assert found() == []
    doubled = 7 * 168 + 12
    for weight in (2000, 0):
        assert found(**{str(doubled): weight}) == [
            ("anomaly", "firing", 3600.0 * (doubled + 1)),
            ("anomaly", "resolved", 3600.0 * (doubled + 2)),
        ]


def test_the_spool_of_a_new_producer_that_comes_an_hour_late_is_neither_missing_nor_silent() -> None:
    engine = engine_of({"kind": "missing_sequence", "window_s": 3600}, {"kind": "producer_silent"})
    others = calls(240, 0, 7200, producer="p2")
    waited = [call(seq, 600 + seq, producer="p3") for seq in range(1, 50)]
    going_on = [call(seq, 7200 + seq, producer="p3") for seq in range(50, 60)]
    stopped = [call(60, 7300, "p3", "stop"), call(241, 7300, "p2", "stop")]
    assert notices_of(engine, [*others, *waited, *going_on, *stopped], 10_000) == []


def test_rules_look_at_each_route_user_and_region_alone() -> None:
    engine = engine_of({"kind": "frequency", "count": 3, "by": ["route", "user_id", "region"], "window_s": 60})
    events = [call(at + 1, at, uri=f"/items/{at}", user_id="ada" if at < 3 else "bob", region="eu") for at in range(5)]
    assert [notice.series for notice in notices_of(engine, events, 600) if notice.status == "firing"] == [
        {"region": "eu", "route": "/items/{}", "user_id": "ada"}
    ]


def test_pending_firing_resolved_with_for_keep_firing_for_and_realert() -> None:
    rule = {"kind": "any", "where": {"status": 500}, "window_s": 60, "for_s": 120.0, "keep_firing_for_s": 180.0}
    failing = [call(100 + at, 60 * at + 1, status=500) for at in range(10, 20)]
    found = told(notices_of(engine_of({**rule, "realert_s": 300.0}), failing, 7200))
    assert found == [("any", "firing", 780.0), ("any", "firing", 1080.0), ("any", "resolved", 1380.0)]
    assert notices_of(engine_of(rule), failing[:2], 7200) == []


def test_a_silence_holds_notices_back_and_what_still_fires_after_it_is_told() -> None:
    rule = {"kind": "any", "where": {"status": 500}, "window_s": 60}
    failing = [call(100 + at, 60 * at + 1, status=500) for at in range(10, 20)]
    silence = {"rule": "any", "begin": BEGIN, "end": BEGIN + 900}
    assert told(notices_of(engine_of(rule, silence=[silence]), failing, 7200)) == [
        ("any", "firing", 900.0),
        ("any", "resolved", 1260.0),
    ]
    assert notices_of(engine_of(rule, silence=[silence | {"end": BEGIN + 7200}]), failing, 7200) == []


def test_after_an_outage_of_the_log_nothing_is_told_that_event_time_does_not_say() -> None:
    """The records of the outage come in a burst, but in their own minutes."""
    engine = engine_of({"kind": "frequency", "count": 30, "window_s": 60}, {"kind": "flatline", "count": 1})
    assert notices_of(engine, calls(600, 0, 3600), 3600) == []
    assert notices_of(engine, calls(600, 0, 3600), 3600) == []  # a replay
    assert (engine.state.late, engine.state.repeats) == (580, 20)


SMALL = sorted(
    calls(120, 0, 1200)
    + calls(30, 600, 660, 1, producer="p2", status=500, duration_us=80_000)
    + [call(40, 700, producer="p2", user_id="u2")],
    key=lambda event: event.time,
)
EVERY = [
    {**rule, **({"learn_s": 60.0} if rule["kind"] == "new_term" else {}), **({"count": 20} if "count" in rule else {})}
    for rule, _ in RULES
] + [{"kind": "flatline", "count": 5, "window_s": 60}, {"kind": "producer_silent", "window_s": 120}]


def whole(events: list[Event], cuts: frozenset[int] = frozenset()) -> list[Notice]:
    """`cuts`: where the run is ended, and another one goes on from the stored state."""
    rules = rules_of(*EVERY)
    engine = Engine(rules)
    found: list[Notice] = []
    for at, event in enumerate(events):
        found += engine.see(event)
        if at in cuts:
            stored = msgspec.msgpack.encode(engine.state)
            engine = Engine(rules, msgspec.msgpack.decode(stored, type=EngineState))
    return found + engine.advance(BEGIN + 3600)


EXPECTED = whole(SMALL)


def test_the_example_of_the_property_tells_most_kinds() -> None:
    assert {notice.kind for notice in EXPECTED} >= {
        "frequency",
        "percentage",
        "latency",
        "missing_sequence",
        "new_term",
    }
    assert len({notice.id for notice in EXPECTED}) == len(EXPECTED)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.frozensets(st.integers(0, 200), max_size=4))
def test_order_repeats_and_cuts_within_the_lateness_change_no_notice(seed: int, cuts: frozenset[int]) -> None:
    chance = random.Random(seed)
    moved = [(event.time + chance.uniform(0, 119), event) for event in SMALL]
    moved += [(event.time + chance.uniform(0, 5000), event) for event in chance.sample(SMALL, 40)]
    assert whole([event for _, event in sorted(moved, key=lambda pair: pair[0])], cuts) == EXPECTED


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=300), st.sampled_from([50.0, 95.0, 99.0]))
def test_a_percentile_is_within_the_stated_error_and_merging_in_any_order_changes_nothing(
    values: list[int], percent: float
) -> None:
    bins: dict[int, int] = {}
    for value in values:
        bins[bin_of(value)] = bins.get(bin_of(value), 0) + 1
    true = sorted(values)[int(percent / 100 * (len(values) - 1))]
    told_ = percentile(bins, percent)
    assert abs(told_ - true) <= RELATIVE_ERROR * true * 1.000001
    assert percentile(dict(reversed(bins.items())), percent) == told_
