"""The arithmetic of rules."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.domain.alerts.judging import deviates, falls, wilson
from app.domain.alerts.rules import Rule, problem_of


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_interval_of_wilson_holds_the_share_and_is_smaller_with_more_of_the_same(part: int, more: int) -> None:
    whole = part + more
    low, high = wilson(part, whole, 2.576)
    assert 0 <= low <= part / whole <= high <= 1
    closer = wilson(10 * part, 10 * whole, 2.576)
    assert low <= closer[0] + 1e-12 and closer[1] <= high + 1e-12


def test_a_fall_needs_the_minimum_of_deliveries_in_both_times() -> None:
    rule = Rule(name="f", kind="share_falls", min_events=30)
    assert falls(rule, (5, 30), (800, 900)).holds
    assert not falls(rule, (5, 29), (800, 900)).holds
    assert not falls(rule, (5, 30), (28, 29)).holds


@given(st.lists(st.integers(0, 10**6), min_size=6, max_size=6))
def test_the_median_itself_never_deviates_and_what_is_far_beyond_all_values_does(earlier: list[int]) -> None:
    rule = Rule(name="a", kind="anomaly")
    middle = sorted(earlier)
    assert not deviates(rule, (middle[2] + middle[3]) / 2, earlier).holds
    assert deviates(rule, 10 * max(earlier) + 100, earlier).holds


def test_a_rule_without_what_its_kind_needs_is_named() -> None:
    assert problem_of(Rule(name="f", kind="flatline"), 60.0) == ""  # fewer than one
    assert problem_of(Rule(name="s", kind="spike"), 60.0) == "spike needs factor"
    assert problem_of(Rule(name="s", kind="share_falls"), 60.0) == "share_falls needs where"
    assert problem_of(Rule(name="n", kind="new_term", field="user_id", by=("user_id",)), 60.0).endswith("in `by`, too")
    assert problem_of(Rule(name="f", kind="frequency", count=0), 60.0) == "frequency needs count"
