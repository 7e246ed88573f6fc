"""The engine: events in any order come in, notices go out. Pure: event time decides, and what is known is one value.

Event time is cut into steps. A step is closed when an event is later than its end by the lateness; then every rule looks at its series.
An event of a closed step changes nothing but that its number is not missing. So within the lateness order, repeats and cuts of the stream
change no notice, and a replay of what was seen is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.alerts.events import Event
from app.alerts.producers import ProducerTrack
from app.alerts.rules import AlertRules
from app.alerts.state import EngineState, Series
from app.alerts.watching import Watcher
from app.domain.alerts.judging import Finding, at_least
from app.domain.alerts.lifecycle import Notice, advanced
from app.domain.alerts.rules import Rule
from app.domain.byteranges import covered, to_text

__all__ = ["Engine"]

_NAMED = 100
"""Characters of missing numbers in a notice."""


class Engine:
    """Looks at events by rules. `state`: what an earlier engine with these rules knew; it goes on in it."""

    def __init__(self, rules: AlertRules, state: EngineState | None = None) -> None:
        self.rules = rules
        self.state = state or EngineState()
        known = self.state.series
        self.state.series = {rule.name: known.get(rule.name, {}) for rule in rules.rules}
        self._watchers = [Watcher(rule, rules.step_s, self.state.series[rule.name]) for rule in rules.rules]

    def see(self, event: Event) -> list[Notice]:
        """Take an event; returns the notices of the steps that it closes, in order."""
        state, step_s = self.state, self.rules.step_s
        if state.closed is None:
            state.closed = int((event.time - self.rules.lateness_s) // step_s)
            state.highest = event.time
        index = int(event.time // step_s)
        if index < state.closed:
            self._late(event)
            return []
        if not self._is_new(event, index):
            state.repeats += 1
            return []
        for watcher in self._watchers:
            if not watcher.see(event):
                state.left_out += 1
        return self.advance(event.time)

    def advance(self, time: float) -> list[Notice]:
        """Event time has come to here; nothing earlier than this by more than the lateness will be looked at any more."""
        state = self.state
        if state.closed is None:
            return []
        state.highest = max(state.highest, time)
        until = int((state.highest - self.rules.lateness_s) // self.rules.step_s)
        notices: list[Notice] = []
        while state.closed < until:
            if not state.opened and not state.producers and all(watcher.is_still for watcher in self._watchers):
                state.closed = until  # nothing can change any more, however long the gap is
                break
            notices += self._close(state.closed)
            state.closed += 1
        return notices

    @property
    def firing(self) -> Iterator[tuple[Rule, dict[str, str], Series]]:
        """Alerts that fire now."""
        for watcher in self._watchers:
            for key, one in watcher.series.items():
                if one.alert.state == "firing":
                    yield watcher.rule, watcher.labels(key), one

    def _late(self, event: Event) -> None:
        self.state.late += 1
        if not event.producer:
            return
        track = self.state.producers.setdefault(event.producer, ProducerTrack(event.time))
        if track.is_new(event.number):
            track.came_late(self.state.highest, event.number, stops=event.stops, dropped=event.dropped)

    def _is_new(self, event: Event, index: int) -> bool:
        ids = self.state.opened.setdefault(index, set())
        if not event.producer:
            is_new = event.number not in ids
            ids.add(event.number)
            return is_new
        track = self.state.producers.get(event.producer)
        if track is None:
            track = self.state.producers[event.producer] = ProducerTrack(event.time)
        elif not track.is_new(event.number):
            return False
        track.came(index, event.time, event.number, stops=event.stops, dropped=event.dropped)
        return True

    def _close(self, index: int) -> list[Notice]:
        state, step_s = self.state, self.rules.step_s
        had_events = state.opened.pop(index, None) is not None
        if state.began is None:
            if not had_events:
                return []
            state.began = index
        end = (index + 1) * step_s
        for track in state.producers.values():
            from_the_start = track.began > state.began * step_s + self.rules.lateness_s
            track.close(index, end, from_the_start=from_the_start, forget_s=self.rules.forget_s)
        notices = [notice for watcher in self._watchers for notice in self._look(watcher, end)]
        for name, track in list(state.producers.items()):
            if (
                not track.opened
                and end - max(track.last, track.heard) > self.rules.forget_s
                and not self._alerted(name)
            ):
                del state.producers[name]
        return notices

    def _alerted(self, producer: str) -> bool:
        return any(watcher.is_per_producer and producer in watcher.series for watcher in self._watchers)

    def _look(self, watcher: Watcher, end: float) -> Iterator[Notice]:
        if round(end / self.rules.step_s) % watcher.steps:
            return
        if watcher.is_per_producer:
            yield from self._look_at_producers(watcher, end)
            return
        unit = round(end / watcher.unit_s) - 1
        assert self.state.began is not None
        for key in watcher.keys(unit):
            one = watcher.series[key]
            finding = watcher.finding(one, unit, self.state.began, self.rules.forget_s)
            yield from self._moved(watcher, key, one, end, finding)
            if watcher.forget(one, unit, self.rules.forget_s):
                del watcher.series[key]
                watcher.awake.discard(key)
            elif not one.counts and not one.totals and one.alert.state == "inactive":
                watcher.awake.discard(key)

    def _moved(self, watcher: Watcher, key: str, one: Series, end: float, finding: Finding) -> Iterator[Notice]:
        if one.alert.state == "inactive" and not finding.holds:
            return
        labels = watcher.labels(key)
        silenced = any(silence.covers(watcher.rule.name, labels, end) for silence in self.rules.silences)
        yield from advanced(one.alert, watcher.rule, labels, end, finding, silenced=silenced)

    def _look_at_producers(self, watcher: Watcher, end: float) -> Iterator[Notice]:
        rule = watcher.rule
        for name in sorted(self.state.producers):
            track = self.state.producers[name]
            if rule.kind == "missing_sequence":
                lacking = track.missing_since(end - rule.window_s)
                finding = at_least(covered(lacking), 1)._replace(detail=to_text(lacking)[:_NAMED])
            else:
                quiet_s = end - track.last
                holds = track.last > 0 and not track.stopped and rule.window_s <= quiet_s <= self.rules.forget_s
                finding = Finding(holds, quiet_s, rule.window_s)
            one = watcher.series.get(name)
            if one is None:
                if not finding.holds:
                    continue
                one = watcher.series[name] = Series()
            yield from self._moved(watcher, name, one, end, finding)
            if one.alert.state == "inactive":
                del watcher.series[name]
