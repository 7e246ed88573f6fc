"""When a series of numbers is wrong: each rule as arithmetic. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import median
from typing import NamedTuple

from app.domain.alerts.rules import Rule

__all__ = ["Finding", "at_least", "below", "deviates", "falls", "spikes", "wilson"]


class Finding(NamedTuple):
    """What a rule says of a series at one time."""

    holds: bool
    value: float
    limit: float
    """What the value was compared with."""
    detail: str = ""
    """More for people."""


def at_least(value: float, limit: float, *, enough: bool = True) -> Finding:
    """`enough`: there are as many events as the rule asks for."""
    return Finding(enough and value >= limit, value, limit)


def below(value: float, limit: float) -> Finding:
    return Finding(value < limit, value, limit)


def spikes(rule: Rule, now: int, before: int) -> Finding:
    """A window beside the greater of the two before it: the end of an outage is no spike. Without anything before there is no comparison.

    >>> spikes(Rule(name="s", kind="spike", factor=3.0, min_events=10), 30, 10).holds
    True
    """
    return at_least(now, rule.factor * before, enough=before > 0 and now >= rule.min_events)


def deviates(rule: Rule, now: float, earlier: Sequence[float]) -> Finding:
    """A value beside those of the same hour of earlier weeks: further from their median than `k` times their scatter, up or down.

    The scatter is the median absolute deviation (MAD); at least `floor` of the median, and at least the root of the median, which
    is what independent calls scatter by: six values can lie close together by chance.

    >>> deviates(Rule(name="a", kind="anomaly"), 1200, [600, 610, 590, 605, 595, 600]).holds
    True
    """
    middle = median(earlier)
    scatter = median(abs(value - middle) for value in earlier)
    room = rule.k * max(scatter, rule.floor * middle, sqrt(middle), 1.0)
    return Finding(abs(now - middle) > room, now, middle + room if now >= middle else middle - room)


def wilson(part: int, whole: int, z: float) -> tuple[float, float]:
    """The Wilson score interval of a share (E. B. Wilson, 1927).

    >>> [round(each, 3) for each in wilson(9, 10, 1.96)]
    [0.596, 0.982]
    """
    if whole <= 0:
        return 0.0, 1.0
    share, square = part / whole, z * z
    middle = (share + square / (2 * whole)) / (1 + square / whole)
    half = z / (1 + square / whole) * sqrt(share * (1 - share) / whole + square / (4 * whole * whole))
    return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))  # rounding may pass the share


def falls(rule: Rule, now: tuple[int, int], earlier: tuple[int, int]) -> Finding:
    """(part, whole) beside those of the time before: the best that can be true now is worse than the worst that can have been true then."""
    low, high = wilson(*earlier, rule.z)[0], wilson(*now, rule.z)[1]
    enough = min(now[1], earlier[1]) >= rule.min_events
    return Finding(enough and high < low, 100 * now[0] / now[1] if now[1] else 0.0, 100 * low)
