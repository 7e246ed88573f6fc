"""One rule and its series: which events it counts, and what it says at the end of a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.alerts.events import Event, field_of, matcher
from app.alerts.latency import bin_of, percentile
from app.alerts.state import Series
from app.domain.alerts.judging import Finding, at_least, below, deviates, falls, spikes
from app.domain.alerts.rules import PER_PRODUCER, WEEK_S, Rule
from app.domain.windows import DAY_S
from app.words import writable

__all__ = ["SERIES_AT_MOST", "Watcher"]

SERIES_AT_MOST = 10_000
"""Of one rule. Events of more are counted, and looked at by no rule."""
_BETWEEN = "\x1f"
_BY_WINDOW = ("anomaly", "share_falls")
"""They look once a window."""


class Watcher:
    """One rule with its series."""

    def __init__(self, rule: Rule, step_s: float, series: dict[str, Series]) -> None:
        self.rule, self.series = rule, series
        self.unit_s = rule.window_s if rule.kind in _BY_WINDOW else step_s
        self.steps = round(self.unit_s / step_s)
        self.units = round(rule.window_s / self.unit_s)
        self.is_per_producer = rule.kind in PER_PRODUCER
        self.names = ("producer",) if self.is_per_producer else rule.by
        terms = (rule.field,) if rule.kind == "new_term" else ()
        self.names += terms
        self._labels = [field_of(name) for name in self.names]
        self._where, self._of = matcher(rule.where), matcher(rule.of)
        self._has_whole = rule.kind in ("percentage", "share_falls")
        self._sees_producers = "kind" in rule.where
        self._value = field_of(rule.field) if rule.kind == "latency" else None
        self.awake = {key for key, one in series.items() if one.counts or one.totals or one.alert.state != "inactive"}
        """Series with events in reach, or with an alert; all others hold nothing that a rule could find."""
        self._looks_at_all = rule.kind in ("flatline", *_BY_WINDOW)

    @property
    def is_still(self) -> bool:
        """Without an event nothing will be found."""
        return not self.awake and not (self._looks_at_all and (self.series or not self.names))

    def see(self, event: Event) -> bool:
        """Whether there was room for its series."""
        if self.is_per_producer or not (event.is_call or self._sees_producers):
            return True
        record = event.of
        is_part = self._where(record)
        if not (self._of(record) if self._has_whole else is_part):
            return True
        value = None
        if self._value is not None and (value := self._value(record)) is None:
            return True
        key = _BETWEEN.join(
            "" if (label := read(record)) is None else writable(str(label)).replace(_BETWEEN, " ")
            for read in self._labels
        )
        one = self.series.get(key)
        if one is None:
            if len(self.series) >= SERIES_AT_MOST:
                return False
            one = self.series[key] = Series()
        self.awake.add(key)
        unit = int(event.time // self.unit_s)
        if value is not None:
            bins = one.bins.setdefault(unit, {})
            place = bin_of(value)
            bins[place] = bins.get(place, 0) + event.weight
        if self._has_whole:
            one.totals[unit] = one.totals.get(unit, 0) + event.weight
        if is_part:
            one.counts[unit] = one.counts.get(unit, 0) + event.weight
        return True

    def keys(self, unit: int) -> list[str]:
        """Series to look at, in a fixed order."""
        if self._looks_at_all and not self.names:
            self.series.setdefault("", Series())
        is_day = self.rule.kind == "new_term" and unit % round(DAY_S / self.unit_s) == 0
        return sorted(self.series if self._looks_at_all or is_day else self.awake)

    def first_unit(self, one: Series, began: int) -> int | None:
        """Since when the series is known: one without labels since the beginning, which is a step."""
        if self.names:
            return one.first
        return -(-began // self.steps)  # the first whole unit

    def finding(self, one: Series, unit: int, began: int, forget_s: float) -> Finding:
        """What the rule says of the series at the end of this unit."""
        rule = self.rule
        if unit in one.counts or unit in one.totals:
            if one.first is None or (rule.kind == "new_term" and (unit - one.last) * self.unit_s > rule.memory_s):
                one.first = unit
            one.last = unit
        first = self.first_unit(one, began)
        if rule.kind in _COMPARING:
            known = 0 if first is None else unit - first + 1
            if self.names and (unit - one.last) * self.unit_s > forget_s:
                known = 0
            return _COMPARING[rule.kind](self, one, unit, known)
        if rule.kind == "new_term":
            learnt = (unit - began) * self.unit_s >= rule.learn_s
            is_new = first is not None and unit - first < self.units
            return Finding(learnt and is_new, _sum(one.counts, unit, self.units), 1)
        return _FINDINGS[rule.kind](self, one, unit)

    def forget(self, one: Series, unit: int, forget_s: float) -> bool:
        """Drop counts that no window reaches any more; whether the series holds nothing more."""
        reach = unit - round(self.rule.history_s / self.unit_s)
        held: tuple[dict[int, Any], ...] = (one.counts, one.totals, one.bins)
        for counts in held:
            for old in [each for each in counts if each <= reach] if counts and min(counts) <= reach else ():
                del counts[old]
        if any(held) or one.alert.state != "inactive":
            return False
        quiet_s = (unit - one.last) * self.unit_s
        if self.rule.kind == "new_term":
            return quiet_s > self.rule.memory_s
        return not self.names or self.rule.kind != "flatline" or quiet_s > forget_s

    def labels(self, key: str) -> dict[str, str]:
        return dict(zip(self.names, key.split(_BETWEEN), strict=False)) if self.names else {}


def _sum(counts: Mapping[int, int], unit: int, units: int) -> int:
    """Of the last units up to this one."""
    if units == 1:
        return counts.get(unit, 0)
    return sum(counts.get(each, 0) for each in range(unit - units + 1, unit + 1))


def _count(watcher: Watcher, one: Series, unit: int) -> Finding:
    return at_least(_sum(one.counts, unit, watcher.units), watcher.rule.count)


def _spike(watcher: Watcher, one: Series, unit: int, known: int) -> Finding:
    units = watcher.units
    now, *before = (_sum(one.counts, unit - units * back, units) for back in range(3))
    found = spikes(watcher.rule, now, max(before))
    return found if known > 3 * units else found._replace(holds=False)  # half a window before is no comparison


def _flatline(watcher: Watcher, one: Series, unit: int, known: int) -> Finding:
    found = below(_sum(one.counts, unit, watcher.units), watcher.rule.count)
    return found if known >= watcher.units else found._replace(holds=False)


def _percentage(watcher: Watcher, one: Series, unit: int) -> Finding:
    part, whole = _sum(one.counts, unit, watcher.units), _sum(one.totals, unit, watcher.units)
    share = 100 * part / whole if whole else 0.0
    return at_least(share, watcher.rule.percent, enough=whole >= watcher.rule.min_events)


def _latency(watcher: Watcher, one: Series, unit: int) -> Finding:
    bins: dict[int, int] = {}
    for each in range(unit - watcher.units + 1, unit + 1):
        for place, count in one.bins.get(each, {}).items():
            bins[place] = bins.get(place, 0) + count
    enough = sum(bins.values()) >= watcher.rule.min_events
    return at_least(percentile(bins, watcher.rule.percentile), watcher.rule.limit, enough=enough)


def _anomaly(watcher: Watcher, one: Series, unit: int, known: int) -> Finding:
    weeks, week = watcher.rule.weeks, round(WEEK_S / watcher.unit_s)
    now = one.counts.get(unit, 0)
    if known <= week * weeks:
        return Finding(False, now, 0.0)
    return deviates(watcher.rule, now, [one.counts.get(unit - week * back, 0) for back in range(1, weeks + 1)])


def _share_falls(watcher: Watcher, one: Series, unit: int) -> Finding:
    back = round(watcher.rule.baseline_s / watcher.unit_s)
    earlier = _sum(one.counts, unit - watcher.units, back), _sum(one.totals, unit - watcher.units, back)
    return falls(watcher.rule, (one.counts.get(unit, 0), one.totals.get(unit, 0)), earlier)


_FINDINGS: dict[str, Callable[[Watcher, Series, int], Finding]] = {
    "any": _count,
    "frequency": _count,
    "percentage": _percentage,
    "latency": _latency,
    "share_falls": _share_falls,
}
_COMPARING: dict[str, Callable[[Watcher, Series, int, int], Finding]] = {
    "spike": _spike,
    "flatline": _flatline,
    "anomaly": _anomaly,
}
"""They compare with what a series was, so it must be known for long enough."""
