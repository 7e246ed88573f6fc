"""What a comparison found: counted in full, named one by one to whoever listens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from app.domain.totals import Totals

__all__ = ["DIFFERENT", "UNREADABLE", "CheckReport", "Difference"]

UNREADABLE = "unreadable"
"""A record that is damaged, or somebody else's."""
DIFFERENT = ("missing", "altered", "extra", "doubled", "split", "apart", UNREADABLE)
"""Kinds that are differences; other kinds (unsupported) are told and no more."""


class Difference(NamedTuple):
    """One record that is not as it must be."""

    store: str
    """Or the consumer group or topic that lacks messages."""
    record: str
    """message, hit, reject, delivery, count, or of a counted kind: vote, vote sum."""
    kind: str
    """missing, altered, extra (not in the topic), doubled, split (a late hit's delivery stands beside its own), apart (two stores
    differ), unreadable, unsupported."""
    name: str
    """The raw id; of a delivery its key and window start."""
    why: str


class CheckReport:
    """Counts of what was compared, and of what differs."""

    def __init__(self, on_difference: Callable[[Difference], object] = lambda difference: None) -> None:
        self._on_difference = on_difference
        self._doubled: set[tuple[str, ...]] = set()
        self.found: Counter[tuple[str, str, str]] = Counter()
        """By (store, record, kind)."""
        self.totals: dict[str, Totals] = {}
        """What each store says of itself; its hits and rejects together are the lines that reached it."""
        self.compared: Counter[tuple[str, str, str]] = Counter()
        """Records by (topic or store, of which store, record)."""
        self.waiting: dict[str, dict[str, int]] = {}
        """Messages that a store has not taken yet, by store and topic."""
        self.on_the_way: Counter[str] = Counter()
        """Records that differ and are on their way, by store: no differences yet."""
        self.checksums: dict[str, dict[str, str]] = {}
        """By store and kind of record."""
        self.skipped: list[str] = []
        """What could not be compared, and why, in sentences."""
        self.mended: Counter[tuple[str, str, str]] = Counter()
        """By (store, record, what was done: written or removed)."""

    def add(self, difference: Difference) -> None:
        """Count it and tell it; what stands doubled is found in two ways and counts once."""
        if difference.kind == "doubled":
            if difference[:4] in self._doubled:
                return
            self._doubled.add(difference[:4])
        self.found[difference[:3]] += 1
        self._on_difference(difference)

    @property
    def unreadable(self) -> int:
        return sum(count for (_, _, kind), count in self.found.items() if kind == UNREADABLE)

    @property
    def differences(self) -> int:
        return sum(count for (_, _, kind), count in self.found.items() if kind in DIFFERENT)
