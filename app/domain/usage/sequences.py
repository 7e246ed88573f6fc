"""Which records of each producer a side holds, which are missing, doubled, late or altered, and whether its end is known.

A side is a place that should hold all records: the topic, the archive, a store; or one that holds some: a producer's spool. Records come
in any order. A number is kept in ranges, so memory grows with the holes, not with the records: whoever reads several partitions
reads them side by side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from app.domain.byteranges import Ranges, contains, covered, intersect, missing, normalise, union
from app.domain.usage.sides import ALWAYS, Late, Seen, Side

__all__ = ["Held", "ProducerState", "UnknownTail", "in_parts", "judge"]

_NO_END = 1 << 62
_NO_RECORD = "what was made was no record"


class Held(NamedTuple):
    """What one side holds of one producer. All numbers are inclusive ranges."""

    side: str
    records: int
    """Distinct intact records."""
    missing: Ranges
    """Neither there, nor altered, nor told as dropped, nor on the way. Empty for a side that is not whole."""
    on_the_way: Ranges
    """Not there yet."""
    doubled: Ranges
    altered: Ranges
    """The numbers that records with a wrong checksum bear; the alteration may have hit the number itself."""
    late: Ranges
    late_named: Sequence[Late]
    """The first of them."""
    undecided: Ranges
    """Perhaps late: their users were no longer watched."""
    by_hour: Mapping[int, int]
    """Start of the hour, UTC seconds -> distinct intact records of the period."""
    of: int
    """So many records it should hold at least, as far as is known."""


class UnknownTail(NamedTuple):
    """The end of a producer is not known: there is no stop record."""

    after: int
    """The last number that is known of."""
    at_most: int | None
    """This many records more, and what its spool holds; None if the producer's bound is missing, too."""


class ProducerState(NamedTuple):
    """What is known of one producer from all sides."""

    producer: str
    first: int
    """The first number of the period."""
    last: int
    """The last number of the period that is known of: all from the first to it were made."""
    tail: UnknownTail | None
    """None: the end is known."""
    after_stop: Ranges
    """Numbers above that of its stop record: two processes share a start id."""
    dropped: Mapping[str, Ranges]
    """Reason -> what the producer says that it dropped, and no side holds; and what another record stands for."""
    held: Sequence[Held]
    """In the order of the sides."""
    made_by_hour: Mapping[int, int]
    """Start of the hour, UTC seconds -> numbers that the producer gave up to the last record of the hour, since the one before.

    They follow from its records and heartbeats, whatever is missing; what was given after the last of them has no hour.
    """

    @property
    def made(self) -> int:
        """Records that it made in the period, as far as is known."""
        return max(0, self.last - self.first + 1)

    @property
    def differs(self) -> bool:
        """Something is missing, doubled, altered, late, or was dropped."""
        wrong = any(each.missing or each.doubled or each.altered or each.late for each in self.held)
        return wrong or bool(self.after_stop) or any(self.dropped.values())

    @property
    def is_unknown(self) -> bool:
        """The end, or the order of a user, cannot be told, or something is on the way."""
        return self.tail is not None or any(each.undecided or each.on_the_way for each in self.held)


def judge(
    sides: Sequence[Side], marks: Mapping[str, int] | None = None, on_the_way: Mapping[str, Side] | None = None
) -> list[ProducerState]:
    """Every producer that a side knows or `marks` names, by name; with a period, those of which a record was made in it.

    A number that is missing counts to the time of the next record that is there; so the parts of a time add up to the whole.

    `marks`: producer -> the last number that it gave, from a place that survived it, as the mark in its spool. It makes the end known.

    `on_the_way`: name of a side -> what will come to it, as far as anybody knows.
    """
    marks, coming = marks or {}, on_the_way or {}
    names = {name for side in (*sides, *coming.values()) for name in side.producers} | marks.keys()
    found = (_state(name, sides, marks.get(name), coming) for name in sorted(names))
    return [state for state in found if state is not None]


