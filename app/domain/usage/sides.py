"""What one side has seen of each producer: numbers in ranges, so memory grows with the holes, not with the records.

Whoever reads several partitions reads them side by side.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from math import inf
from typing import NamedTuple

from app.domain.byteranges import Ranges, add, contains, normalise, union
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

__all__ = ["ALWAYS", "NAMED_AT_MOST", "USERS_AT_MOST", "Late", "Period", "Seen", "Side"]

USERS_AT_MOST = 100_000
"""The order of this many users is watched at a time; of others it is said that it is not known."""
NAMED_AT_MOST = 100
"""This many late records are named with the record that came before them."""
_WAITING_AT_MOST = 512
_HOUR_S = 3600


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


class Seen:
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
        stored_since: float = -inf,
    ) -> None:
        """`is_whole`: it should hold all records. Of another only what it knows counts, not what it lacks.

        `of_monitored`: a store, which should hold all monitored records that any side knows of this time or later; in whatever order.
        """
        self.name, self.is_whole, self.of_monitored, self.period = name, is_whole, of_monitored, period
        self._stored_since = stored_since
        self._users_at_most = users_at_most
        self.has_monitored = False
        """A store should hold something of it."""
        self._sequences: dict[str, Seen] = {}
        self._last: OrderedDict[tuple[str, str], int] = OrderedDict()

    @property
    def producers(self) -> Iterable[str]:
        return self._sequences.keys()

    def see(self, record: UsageRecord) -> None:
        """A record whose checksum is wrong proves nothing but that it is altered."""
        producer = producer_of(record)
        sequence = self._sequences.setdefault(producer, Seen())
        if not is_intact(record):
            sequence.altered.add(record.seq)
            return
        if not sequence.held.add(record.seq):
            sequence.doubled.add(record.seq)
            return
        if sequence.place(record.time, record.seq, self.period):
            sequence.by_hour[_hour(record.time)] += 1
        sequence.learn(record)
        if record.time >= self._stored_since and is_for_stores(record):
            sequence.monitored.add(record.seq)
            self.has_monitored = True
        if record.user_id is not None and not self.of_monitored:
            self._order(sequence, producer, user_key(record), record.seq)

    def _order(self, sequence: Seen, producer: str, user: str, seq: int) -> None:
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
        sequence = self._sequences.setdefault(producer, Seen())
        if is_later:
            sequence.goes_on = True
        else:
            sequence.before, sequence.within = max(sequence.before, last), max(sequence.within, last)

    def numbers(self, producer: str) -> Ranges:
        """Which intact records of a producer are there."""
        return self.sequence(producer).held.ranges

    def sequence(self, producer: str) -> Seen:
        return self._sequences.get(producer) or Seen()
