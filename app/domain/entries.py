"""The windows of one key: what the table keeps under a delivery key, and how hits are merged into it.

An entry is changed by `merge` alone and is a function of the set of hits merged in and of what was evicted from it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from operator import attrgetter

from app.domain import windows
from app.domain.tallies import MAX_HITS, Mark, Part, Tally
from app.domain.windows import Rules

__all__ = ["MAX_SOURCES", "Entry"]

MAX_SOURCES = 16
"""An entry fed by more sources than this is evicted by its age in the state alone."""

_start = attrgetter("start")


class Entry:
    """All open windows of one key."""

    __slots__ = ("evicted_hits", "evicted_last", "floor", "lost", "parts", "sources", "tallies", "touched")

    def __init__(self) -> None:
        self.tallies: list[Tally] = []
        """Sorted by start, none overlapping."""
        self.parts: list[Part] = []
        """first_touch only: the distinct hits, sorted by time and id, from which the tallies are cut."""
        self.sources: tuple[int, ...] | None = ()
        """Which sources fed it, by the numbers their clocks have; None when they were too many."""
        self.touched = 0.0
        """When a message last touched it: wall clock, carried by the message."""
        self.floor = float("-inf")
        """first_touch only: the end of the last evicted window; hits before it are cut by themselves."""
        self.evicted_hits = 0
        """first_touch only: evicted hits that led up to the floor, each less than a length after the one before it."""
        self.evicted_last = float("-inf")
        """first_touch only: time of the latest evicted hit."""
        self.lost = float("-inf")
        """Time of the latest hit not taken in: in first_touch because there were too many, in any mode because the state was damaged."""

    @property
    def is_empty(self) -> bool:
        """Nothing is left that a hit could still meet."""
        return not self.tallies and not self.evicted_hits

    def is_over(self, expired: float) -> bool:
        """Whether it may leave the state; if hits were lost, only when it was not touched since then (wall clock)."""
        return self.is_empty and (self.lost == float("-inf") or self.touched < expired)

    def merge(self, parts: Iterable[Part], rules: Rules) -> set[float]:
        """Merge hits in; gives the starts of the windows they fell into, whether they were new or known."""
        if rules.window == "last_touch":
            return {self._merge_session(part, rules) for part in parts} & {tally.start for tally in self.tallies}
        if rules.window == "first_touch":
            return self._merge_first_touch(parts, rules.length_s)
        return {self._merge_bucket(part, rules) for part in parts}

    def may_lack(self, tally: Tally, rules: Rules) -> bool:
        """Whether lost hits may have belonged to the window of a new tally."""
        return tally.start < self.lost + rules.length_s

    def recut(self, rules: Rules) -> None:
        """first_touch: make the windows anew from the hits."""
        self._recut(rules.length_s)

    def successor(self, start: float) -> float:
        """Which window holds the time at which a window started that is gone now."""
        return self.tallies[max(0, bisect_right(self.tallies, start, key=_start) - 1)].start

    def fed_by(self, source: int) -> None:
        """Note that a source fed this entry."""
        if self.sources is not None and source not in self.sources:
            self.sources = (*self.sources, source) if len(self.sources) < MAX_SOURCES else None

    def evict(self, before: float, rules: Rules) -> list[Tally]:
        """Take out the windows that ended at `before` or earlier (event time).

        Of first_touch only windows from the left: a later one is cut where the earlier ones end.
        """
        if rules.window == "first_touch":
            return self._evict_first_touch(before, rules)
        tallies = self.tallies
        if len(tallies) == 1:  # nearly all
            if windows.end(rules, tallies[0].start, tallies[0].last) > before:
                return []
            self.tallies = []
            return tallies
        gone = [tally for tally in tallies if windows.end(rules, tally.start, tally.last) <= before]
        if gone:
            self.tallies = [tally for tally in tallies if windows.end(rules, tally.start, tally.last) > before]
        return gone

    def _evict_first_touch(self, before: float, rules: Rules) -> list[Tally]:
        """A later window is cut where the earlier ones end: they are remembered as long as a hit may come that they lead up to."""
        tallies, length_s = self.tallies, rules.length_s
        count = 0
        while count < len(tallies) and tallies[count].start + length_s <= before:
            count += 1
        gone, self.tallies = tallies[:count], tallies[count:]
        if gone:
            if gone[-1].start >= self.floor:
                self.floor = gone[-1].start + length_s
            at = bisect_left(self.parts, (self.tallies[0].start,)) if self.tallies else len(self.parts)
            for part in self.parts[:at]:
                self.evicted_hits = self.evicted_hits + 1 if part.time < self.evicted_last + length_s else 1
                self.evicted_last = max(self.evicted_last, part.time)
            self.parts = self.parts[at:]
        if not self.tallies and self.evicted_last + length_s <= before:
            self.evicted_hits = 0
        return gone

    # -- one way of merging a window mode

    def _merge_session(self, part: Part, rules: Rules) -> float:
        """last_touch. At most two sessions are within reach: sessions lie at least a length apart."""
        time, tallies, length_s = part.time, self.tallies, rules.length_s
        if len(tallies) == 1:
            at = 0
        else:
            at = max(0, bisect_right(tallies, time, key=_start) - 1)
            if at < len(tallies) and tallies[at].last + length_s <= time:
                at += 1
        if at >= len(tallies) or time + length_s <= tallies[at].first or tallies[at].last + length_s <= time:
            fresh = self._fresh(time, rules)
            fresh.add(part)
            tallies.insert(bisect_left(tallies, time, key=_start), fresh)
            return time
        tally = tallies[at]
        tally.add(part)
        tally.start = tally.first
        if at + 1 < len(tallies) and tallies[at + 1].first < tally.last + length_s:
            tally.join(tallies.pop(at + 1))
        return tally.start

    def _fresh(self, start: float, rules: Rules) -> Tally:
        tally = Tally(start)
        if self.may_lack(tally, rules):
            tally.marks |= Mark.FRAGMENTED
        return tally

    def _merge_bucket(self, part: Part, rules: Rules) -> float:
        """day and all."""
        start = windows.bucket_start(rules.window, part.time)
        tallies = self.tallies
        at = bisect_left(tallies, start, key=_start)
        if at == len(tallies) or tallies[at].start != start:
            tallies.insert(at, self._fresh(start, rules))
        tallies[at].add(part)
        return start

    def _merge_first_touch(self, parts: Iterable[Part], length_s: float) -> set[float]:
        held, times = self.parts, []
        lost, count = self.lost, len(held)
        for part in parts:
            times.append(part.time)
            at = bisect_left(held, part[:2])
            if at < len(held) and held[at][:2] == part[:2]:
                continue
            if len(held) < MAX_HITS:
                insort(held, part)
            else:
                self.lost = max(self.lost, part.time)
        if len(held) > count or self.lost > lost:
            self._recut(length_s)
        return {self.successor(time) for time in times}

    def _recut(self, length_s: float) -> None:
        """What was lost may have belonged to any window that starts less than a length after it."""
        self.tallies = tallies = self._cut(length_s)
        for tally in tallies:
            if tally.start >= self.lost + length_s:
                break
            tally.marks |= Mark.FRAGMENTED

    def _cut(self, length_s: float) -> list[Tally]:
        """first_touch: the windows of sorted hits; those before the floor never reach over it."""
        tallies: list[Tally] = []
        floor, led, last = self.floor, self.evicted_hits, self.evicted_last
        for part in self.parts:
            time = part.time
            if time >= last + length_s:
                led = 0
            if not tallies or time >= tallies[-1].start + length_s or tallies[-1].start < floor <= time:
                tallies.append(Tally(time))
                tallies[-1].before = led
            tallies[-1].add(part)
            led, last = led + 1, max(last, time)
        return tallies
