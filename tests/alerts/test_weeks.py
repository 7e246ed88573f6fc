"""What must hold over months and over a day with every fault, on simulated services."""

from __future__ import annotations

import pytest

from app.alerts.engine import Engine
from app.alerts.events import USAGE_FIELDS, Event, event_of
from app.alerts.rules import read_rules
from app.domain.alerts.lifecycle import Notice
from simulator.commands.usage import records_of
from simulator.usage import SimulatedUsage, UsagePlan, hourly
from tests import ROOT
from tests.alerts.making import BEGIN, call, engine_of

WEEK = 168
WEEKS = 26
DOUBLED = range(6 * WEEK + 1, WEEKS * WEEK, 29)
"""Hours in which twice as many calls come: no hour of the week twice."""
MEANT = {
    "spike": "spike",
    "outage": "no calls",
    "errors": "errors",
    "slow": "slow",
    "newcomer": "new user",
    "teapot": "teapot",
    "lost": "records missing",
    "silent": "producer silent",
}
"""Fault -> the rule of samples/alerts.toml that is about it."""


def watched(counts: list[int], begin: float = BEGIN) -> list[Notice]:
    """An event stands for the calls of an hour: of 20,000 an hour that are 87 million."""
    engine = engine_of({"kind": "anomaly", "window_s": 3600}, step_s=3600, lateness_s=0)
    found = []
    for hour, count in enumerate(counts):
        event = Event(begin + 3600 * hour, call(hour + 1, 0).of, "p", hour + 1, weight=count)
        found += engine.see(event)
    return found + engine.advance(begin + 3600 * len(counts))


@pytest.mark.parametrize(
    ("per_hour", "seed"),
    [
        (600.0, 1),
        *(pytest.param(rate, seed, marks=pytest.mark.long) for rate in (600.0, 20_000.0) for seed in (2, 3, 4)),
    ],
)
def test_in_26_weeks_there_is_at_most_one_false_notice_a_week_and_doublings_are_found(
    per_hour: float, seed: int
) -> None:
    counts = hourly(UsagePlan(BEGIN, WEEKS * WEEK, per_hour, seed)).tolist()
    false = [int((notice.at - BEGIN) // (3600 * WEEK)) for notice in watched(counts) if notice.status == "firing"]
    assert all(false.count(week) <= 1 for week in range(WEEKS)), false
    for hour in DOUBLED:
        counts[hour] *= 2
    told = {round((notice.since - BEGIN) / 3600) - 1 for notice in watched(counts) if notice.status == "firing"}
    assert len(told & set(DOUBLED)) >= 0.85 * len(DOUBLED)


def of_the_sample(hours: int, per_hour: float, *, faults: bool) -> tuple[SimulatedUsage, list[Notice]]:
    engine = Engine(read_rules(ROOT / "samples/alerts.toml", USAGE_FIELDS))
    simulated = SimulatedUsage(UsagePlan(1_772_409_600.0, hours, per_hour, 5, faults=faults))
    found = [notice for record in records_of(simulated) for notice in engine.see(event_of(record))]
    ended = found + engine.advance(simulated.end)
    after = engine.advance(simulated.end + 90_000)  # when all have stopped, there are no calls
    return simulated, ended + [notice for notice in after if notice.rule != "no calls"]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_rule_of_the_sample_tells_its_fault_once_and_its_end_once_and_no_other() -> None:
    simulated, found = of_the_sample(48, 600.0, faults=True)
    meant = {MEANT[fault.kind]: fault for fault in simulated.faults}
    for rule, fault in meant.items():
        notices = [notice for notice in found if notice.rule == rule]
        assert [notice.status for notice in notices] == ["firing", "resolved"], rule
        assert fault.begin < notices[0].at <= fault.end + 600, rule
    assert {notice.rule for notice in found} - {"calls of an hour"} == set(meant)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_quiet_week_has_no_notice() -> None:
    _, found = of_the_sample(WEEK, 600.0, faults=False)
    assert found == []
