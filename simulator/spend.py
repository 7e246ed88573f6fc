"""Users who spend money: exponential gaps between payments, uniform amounts; and what each has spent in truth."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["SimulatedSpend", "SpendPlan"]

_RESOLUTIONS_S = {"minute": 60, "hour": 3600, "day": 86400}


class SpendPlan(NamedTuple):
    """What to make up. Names are those of the config file."""

    users: int = 100
    mean_gap_s: float = 600.0
    """Mean time between two payments of a user."""
    min_cents: int = 2000
    max_cents: int = 10_000
    seed: int = 1
    begin: float = 0.0
    """UTC seconds, inclusive."""
    end: float = 0.0
    """Exclusive."""
    repeats: float = 0.0
    """Share of the payments that is sent twice."""
    prefix: str = "u"
    """Users are called so, with a number from 1."""

    @staticmethod
    def problem(values: Mapping[str, Any]) -> str | None:
        """What is wrong with a config, as a phrase."""
        bounds: tuple[tuple[str, bool, float, float], ...] = (
            ("users", True, 1, 10_000_000),
            ("mean_gap_s", False, 1e-6, 1e9),
            ("min_cents", True, -(10**12), 10**12),
            ("max_cents", True, -(10**12), 10**12),
            ("seed", True, -(2**63), 2**63),
            ("repeats", False, 0, 1),
        )
        for name, whole, low, high in bounds:
            value: Any = values.get(name, getattr(SpendPlan(), name))
            good = isinstance(value, int | float) and not isinstance(value, bool) and low <= float(value) <= high
            if not good or (whole and not isinstance(value, int)):
                return f"{name} is {value!r}: {'an integer' if whole else 'a number'} from {low:g} to {high:g}"
        if values.get("min_cents", 0) > values.get("max_cents", 10**12):
            return "min_cents is above max_cents"
        return None


class SimulatedSpend:
    """The payments in the order of their time, and their truth once all were drawn."""

    def __init__(self, plan: SpendPlan) -> None:
        self.plan = plan
        self.sent = 0
        self.cents: Counter[str] = Counter()
        self.transactions: Counter[str] = Counter()
        self.buckets: dict[str, Counter[tuple[str, int]]] = {name: Counter() for name in _RESOLUTIONS_S}
        """resolution -> (user, start) -> cents"""

    def sends(self) -> Iterator[dict[str, Any]]:
        """Each payment as it is posted."""
        plan = self.plan
        rng = random.Random(plan.seed)
        due = [(plan.begin + rng.expovariate(1 / plan.mean_gap_s), number, 0) for number in range(1, plan.users + 1)]
        heapq.heapify(due)
        while due and due[0][0] < plan.end:
            time, number, count = due[0]
            heapq.heapreplace(due, (time + rng.expovariate(1 / plan.mean_gap_s), number, count + 1))
            paid: dict[str, Any] = {
                "transaction_id": f"{plan.seed:x}-{count}",
                "user_id": f"{plan.prefix}{number}",
                "time": round(time, 3),
                "cents": rng.randint(plan.min_cents, plan.max_cents),
            }
            if not plan.begin <= paid["time"] < plan.end:
                continue
            self._count(paid)
            yield paid
            if rng.random() < plan.repeats:
                self.sent += 1
                yield paid

    def _count(self, paid: dict[str, Any]) -> None:
        self.sent += 1
        user, cents = paid["user_id"], paid["cents"]
        self.cents[user] += cents
        self.transactions[user] += 1
        for name, length_s in _RESOLUTIONS_S.items():
            self.buckets[name][user, int(paid["time"] // length_s) * length_s] += cents

    def truth(self) -> dict[str, Any]:
        """What must come out: JSON values."""
        return {
            "sent": self.sent,
            "transactions": sum(self.transactions.values()),
            "cents": sum(self.cents.values()),
            "users": {user: [cents, self.transactions[user]] for user, cents in sorted(self.cents.items())},
            "buckets": {
                name: [[user, start, cents] for (user, start), cents in sorted(found.items())]
                for name, found in self.buckets.items()
            },
        }
