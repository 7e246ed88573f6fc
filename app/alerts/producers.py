"""What the engine knows of each producer's sequence: which numbers came, which are missing since when, and when it spoke last.

Every number is held with the step of its time, and counts when that step is closed: so what is said at a time does not depend on the order
in which records came.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.domain.byteranges import Ranges, add, contains, intersect, missing, union

__all__ = ["Opened", "ProducerTrack"]


@dataclass(slots=True)
class Opened:
    """What came in a step that is not closed yet."""

    numbers: Ranges = ()
    dropped: Ranges = ()
    last: float = 0.0
    stopped: bool = False


@dataclass(slots=True)
class ProducerTrack:
    """One producer."""

    began: float
    """Time of its first record."""
    closed: Ranges = ()
    opened: dict[int, Opened] = field(default_factory=dict)
    given_up: Ranges = ()
    """Missing numbers that are told no more: the producer dropped them, or they are missing for too long."""
    base: int | None = None
    """Numbers from this one on, exclusive, must be there. None: no step is closed."""
    highest: int = 0
    last: float = 0.0
    """Time of its latest record that came in time; 0: none did, so nobody can say that it fell silent."""
    heard: float = 0.0
    """How far event time was when a record of it came late."""
    stopped: bool = False
    missing: list[tuple[int, int, float]] = field(default_factory=list)
    """(first, last, since)."""

    def is_new(self, number: int) -> bool:
        return not contains(self.closed, number, number) and not any(
            contains(each.numbers, number, number) for each in self.opened.values()
        )

    def came(self, index: int, time: float, number: int, *, stops: bool, dropped: tuple[int, int] | None) -> None:
        """A new number, in a step that is open."""
        step = self.opened.setdefault(index, Opened())
        step.numbers = add(step.numbers, number, number)
        step.last = max(step.last, time)
        step.stopped |= stops
        if dropped is not None and dropped[0] <= dropped[1]:
            step.dropped = add(step.dropped, *dropped)
        self.began = min(self.began, time)

    def came_late(self, heard: float, number: int, *, stops: bool, dropped: tuple[int, int] | None) -> None:
        """A new number whose step is closed, from a spool that waited: it is missing no more."""
        self.closed = add(self.closed, number, number)
        self.heard = heard
        self.stopped |= stops
        if dropped is not None and dropped[0] <= dropped[1]:
            self.given_up = add(self.given_up, *dropped)

    def close(self, index: int, end: float, *, from_the_start: bool, forget_s: float) -> None:
        """Close a step. `from_the_start`: the producer began under our eyes, so that its numbers must begin with 1."""
        step = self.opened.pop(index, None)
        if step is not None:
            if self.base is None and step.numbers:
                self.base = 0 if from_the_start else step.numbers[0][0] - 1
            self.closed = union(self.closed, step.numbers)
            self.given_up = union(self.given_up, step.dropped)
            self.highest = max(self.highest, step.numbers[-1][1] if step.numbers else 0)
            self.last = max(self.last, step.last)
            self.stopped |= step.stopped
        self._note_missing(end, forget_s)

    def _note_missing(self, end: float, forget_s: float) -> None:
        if self.base is None or (not self.missing and len(self.closed) == 1 and self.closed[0][0] <= self.base + 1):
            return
        lacking = missing(union(self.closed, self.given_up), self.base + 1, self.highest)
        noted: list[tuple[int, int, float]] = []
        known: Ranges = ()
        for first, last, since in self.missing:
            if end - since >= forget_s:
                self.given_up = union(self.given_up, intersect(lacking, ((first, last),)))
                continue
            still = intersect(lacking, ((first, last),))
            known = union(known, still)
            noted += [(lo, hi, since) for lo, hi in still]
        given_up = self.given_up
        new = (each for lo, hi in lacking for each in missing(union(known, given_up), lo, hi))
        self.missing = sorted([*noted, *((lo, hi, end) for lo, hi in new)])

    def missing_since(self, begin: float) -> Ranges:
        """The numbers that are missing, of those that were found missing after this time."""
        return tuple((first, last) for first, last, since in self.missing if since > begin)
