"""Calls of services over days and weeks: a season of the hour and the day of the week, noise, and faults with begin and end.

Everything follows from the seed. The hours are drawn as arrays; records are made from them one hour at a time. 26 weeks of 20,000 calls an hour
are 87 million calls: of such a span `hourly` tells the counts, which are the same that its records would have.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np

__all__ = ["FAULTS", "Fault", "SimulatedUsage", "UsagePlan", "hourly", "season"]

FAULTS = {
    "spike": "four times as many calls",
    "outage": "no call arrives; the producers go on",
    "errors": "half of the answers are 503",
    "slow": "answers take thirty times as long",
    "newcomer": "a user calls who never called",
    "teapot": "one answer is 418",
    "lost": "records of one producer are made and never arrive",
    "silent": "one producer is killed; another start takes its place at the end",
}
"""Kind -> what happens."""
_ROUTES = ("/", "/items", "/items/17", "/search", "/cart", "/orders")
_REGIONS = ("eu", "us")
_HOUR_S = 3600
_WEEK_HOURS = 168
_HEARTBEAT_S = 10.0
_LAST_S = 60.0
"""So long after the last call the producers stop."""
_MEDIAN_US, _SPREAD = 20_000, 0.5
_SPIKE, _SLOW, _LOST = 4.0, 30, 12


class Fault(NamedTuple):
    """What goes wrong, and when. UTC seconds, the end exclusive."""

    kind: str
    begin: float
    end: float
    producer: str = ""
    first_lost: int | None = None
    last_lost: int | None = None


class UsagePlan(NamedTuple):
    """What to make up."""

    begin: float
    """UTC seconds, a whole hour."""
    hours: int = 24
    per_hour: float = 600.0
    """Calls an hour, in the middle of the week."""
    seed: int = 1
    noise: float = 0.1
    """Deviation of an hour from its season, as a share."""
    users: int = 50
    producers: int = 2
    faults: bool = True
    """Each kind once, spread over the span."""
    fault_s: float = 900.0


def _week() -> np.ndarray[Any, Any]:
    hours = np.arange(_WEEK_HOURS)
    day = hours // 24  # UTC seconds begin on a Thursday: 2 and 3 are Saturday and Sunday
    shape = (1.0 - 0.7 * np.cos(2 * np.pi * (hours % 24 - 3) / 24)) * np.where((day == 2) | (day == 3), 0.6, 1.0)
    return np.asarray(shape / shape.mean())


def season(hours: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The factor of each hour, counted since 1970: by the hour of the day and the day of the week; its mean over a week is 1."""
    return np.asarray(_week()[hours % _WEEK_HOURS])


