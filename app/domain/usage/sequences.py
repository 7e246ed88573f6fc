"""Which records of each producer a side holds, which are missing, doubled, late or altered, and whether its end is known.

A side is a place that should hold all records: the topic, the archive, a store; or one that holds some: a producer's spool. Records come
in any order. A number is kept in ranges, so memory grows with the holes, not with the records: whoever reads several partitions
reads them side by side.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import NamedTuple

from app.domain.byteranges import Ranges, add, contains, covered, intersect, missing, normalise, union
from app.domain.usage.records import (
    DROPPED,
    HEARTBEAT,
    START,
    STOP,
    UsageRecord,
    is_for_stores,
    is_intact,
    producer_of,
    user_key,
)

__all__ = [
    "ALWAYS",
    "NAMED_AT_MOST",
    "USERS_AT_MOST",
    "Held",
    "Late",
    "Period",
    "ProducerState",
    "Side",
    "Tail",
    "in_parts",
    "judge",
]

USERS_AT_MOST = 100_000
"""The order of this many users is watched at a time; of others it is said that it is not known."""
NAMED_AT_MOST = 100
"""This many late records are named with the record that came before them."""
_WAITING_AT_MOST = 512
_HOUR_S = 3600
_NO_END = 1 << 62
_NO_RECORD = "what was made was no record"


class Period(NamedTuple):
    """From `begin` to before `end`, UTC seconds."""

    begin: float = -inf
    end: float = inf


ALWAYS = Period()


class Late(NamedTuple):
    """A record came after a later one of the same user."""

    user: str
    earlier: int
    """The greatest number that came before it."""
    seq: int


def _hour(time: float) -> int:
    return int(time // _HOUR_S) * _HOUR_S


class _Numbers:
    """A set of numbers as ranges; the newest wait aside, so that one union serves many."""

    def __init__(self) -> None:
        self._ranges: Ranges = ()
        self._waiting: set[int] = set()

    def add(self, number: int) -> bool:
        """Whether it was not there."""
        if number in self._waiting or contains(self._ranges, number, number):
            return False
        self._waiting.add(number)
        if len(self._waiting) >= _WAITING_AT_MOST:
            self._join()
        return True

    @property
    def ranges(self) -> Ranges:
        self._join()
        return self._ranges

    def _join(self) -> None:
        self._ranges = union(self._ranges, normalise((number, number) for number in self._waiting))
        self._waiting.clear()


class _Sequence:
    """What a side has seen of one producer."""

    def __init__(self) -> None:
        self.held, self.doubled, self.altered, self.late, self.undecided = (_Numbers() for _ in range(5))
        self.late_named: list[Late] = []
        self.by_hour: Counter[int] = Counter()
        self.highest = 0
        self.stop: int | None = None
        self.bound: tuple[int, int] | None = None
        """(seq, records in memory) of the newest record that says so."""
        self.dropped: dict[str, Ranges] = {}
        self.spoiled: Ranges = ()
        """Numbers whose record was none: another stands in its place."""
        self.forgotten = 0
        self.monitored = _Numbers()
        self.before = self.within = 0
        """The highest numbers that were given before the period, and before its end."""
        self.is_in, self.goes_on = False, False
        """Something was made in the period; something was made after it."""
        self.highest_by_hour: dict[int, int] = {}

    def place(self, time: float, seq: int, period: Period) -> bool:
        """Whether it was made in the period. A number was given at the time of its record, all lower ones before."""
        if time >= period.end:
            self.goes_on = True
            return False
        self.within = max(self.within, seq)
        if time < period.begin:
            self.before = max(self.before, seq)
            return False
        self.is_in = True
        hour = _hour(time)
        self.highest_by_hour[hour] = max(self.highest_by_hour.get(hour, 0), seq)
        return True

    def learn(self, record: UsageRecord) -> None:
        """What an intact record says of its producer."""
        self.highest = max(self.highest, record.seq)
        if is_for_stores(record):
            self.monitored.add(record.seq)
        if record.kind == STOP:
            self.stop = record.seq
        elif record.kind in (START, HEARTBEAT):
            if record.memory_records is not None:
                self.bound = max(self.bound or (0, 0), (record.seq, record.memory_records))
            self.highest = max(self.highest, record.last_seq or 0)
        elif record.kind == DROPPED and record.first_seq is None:
            self.spoiled = add(self.spoiled, record.seq, record.seq)
        elif record.kind == DROPPED and record.first_seq and record.last_seq and record.first_seq <= record.last_seq:
            reason = record.detail or ""
            self.dropped[reason] = add(self.dropped.get(reason, ()), record.first_seq, record.last_seq)
            self.highest = max(self.highest, record.last_seq)


class Side:
    """What one side holds. Show it each record once for each time that it stands there, those of a user in their order."""

    def __init__(
        self,
        name: str,
        *,
        is_whole: bool = True,
        of_monitored: bool = False,
        users_at_most: int = USERS_AT_MOST,
        period: Period = ALWAYS,
    ) -> None:
        """`is_whole`: it should hold all records. Of another only what it knows counts, not what it lacks.

        `of_monitored`: it should hold all monitored records that any side knows, and no others.
        """
        self.name, self.is_whole, self.of_monitored, self.period = name, is_whole, of_monitored, period
        self._users_at_most = users_at_most
        self._sequences: dict[str, _Sequence] = {}
        self._last: OrderedDict[tuple[str, str], int] = OrderedDict()

    @property
    def producers(self) -> Iterable[str]:
        return self._sequences.keys()

    def see(self, record: UsageRecord) -> None:
        """A record whose checksum is wrong proves nothing but that it is altered."""
        producer = producer_of(record)
        sequence = self._sequences.setdefault(producer, _Sequence())
        if not is_intact(record):
            sequence.altered.add(record.seq)
            return
        if not sequence.held.add(record.seq):
            sequence.doubled.add(record.seq)
            return
        if sequence.place(record.time, record.seq, self.period):
            sequence.by_hour[_hour(record.time)] += 1
        sequence.learn(record)
        if record.user_id is not None:
            self._order(sequence, producer, user_key(record), record.seq)

    def _order(self, sequence: _Sequence, producer: str, user: str, seq: int) -> None:
        last = self._last.pop((producer, user), None)
        if last is None and seq < sequence.forgotten:
            sequence.undecided.add(seq)
        if last is not None and seq < last:
            sequence.late.add(seq)
            if len(sequence.late_named) < NAMED_AT_MOST:
                sequence.late_named.append(Late(user, last, seq))
        self._last[producer, user] = max(seq, last or 0)
        if len(self._last) > self._users_at_most:
            (whose, _), last = self._last.popitem(last=False)
            of = self._sequences[whose]
            of.forgotten = max(of.forgotten, last)

    def pass_over(self, producer: str, last: int, *, is_later: bool) -> None:
        """Records up to this number, all made before the period or all after it, were not shown."""
        sequence = self._sequences.setdefault(producer, _Sequence())
        if is_later:
            sequence.goes_on = True
        else:
            sequence.before, sequence.within = max(sequence.before, last), max(sequence.within, last)

    def numbers(self, producer: str) -> Ranges:
        """Which intact records of a producer are there."""
        return self.sequence(producer).held.ranges

    def sequence(self, producer: str) -> _Sequence:
        return self._sequences.get(producer) or _Sequence()


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


class Tail(NamedTuple):
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
    tail: Tail | None
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
        None if goes_on or stop is not None or mark is not None else Tail(last, bound[1] if bound else None),
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


def _held(side: Side, sequence: _Sequence, asked: Ranges, shown: Ranges, given_up: Ranges, coming: Ranges) -> Held:
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


def _made_by_hour(sequences: Sequence[_Sequence], given: int) -> dict[int, int]:
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