def _state(producer: str, sides: Sequence[Side], mark: int | None, coming: Mapping[str, Side]) -> ProducerState | None:
    found = [side.sequence(producer) for side in sides]
    every = [*found, *(side.sequence(producer) for side in coming.values())]
    if any(side.period != ALWAYS for side in sides) and not any(each.is_in for each in every):
        return None
    goes_on = any(each.goes_on for each in every)
    first = max((each.before for each in every), default=0) + 1
    stop = max((each.stop for each in found if each.stop is not None), default=None)
    last = max(each.within if goes_on else each.highest for each in found)
    last = last if goes_on else max(last, mark or 0)
    asked = ((first, last),) if first <= last else ()
    shown = asked if goes_on else ((first, max(last, _NO_END)),)
    bound = max((each.bound for each in found if each.bound is not None), default=None)
    known = union(*_two(each.held.ranges for each in found))
    reasons = {reason for each in found for reason in each.dropped}
    told = {
        reason: _outside(union(*_two(each.dropped.get(reason, ()) for each in found)), known)
        for reason in sorted(reasons)
    }
    told[_NO_RECORD] = normalise(pair for each in found for pair in each.spoiled)
    given_up = normalise(pair for ranges in told.values() for pair in ranges)
    monitored = union(*_two(each.monitored.ranges for each in every))
    newest = max(each.highest for each in found)
    return ProducerState(
        producer,
        first,
        last,
        None if goes_on or stop is not None or mark is not None else UnknownTail(last, bound[1] if bound else None),
        () if stop is None else intersect(intersect(known, ((stop + 1, max(newest, stop + 1)),)), shown),
        {reason: inside for reason, ranges in told.items() if (inside := intersect(ranges, shown))},
        [
            _held(
                side,
                sequence,
                intersect(asked, monitored) if side.of_monitored else asked,
                shown,
                given_up,
                coming[side.name].numbers(producer) if side.name in coming else (),
            )
            for side, sequence in zip(sides, found, strict=True)
        ],
        _made_by_hour(every, first - 1),
    )


def _held(side: Side, sequence: Seen, asked: Ranges, shown: Ranges, given_up: Ranges, coming: Ranges) -> Held:
    """`asked`: what it should hold; `shown`: what it may say anything of."""
    held, altered = sequence.held.ranges, sequence.altered.ranges
    there = union(union(held, altered), given_up)
    return Held(
        side.name,
        covered(intersect(held, shown)),
        _outside(asked, union(there, coming)) if side.is_whole else (),
        intersect(_outside(coming, there), shown),
        intersect(sequence.doubled.ranges, shown),
        intersect(altered, shown),
        intersect(sequence.late.ranges, shown),
        tuple(each for each in sequence.late_named if contains(shown, each.seq, each.seq)),
        intersect(sequence.undecided.ranges, shown),
        dict(sequence.by_hour),
        covered(asked),
    )


def _made_by_hour(sequences: Sequence[Seen], given: int) -> dict[int, int]:
    """`given`: the last number before the first hour."""
    highest: dict[int, int] = {}
    for sequence in sequences:
        for hour, seq in sequence.highest_by_hour.items():
            highest[hour] = max(highest.get(hour, 0), seq)
    made = {}
    for hour in sorted(highest):
        made[hour] = max(0, highest[hour] - given)
        given = max(given, highest[hour])
    return made


def in_parts(by_hour: Mapping[int, int], length_s: int) -> dict[int, int]:
    """The same counts by parts of so many seconds, whole hours.

    >>> in_parts({0: 1, 3600: 2, 86400: 4}, 86400)
    {0: 3, 86400: 4}
    """
    found: Counter[int] = Counter()
    for start, count in by_hour.items():
        found[start - start % length_s] += count
    return dict(found)


def _two(many: Iterable[Ranges]) -> tuple[Ranges, Ranges]:
    """Any number of ranges as the two that `union` takes."""
    return normalise(pair for ranges in many for pair in ranges), ()


def _outside(ranges: Ranges, others: Ranges) -> Ranges:
    return normalise(hole for lo, hi in ranges for hole in missing(others, lo, hi))
