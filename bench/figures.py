"""What was measured, and how it stands to its goal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["AT_LEAST", "AT_MOST", "Figure", "Goal", "between", "number"]

AT_LEAST, AT_MOST = "≥", "≤"


class Goal(NamedTuple):
    """What a figure should reach, and what would be better still."""

    sense: str
    """AT_LEAST or AT_MOST."""
    value: float
    stretch: float | None = None


class Figure(NamedTuple):
    """One thing measured in several runs."""

    part: str
    what: str
    values: tuple[float, ...]
    """One a run, in order."""
    unit: str
    note: str = ""
    goal: Goal | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def reached(self) -> str:
        """yes, stretch, no; empty without a goal."""
        if self.goal is None:
            return ""
        sign = 1 if self.goal.sense == AT_LEAST else -1
        if sign * self.median < sign * self.goal.value:
            return "no"
        return "stretch" if self.goal.stretch is not None and sign * self.median >= sign * self.goal.stretch else "yes"

    @property
    def goal_text(self) -> str:
        if self.goal is None:
            return ""
        stretch = "" if self.goal.stretch is None else f" (stretch {number(self.goal.stretch)})"
        return f"{self.goal.sense} {number(self.goal.value)}{stretch}"


def between(
    part: str,
    what: str,
    above: Sequence[float],
    below: Sequence[float],
    unit: str,
    note: str = "",
    goal: Goal | None = None,
) -> Figure:
    """How many times `above` is `below`: median to median; least and greatest are what the extremes of both allow.

    >>> between("p", "w", (40.0, 44.0, 42.0), (2.0, 2.0, 2.1), "x").values
    (19.047619047619047, 21.0, 22.0)
    """
    middle = statistics.median(above) / statistics.median(below)
    return Figure(part, what, (min(above) / max(below), middle, max(above) / min(below)), unit, note, goal)


def number(value: float) -> str:
    """For people: three figures, thousands apart.

    >>> number(1234567.8), number(14.04), number(0.5)
    ('1,234,568', '14.0', '0.50')
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
