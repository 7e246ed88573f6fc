"""A rule: which events it looks at, how it cuts them into series, and when a series is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["KINDS", "NEEDS", "PER_PRODUCER", "Rule", "Silence", "problem_of"]

KINDS = {
    "any": "there is an event",
    "frequency": "at least `count` events within `window_s`",
    "spike": "at least `factor` times as many events as in each of the two windows before, and at least `min_events`",
    "flatline": "fewer than `count` events within `window_s`",
    "new_term": "a value of `field` that was not seen for `memory_s`; silent for the first `learn_s`",
    "percentage": "at least `percent` of the events `of` are events `where`; of at least `min_events`",
    "latency": "the `percentile` of `field` is at least `limit`; of at least `min_events`",
    "anomaly": "further than `k` times the MAD from the median of the same hour of the last `weeks`",
    "share_falls": "the share of events `where` in those `of` is below that of the `baseline_s` before",
    "missing_sequence": "numbers of a producer are missing that it did not drop itself",
    "producer_silent": "a producer said nothing for `window_s`, and did not stop",
}
"""Kind -> when it holds."""
PER_PRODUCER = ("missing_sequence", "producer_silent")
NEEDS = {
    "frequency": ("count",),
    "spike": ("factor",),
    "flatline": ("count",),
    "new_term": ("field",),
    "percentage": ("percent",),
    "latency": ("percentile", "limit", "field"),
}
"""Options that a kind cannot do without."""
WEEK_S = 7 * 86400.0


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule. Times are seconds, all multiples of the engine's step."""

    name: str
    kind: str
    where: Mapping[str, Any] = field(default_factory=dict)
    """Field -> value, list of values, or a table of `at_least`, `at_most`, `is_not`."""
    of: Mapping[str, Any] = field(default_factory=dict)
    """The whole, of which `where` is a part."""
    by: tuple[str, ...] = ()
    """Fields: each combination of their values is a series of its own."""
    window_s: float = 300.0
    count: int = 1
    factor: float = 0.0
    min_events: int = 1
    percent: float = 0.0
    percentile: float = 0.0
    limit: float = 0.0
    field: str = ""
    learn_s: float = 86400.0
    memory_s: float = 30 * 86400.0
    k: float = 6.0
    weeks: int = 6
    floor: float = 0.08
    """Of an anomaly: the MAD counts as at least this share of the median."""
    baseline_s: float = 28 * 86400.0
    z: float = 2.576
    """Of `share_falls`: standard deviations of both Wilson intervals; 2.576 is 99 %."""
    for_s: float = 0.0
    """So long it must hold before the alert fires."""
    keep_firing_for_s: float = 0.0
    """So long it must not hold before the alert is resolved."""
    realert_s: float = 0.0
    """A firing alert is told again after this; 0: never."""
    severity: str = "warning"

    @property
    def history_s(self) -> float:
        """How far back a series must be known."""
        kept = {"spike": 3 * self.window_s, "anomaly": self.weeks * WEEK_S + self.window_s}
        kept["share_falls"] = self.baseline_s + self.window_s
        return kept.get(self.kind, self.window_s)


@dataclass(frozen=True, kw_only=True)
class Silence:
    """No notice of these alerts between two event times; the alerts live on."""

    begin: float
    end: float
    """Exclusive."""
    rule: str = ""
    """Empty: every rule."""
    series: Mapping[str, str] = field(default_factory=dict)

    def covers(self, rule: str, series: Mapping[str, str], at: float) -> bool:
        """Whether a notice at this time is held back.

        >>> Silence(begin=0.0, end=60.0, rule="slow").covers("slow", {"route": "/"}, 59.0)
        True
        """
        named = not self.rule or self.rule == rule
        return named and self.begin <= at < self.end and self.series.items() <= series.items()


_POSITIVE = ("window_s", "count", "factor", "min_events", "percent", "percentile", "k", "weeks", "baseline_s", "z")
_NOT_NEGATIVE = ("learn_s", "memory_s", "floor", "for_s", "keep_firing_for_s", "realert_s")
_YEAR_S = 366 * 86400.0
_AT_MOST = {"percent": 100.0, "percentile": 100.0, "weeks": 52.0, "window_s": _YEAR_S, "baseline_s": _YEAR_S}


def problem_of(rule: Rule, step_s: float) -> str:
    """What is wrong with a rule, a clause; empty for a good one.

    >>> problem_of(Rule(name="slow", kind="latency", percentile=99.0), 60.0)
    'latency needs limit'
    """
    if not rule.name:
        return "name is empty"
    if rule.kind not in KINDS:
        return f"kind {rule.kind!r} is none of {', '.join(KINDS)}"
    defaults = {each.name: each.default for each in fields(Rule)}
    needs = (*NEEDS.get(rule.kind, ()), *(("where",) if rule.kind in ("percentage", "share_falls") else ()))
    for name in needs:
        if not getattr(rule, name) or (name != "count" and getattr(rule, name) == defaults[name]):
            return f"{rule.kind} needs {name}"
    if rule.kind == "new_term" and rule.field in rule.by:
        return f"field {rule.field!r} stands in `by`, too"
    for name in _POSITIVE:
        if getattr(rule, name) <= 0 and (name not in NEEDS_ANY or name in needs):
            return f"{name} is {getattr(rule, name)!r}: write a number above 0"
    for name in _NOT_NEGATIVE:
        if getattr(rule, name) < 0:
            return f"{name} is {getattr(rule, name)!r}: write 0 or more"
    for name, most in _AT_MOST.items():
        if getattr(rule, name) > most:
            return f"{name} is {getattr(rule, name)!r}: write at most {most:g}"
    return _problem_of_windows(rule, step_s)


def _problem_of_windows(rule: Rule, step_s: float) -> str:
    for name in ("window_s", "baseline_s"):
        if getattr(rule, name) % step_s:
            return f"{name} is {getattr(rule, name):g}: write a multiple of step_s, {step_s:g}"
    if rule.kind == "anomaly" and WEEK_S % rule.window_s:
        return f"window_s is {rule.window_s:g}: a week must be a multiple of it"
    if rule.kind == "share_falls" and rule.baseline_s % rule.window_s:
        return f"baseline_s is {rule.baseline_s:g}: write a multiple of window_s, {rule.window_s:g}"
    if rule.kind in PER_PRODUCER and (rule.where or rule.by):
        return f"{rule.kind} looks at every producer: write neither where nor by"
    return ""


NEEDS_ANY = {name for names in NEEDS.values() for name in names}