def hourly(plan: UsagePlan) -> np.ndarray[Any, Any]:
    """Calls of each hour without faults: season, noise, and the chance of independent calls."""
    chance = np.random.default_rng(plan.seed)
    hours = np.arange(plan.hours) + int(plan.begin // _HOUR_S)
    level = season(hours) * np.maximum(0.0, 1 + plan.noise * chance.standard_normal(plan.hours))
    return chance.poisson(plan.per_hour * level)


class _Producer:
    """One start of a process."""

    def __init__(self, number: int, begin: float, starts: int = 0) -> None:
        self.number, self.starts, self.began = number, starts, begin
        self.start_id = sha256(f"{number} {starts}".encode()).hexdigest()[:32]
        self.name = f"shop@m{number}/{self.start_id}"
        self.seq = 0
        self.beat = begin

    def made(self, kind: str, time: float, **fields: Any) -> dict[str, Any]:
        """The fields of a record, by the names of its table."""
        self.seq += 1
        who = {
            "kind": kind,
            "service": "shop",
            "machine": f"m{self.number}",
            "start_id": self.start_id,
            "seq": self.seq,
        }
        where = {"process": 1000 + self.number, "instance": "", "region": _REGIONS[self.number % len(_REGIONS)]}
        return {**who, "time": time, **where, **fields}


class SimulatedUsage:
    """The records in the order of their time, without those that were lost; and their truth once all were drawn."""

    def __init__(self, plan: UsagePlan) -> None:
        self.plan = plan
        self.end = plan.begin + plan.hours * _HOUR_S
        self._chance = np.random.default_rng([plan.seed, 1])
        self._producers = [_Producer(number, plan.begin) for number in range(plan.producers)]
        self.faults = self._planned() if plan.faults else []
        self.made: Counter[str] = Counter()
        """Producer -> its last number."""
        self.arrived: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.by_hour: Counter[int] = Counter()
        """Start of an hour -> calls that began in it."""

    def _planned(self) -> list[Fault]:
        plan, span_s = self.plan, self.end - self.plan.begin
        length = min(plan.fault_s, span_s / (2 * len(FAULTS) + 2))
        at = [plan.begin + span_s * (place + 1) / (len(FAULTS) + 1) for place in range(len(FAULTS))]
        return [
            Fault(kind, begin // 60 * 60, (begin + length) // 60 * 60) for kind, begin in zip(FAULTS, at, strict=True)
        ]

    def _now(self, kind: str, time: float) -> int | None:
        """The place of a fault in the list, while it lasts."""
        for place, fault in enumerate(self.faults):
            if fault.kind == kind and fault.begin <= time < fault.end:
                return place
        return None

    def records(self) -> Iterator[dict[str, Any]]:
        """The fields of each record that arrives."""
        waiting: list[tuple[float, int, _Producer, dict[str, Any]]] = []
        counts = hourly(self.plan)
        for producer in self._producers:
            yield self._arrived(producer, producer.made("start", producer.began, memory_records=12_002))
        for hour, count in enumerate(counts):
            begin = self.plan.begin + hour * _HOUR_S
            times = np.sort(begin + _HOUR_S * self._chance.random(int(count)))
            for time in self._spiked(times).tolist():
                yield from self._until(time, waiting)
                yield from self._call(time, waiting)
            yield from self._until(begin + _HOUR_S, waiting)
        yield from self._until(self.end + _LAST_S, waiting)
        for producer in self._producers:
            yield self._arrived(producer, producer.made("stop", self.end + _LAST_S, dropped=0))

    def _spiked(self, times: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """More calls in a spike, none in an outage; each teapot and newcomer calls once."""
        for fault in self.faults:
            inside = (times >= fault.begin) & (times < fault.end)
            if fault.kind == "outage":
                times = times[~inside]
            elif fault.kind == "spike" and inside.any():
                more = times[inside].min() + np.ptp(times[inside]) * self._chance.random(
                    int(inside.sum() * (_SPIKE - 1))
                )
                times = np.sort(np.concatenate([times, more]))
        return times

    def _until(self, time: float, waiting: list[Any]) -> Iterator[dict[str, Any]]:
        """What comes before a time: answers and heartbeats; a producer dies, and another one starts."""
        while True:
            beat = min(self._producers, key=lambda producer: producer.beat)
            next_beat, due = beat.beat + _HEARTBEAT_S, waiting[0][0] if waiting else self.end * 2
            if min(due, next_beat) >= time:
                return
            if due <= next_beat:
                at, _, producer, fields = heapq.heappop(waiting)
                if producer in self._producers and not self._is_silent(producer, at):
                    self.statuses[fields["status"]] += 1
                    yield from self._sent(producer, "response", at, **fields)
                continue
            beat.beat = next_beat
            if self._is_silent(beat, next_beat):
                continue
            if beat.number == 0 and beat.starts == 0 and self._is_over("silent", next_beat):
                beat = self._restarted(next_beat)
                yield from self._sent(beat, "start", next_beat, memory_records=12_002)
            else:
                yield from self._sent(beat, "heartbeat", next_beat, last_seq=beat.seq, memory_records=12_002, dropped=0)

    def _is_silent(self, producer: _Producer, time: float) -> bool:
        place = self._now("silent", time)
        if place is not None and producer.number == 0:
            self.faults[place] = self.faults[place]._replace(producer=producer.name)
        return place is not None and producer.number == 0

    def _is_over(self, kind: str, time: float) -> bool:
        return any(fault.kind == kind and fault.end <= time for fault in self.faults)

    def _restarted(self, time: float) -> _Producer:
        self._producers[0] = _Producer(0, time, 1)
        return self._producers[0]

    def _call(self, time: float, waiting: list[Any]) -> Iterator[dict[str, Any]]:
        chance = self._chance.random(5)
        alive = [producer for producer in self._producers if not self._is_silent(producer, time)]
        producer = alive[int(chance[0] * len(alive))] if alive else None
        if producer is None:
            return
        user = f"u{int(chance[1] ** 2 * self.plan.users) + 1}"
        status = 404 if chance[2] < 0.02 else 503 if chance[2] > 0.998 else 200
        duration = _MEDIAN_US * float(np.exp(_SPREAD * self._chance.standard_normal()))
        if self._now("errors", time) is not None and chance[3] < 0.5:
            status = 503
        if self._now("slow", time) is not None:
            duration *= _SLOW
        for kind in ("newcomer", "teapot"):
            place = self._now(kind, time)
            if place is not None and not self.faults[place].producer:
                self.faults[place] = self.faults[place]._replace(producer=producer.name, begin=time)
                user, status = ("newcomer", status) if kind == "newcomer" else (user, 418)
        uri = _ROUTES[int(chance[4] * len(_ROUTES))]
        called = {"user_id": user, "method": "GET", "uri": uri, "address": "10.0.0.1"}
        self.by_hour[int(time // _HOUR_S) * _HOUR_S] += 1
        yield from self._sent(producer, "request", time, **called)
        answer = {**called, "request_seq": producer.seq, "status": status, "outcome": "done"}
        answer |= {"duration_us": int(duration), "request_bytes": 0, "response_bytes": 512}
        heapq.heappush(waiting, (time + duration / 1e6, producer.seq, producer, answer))

    def _sent(self, producer: _Producer, kind: str, time: float, **fields: Any) -> Iterator[dict[str, Any]]:
        record = producer.made(kind, time, **fields)
        place = self._now("lost", time)
        if place is not None and producer is self._producers[-1]:
            fault = self.faults[place]
            first = fault.first_lost or record["seq"]
            if record["seq"] < first + _LOST:
                self.faults[place] = fault._replace(producer=producer.name, first_lost=first, last_lost=record["seq"])
                self.made[producer.name] = record["seq"]
                return
        yield self._arrived(producer, record)

    def _arrived(self, producer: _Producer, record: dict[str, Any]) -> dict[str, Any]:
        self.made[producer.name] = record["seq"]
        self.arrived[producer.name] += 1
        return record

    def truth(self) -> dict[str, Any]:
        """What is true: JSON values."""
        return {
            "faults": [fault._asdict() for fault in self.faults],
            "calls": sum(self.by_hour.values()),
            "answers": sum(self.statuses.values()),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "hours": [[begin, count] for begin, count in sorted(self.by_hour.items())],
            "producers": {name: [made, self.arrived[name]] for name, made in sorted(self.made.items())},
        }
