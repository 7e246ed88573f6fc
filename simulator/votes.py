"""Votes of many kiosks as they would arrive: retries, skewed clocks, outages with a spool, spikes; and what they come to.

Everything follows from the seed and the end of the time range. The truth is counted here, apart from the code under test.
"""

from __future__ import annotations

import heapq
import random
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

__all__ = ["SimulatedVotes", "VotePlan"]

_SPIKES = 5
_SPIKE_SHARE = 0.3
"""This share of the votes is cast in some short spikes."""
_MAX_SKEW_S = 120.0
_MAX_LATE_S = 3600.0
_RETRY_WITHIN_S = 90.0


class VotePlan(NamedTuple):
    """What to make up."""

    votes: int
    """Distinct votes."""
    seed: int
    until: float
    """The last vote is cast about then, UTC seconds."""
    span_s: float = 3600.0
    """The first this long before."""
    kiosks: int = 300
    candidates: Sequence[int] = (1, 2, 3)
    repeats: float = 0.2
    """Share of the votes that is sent again, some of them several times."""
    late: float = 0.1
    """Share that comes out of order by up to an hour: kept in the spool of a kiosk that was cut off."""
    users: int = 0
    """Votes name one of this many users, where that is above 0."""
    one_per_user: bool = False
    """The truth counts a user's first vote only."""
    window_s: int = 600


class SimulatedVotes:
    """The votes in the order in which they are sent, and their truth once all were drawn."""

    def __init__(self, plan: VotePlan) -> None:
        self.plan = plan
        self.sent = 0
        self.totals: Counter[int] = Counter()
        self.windows: Counter[tuple[int, int]] = Counter()
        """(start, candidate) -> votes"""
        self._users: set[str] = set()

    def sends(self) -> Iterator[dict[str, Any]]:
        """Each vote as it is posted; a repeat is the same once more."""
        plan = self.plan
        rng = random.Random(plan.seed)
        skews = [rng.uniform(-_MAX_SKEW_S, _MAX_SKEW_S) if rng.random() < 0.3 else 0.0 for _ in range(plan.kiosks)]
        weights = [1.0 / (1 + place) for place in range(len(plan.candidates))]
        waiting: list[tuple[float, int, bool, dict[str, Any]]] = []
        number = 0
        for index, cast in enumerate(self._times(rng)):
            while waiting and waiting[0][0] <= cast:
                yield self._sent(waiting)
            kiosk = rng.randrange(plan.kiosks)
            vote = {
                "vote_id": f"{plan.seed:x}-{index}",
                "candidate_id": rng.choices(plan.candidates, weights)[0],
                "kiosk_id": f"kiosk-{kiosk:03d}",
                "vote_time": round(cast + skews[kiosk], 3),
            }
            if plan.users:
                vote["user_id"] = f"u{rng.randrange(plan.users)}"
            sent = cast + (rng.uniform(60.0, _MAX_LATE_S) if rng.random() < plan.late else 0.0)
            times = [sent]
            while rng.random() < plan.repeats / (1 + plan.repeats):
                times.append(times[-1] + rng.uniform(0.0, _RETRY_WITHIN_S))
            for place, at in enumerate(times):
                heapq.heappush(waiting, (at, number, place == 0, vote))
                number += 1
        while waiting:
            yield self._sent(waiting)

    def _times(self, rng: random.Random) -> array[float]:
        """When votes are cast, in order."""
        plan = self.plan
        begin = plan.until - plan.span_s
        spikes = [rng.uniform(begin, plan.until) for _ in range(_SPIKES)]
        times = array("d")
        for _ in range(plan.votes):
            if rng.random() < _SPIKE_SHARE:
                times.append(min(plan.until, max(begin, rng.gauss(rng.choice(spikes), plan.span_s / 200))))
            else:
                times.append(rng.uniform(begin, plan.until))
        return array("d", sorted(times))

    def _sent(self, waiting: list[tuple[float, int, bool, dict[str, Any]]]) -> dict[str, Any]:
        _, _, first, vote = heapq.heappop(waiting)
        self.sent += 1
        if first:
            self._count(vote)
        return vote

    def _count(self, vote: dict[str, Any]) -> None:
        if self.plan.one_per_user:
            if vote["user_id"] in self._users:
                return
            self._users.add(vote["user_id"])
        self.totals[vote["candidate_id"]] += 1
        self.windows[int(vote["vote_time"] // self.plan.window_s) * self.plan.window_s, vote["candidate_id"]] += 1

    def truth(self) -> dict[str, Any]:
        """What must come out: JSON values."""
        counted = sum(self.totals.values())
        return {
            "sent": self.sent,
            "votes": counted,
            "repeats": self.sent - counted,
            "candidates": {str(candidate): number for candidate, number in sorted(self.totals.items())},
            "window_s": self.plan.window_s,
            "windows": [[start, candidate, number] for (start, candidate), number in sorted(self.windows.items())],
        }
