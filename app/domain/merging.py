"""What one message of hits changes: which entries, which records go out. The rule behind the agent merge_ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from app.domain import deliveries
from app.domain.entries import Entry
from app.domain.records import Delivery
from app.domain.tallies import Part
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

    def merge(self, key: Key, parts: Iterable[Part], source: int, now: float) -> None:
        """Take in the hits that one message has for a key."""
        entry = self.entries.get(key)
        if entry is None:
            entry = self.entries[key] = self._load(key) or Entry()
            self._touched[key] = set()
        rules = self._rules
        before = {tally.start: entry.known_hits(tally, rules) for tally in entry.tallies}
        self._touched[key] |= entry.merge(parts, rules)
        entry.touched = max(entry.touched, now)
        entry.fed_by(source)
        if before:
            self._note_gone(key, entry, before)

    def _note_gone(self, key: Key, entry: Entry, before: dict[float, int]) -> None:
        left = before.keys() - {tally.start for tally in entry.tallies}
        for start in left:
            by = entry.successor(start)
            known = before[start] if self._rules.window != "first_touch" else entry.known_hits(entry.tallies[0], self._rules)
            self._gone.setdefault(key, {})[start] = Gone(by, known)
            self._touched[key].add(by)

    def records(self, key: Key) -> list[Delivery]:
        """The records of a key that go out: its windows touched, and those that are no more."""
        entry, rules = self.entries[key], self._rules
        starts = {tally.start: tally for tally in entry.tallies}
        size = self._size_of(key[2])
        found = []
        touched = self._touched[key]
        if rules.window == "first_touch":
            touched = touched | starts.keys()  # a cut that moves changes its neighbours, too
        for start in sorted(touched & starts.keys()):
            tally = starts[start]
            found.append(deliveries.describe(key, tally, size, entry.known_hits(tally, rules)))
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
    return [deliveries.describe(key, tally, size, entry.known_hits(tally, rules), deliveries.STAGE_FINAL) for tally in gone]
