"""The open deliveries of some sources: what a partition of the worker and `reduce` both merge hits into.

Hits come as groups, the hits of one key together: merged one by one, each would be searched for and inserted. The result is that
of Entry.merge for the same hits. Memory grows with the open deliveries, not with the lines: `sweep` takes out those that are over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from app.domain import deliveries
from app.domain.entries import Entry
from app.domain.gathering import entry_of, joined
from app.domain.key_hits import Key, KeyHits
from app.domain.records import Delivery
from app.domain.tallies import Part, Tally
from app.domain.watermarks import Clocks
from app.domain.windows import Rules

__all__ = ["OpenDeliveries", "SizeOf", "evict", "no_sizes"]

SizeOf = Callable[[str, float], int | None]
"""From a request and a time (UTC seconds) to the size in bytes that the file had then, a LearnedSize if log lines told it; or None."""


def no_sizes(request: str, time: float) -> int | None:
    """Nothing is known of any file."""
    return None


class OpenDeliveries:
    """Entries by key, and the clocks of the sources that fed them."""

    def __init__(
        self, rules: Rules, size_of: SizeOf = no_sizes, load: Callable[[Key], Entry | None] | None = None
    ) -> None:
        """With `load` an entry that is not open here is asked for, and `records` knows what changed."""
        self.rules = rules
        self.size_of = size_of
        self.clocks = Clocks()
        self.open: dict[Key, Entry] = {}
        self._load = load
        self._changes = None if load is None else _Changes()

    def merge(self, groups: Iterable[KeyHits], source: int, now: float = 0.0) -> None:
        """Take in the hits of one message or stretch of a source, in the order of the log.

        `source` is the number of its clock, `now` when it arrived (wall clock, UTC seconds).
        """
        rules, known, changes = self.rules, self.open, self._changes
        for _, key, tally, parts in groups:
            entry = known.get(key)
            if entry is None and self._load is not None:
                entry = self._load(key)
                if entry is not None:
                    known[key] = entry
            if entry is None:
                known[key] = entry = entry_of(parts(), rules) if tally is None else _entry_with(tally)
                entry.touched, entry.sources = now, (source,)
                if changes is not None:
                    changes.began(key, entry)
                continue
            before = {} if changes is None else {one.start: one.known for one in entry.tallies}
            touched = _take_in(entry, tally, parts, rules)
            entry.touched = max(entry.touched, now)
            entry.fed_by(source)
            if changes is not None:
                changes.add(key, entry, touched, before)

    def records(self, key: Key) -> list[Delivery]:
        """What goes out of the windows of an open key: those that hits fell into, and those that are no more. Needs `load`."""
        changes, entry, rules = self._changes, self.open[key], self.rules
        assert changes is not None
        touched, gone = changes.touched[key], changes.gone.get(key)
        _, _, request = key
        if len(entry.tallies) == 1 and gone is None and rules.window != "first_touch":  # nearly all
            (tally,) = entry.tallies
            return (
                [deliveries.describe(key, tally, self.size_of(request, tally.first), proof=rules.proof)]
                if tally.start in touched
                else []
            )
        starts = {tally.start: tally for tally in entry.tallies}
        if rules.window == "first_touch":
            touched = touched | starts.keys()  # a cut that moves changes its neighbours, too
        found = [
            deliveries.describe(key, tally, self.size_of(request, tally.first), proof=rules.proof)
            for tally in map(starts.__getitem__, sorted(touched & starts.keys()))
        ]
        for start, (taken_by, known_hits) in sorted((gone or {}).items()):
            if start not in starts:
                by = entry.successor(taken_by)
                size = self.size_of(request, starts[by].first)
                holder = deliveries.describe(key, starts[by], size, proof=rules.proof)._replace(window_start=start)
                found.append(deliveries.superseded(holder, by, known_hits))
        return found

    def sweep(self) -> list[Delivery]:
        """Take out the deliveries that are over, as final records."""
        rules = self.rules
        passed: dict[tuple[int, ...] | None, float] = {}
        final: list[Delivery] = []
        empty = []
        for key, entry in self.open.items():
            before = passed.get(entry.sources)
            if before is None:
                before = passed[entry.sources] = self.clocks.passed(entry.sources, rules.lateness_s)
            gone = entry.evict(before, rules)
            if gone:
                final += _final(key, gone, rules, self.size_of)
            if entry.is_empty:
                empty.append(key)
        for key in empty:
            del self.open[key]
        return final

    def finish(self) -> Iterator[Delivery]:
        """The deliveries that are still open; the state is empty afterwards."""
        for key in list(self.open):
            entry = self.open.pop(key)
            _, _, request = key
            for tally in entry.tallies:
                yield deliveries.describe(key, tally, self.size_of(request, tally.first), proof=self.rules.proof)


def evict(key: Key, entry: Entry, before: float, rules: Rules, size_of: SizeOf) -> list[Delivery]:
    """Take the windows that ended before that event time out of an entry; gives their final records."""
    return _final(key, entry.evict(before, rules), rules, size_of)


def _final(key: Key, gone: list[Tally], rules: Rules, size_of: SizeOf) -> list[Delivery]:
    _, _, request = key
    return [
        deliveries.describe(key, tally, size_of(request, tally.first), deliveries.STAGE_FINAL, rules.proof)
        for tally in gone
    ]


def _entry_with(tally: Tally) -> Entry:
    entry = Entry()
    entry.tallies = [tally]
    return entry


def _take_in(entry: Entry, tally: Tally | None, parts: Callable[[], list[Part]], rules: Rules) -> set[float]:
    """Merges a group into an entry; gives the starts of the windows that its hits fell into."""
    if tally is not None:
        first = tally.first
        if joined(entry, tally, rules):
            return {entry.successor(first)}
    return entry.merge(parts(), rules)


class _Gone(NamedTuple):
    """A window that another one took in."""

    by: float
    known_hits: int


class _Changes:
    """Which windows the merged groups changed.

    What was taken in is noted after every group: a crash may have cut the messages into other batches before, and then a record
    of each state between two messages can be in the stores.
    """

    def __init__(self) -> None:
        self.touched: dict[Key, set[float]] = {}
        """Starts of windows that hits fell into, known ones included."""
        self.gone: dict[Key, dict[float, _Gone]] = {}

    def began(self, key: Key, entry: Entry) -> None:
        """A new entry."""
        self.touched[key] = {tally.start for tally in entry.tallies}

    def add(self, key: Key, entry: Entry, touched: set[float], before: dict[float, int]) -> None:
        """A group that was merged into an entry; `before` are its windows until then, with what they knew."""
        if key in self.touched:
            self.touched[key] |= touched
        else:
            self.touched[key] = touched
        for start in before.keys() - {tally.start for tally in entry.tallies}:
            by = entry.successor(start)
            self.gone.setdefault(key, {})[start] = _Gone(by, before[start])
            self.touched[key].add(by)
