"""What one message of hits changes: which entries, which records go out. The rule behind the agent merge_ranges."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from app.domain import deliveries
from app.domain.entries import Entry
from app.domain.gathering import entry_of, joined
from app.domain.records import Delivery
from app.domain.tallies import Part, Tally
from app.domain.windows import Rules

__all__ = ["Changes", "Key", "SizeOf", "evict"]

Key = tuple[str, str, str]
SizeOf = Callable[[str], int | None]
"""From a request to the size in bytes of the file asked for, or None."""


class Gone(NamedTuple):
    """A delivery that another one took in."""

    by: float
    known_hits: int


class Changes:
    """The entries that some messages of one partition change, gathered message by message.

    Records are made at the end, but what was taken in is noted after every message: a crash may have cut the messages
    into other batches before, and then a record of each state between two messages can be in the stores.
    """

    def __init__(self, rules: Rules, size_of: SizeOf, load: Callable[[Key], Entry | None]) -> None:
        self._rules, self._size_of, self._load = rules, size_of, load
        self.entries: dict[Key, Entry] = {}
        self._touched: dict[Key, set[float]] = {}
        self._gone: dict[Key, dict[float, Gone]] = {}

    def merge(self, key: Key, parts: list[Part], source: int, now: float) -> None:
        """Take in the hits that one message has for a key."""
        entry = self._entry(key)
        if entry is None:
            self._merge_new(key, entry_of(parts, self._rules), source, now)
            return
        before = {tally.start: tally.known for tally in entry.tallies}
        self._touched[key] |= entry.merge(parts, self._rules)
        self._merged(key, entry, before, source, now)

    def merge_tally(self, key: Key, tally: Tally, parts: Callable[[], list[Part]], source: int, now: float) -> None:
        """The same for hits that surely are one window, gathered already; `parts` gives them one by one where that is not enough."""
        entry = self._entry(key)
        if entry is None:
            entry = Entry()
            entry.tallies = [tally]
            self._merge_new(key, entry, source, now)
            return
        before = {tally.start: tally.known for tally in entry.tallies}
        first = tally.first
        if joined(entry, tally, self._rules):
            self._touched[key].add(entry.successor(first))
        else:
            self._touched[key] |= entry.merge(parts(), self._rules)
        self._merged(key, entry, before, source, now)

    def _entry(self, key: Key) -> Entry | None:
        """As it is so far; None for a new key."""
        entry = self.entries.get(key)
        if entry is None:
            self._touched[key] = set()
            entry = self._load(key)
            if entry is not None:
                self.entries[key] = entry
        return entry

    def _merged(self, key: Key, entry: Entry, before: dict[float, int], source: int, now: float) -> None:
        entry.touched = max(entry.touched, now)
        entry.fed_by(source)
        if before:
            self._note_gone(key, entry, before)

    def _merge_new(self, key: Key, entry: Entry, source: int, now: float) -> None:
        self.entries[key] = entry
        touched = self._touched[key]
        for tally in entry.tallies:
            touched.add(tally.start)
        entry.touched, entry.sources = now, (source,)

    def _note_gone(self, key: Key, entry: Entry, before: dict[float, int]) -> None:
        left = before.keys() - {tally.start for tally in entry.tallies}
        for start in left:
            by = entry.successor(start)
            self._gone.setdefault(key, {})[start] = Gone(by, before[start])
            self._touched[key].add(by)

    def records(self, key: Key) -> list[Delivery]:
        """The records of a key that go out: its windows touched, and those that are no more."""
        entry, rules = self.entries[key], self._rules
        if len(entry.tallies) == 1 and key not in self._gone and rules.window != "first_touch":  # nearly all
            (tally,) = entry.tallies
            return [deliveries.describe(key, tally, self._size_of(key[2]))] if tally.start in self._touched[key] else []
        starts = {tally.start: tally for tally in entry.tallies}
        size = self._size_of(key[2])
        found = []
        touched = self._touched[key]
        if rules.window == "first_touch":
            touched = touched | starts.keys()  # a cut that moves changes its neighbours, too
        for start in sorted(touched & starts.keys()):
            found.append(deliveries.describe(key, starts[start], size))
        for start, gone in sorted(self._gone.get(key, {}).items()):
            if start not in starts:
                by = entry.successor(gone.by)
                holder = deliveries.describe(key, starts[by], size)._replace(window_start=start)
                found.append(deliveries.superseded(holder, by, gone.known_hits))
        return found


def evict(key: Key, entry: Entry, before: float, rules: Rules, size_of: SizeOf) -> list[Delivery]:
    """Take the windows that are over out of an entry; gives their final records."""
    size = size_of(key[2])
    gone = entry.evict(before, rules)
    return [deliveries.describe(key, tally, size, deliveries.STAGE_FINAL) for tally in gone]
