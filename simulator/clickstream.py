"""A clickstream of made-up users: installs, openings, likes, with repeated rows and bad ones; and what it comes to.

Everything follows from the seed. The truth is counted here with sets, apart from the code under test.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

__all__ = ["HEAD", "ClickstreamPlan", "SimulatedClickstream"]

HEAD = "userId,time,action,objectId"
_SHUFFLED_ROWS = 1000
"""Rows are out of order within so many."""
_BAD = (("bad_columns", "{user},{time}"), ("bad_time", "{user},yesterday,OPEN,"), ("no_user", ",{time},OPEN,"))


class ClickstreamPlan(NamedTuple):
    """What to make up."""

    users: int
    seed: int
    begin: date
    days: int = 14
    """Users install in this many days, and come back for as long."""
    articles: int = 100
    """The last one of them has no title."""
    repeats: float = 0.05
    """Share of the rows that is there twice."""
    bad: float = 0.01
    """Bad rows, as a share of the others."""
    retention_days: int = 7


class SimulatedClickstream:
    """The rows, and their truth once all were drawn."""

    def __init__(self, plan: ClickstreamPlan) -> None:
        self.plan = plan
        self.events = 0
        self.rejects: Counter[str] = Counter()
        self._liked: defaultdict[date, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self._installed: defaultdict[date, set[str]] = defaultdict(set)
        self._seen: defaultdict[str, set[date]] = defaultdict(set)

    def titles(self) -> Iterator[tuple[str, str]]:
        """Article and title."""
        for number in range(self.plan.articles - 1):
            yield self._article(number), f'Article "{number}", with a comma'

    def rows(self) -> Iterator[str]:
        """Lines of CSV without a head line."""
        rng = random.Random(self.plan.seed)
        waiting: list[str] = []
        for row in self._in_order(rng):
            waiting.append(row)
            if len(waiting) == _SHUFFLED_ROWS:
                rng.shuffle(waiting)
                yield from waiting
                waiting.clear()
        rng.shuffle(waiting)
        yield from waiting

    def _in_order(self, rng: random.Random) -> Iterator[str]:
        plan = self.plan
        for number in range(plan.users):
            user, installed = f"{number:05}", plan.begin + timedelta(rng.randrange(plan.days))
            visits = [("FIRST_INSTALL", installed, "")]
            for _ in range(rng.choice((0, 1, 2, 5, 12))):
                day = installed + timedelta(min(int(rng.expovariate(0.3)), plan.days))
                liked = rng.random() < 0.5
                place = min(int(rng.expovariate(8 / plan.articles)), plan.articles - 1)
                visits.append(("LIKE_ARTICLE", day, self._article(place)) if liked else ("OPEN", day, ""))
            for action, day, article in visits:
                at = datetime.combine(day, time(0, 0)) + timedelta(seconds=rng.randrange(86_400))
                for _ in range(1 + (rng.random() < plan.repeats)):
                    self._count(user, day, action, article)
                    yield f"{user},{at},{action},{article}"
                if rng.random() < plan.bad:
                    reason, row = rng.choice(_BAD)
                    self.rejects[reason] += 1
                    yield row.format(user=user, time=at)

    def _article(self, number: int) -> str:
        return f"{111_111 + number}"

    def _count(self, user: str, day: date, action: str, article: str) -> None:
        self.events += 1
        self._seen[user].add(day)
        if action == "FIRST_INSTALL":
            self._installed[day].add(user)
        elif action == "LIKE_ARTICLE":
            self._liked[day][article].append(user)

    def truth(self) -> dict[str, Any]:
        """What must come out, of each day: JSON values."""
        return {
            "events": self.events,
            "rejects": dict(sorted(self.rejects.items())),
            "likes": {
                str(day): {article: [len(set(users)), len(users)] for article, users in sorted(liked.items())}
                for day, liked in sorted(self._liked.items())
            },
            "retention": {str(day): self._retention(day, users) for day, users in sorted(self._installed.items())},
        }

    def _retention(self, day: date, users: set[str]) -> dict[str, Any]:
        days = [day + timedelta(number) for number in range(1, self.plan.retention_days + 1)]
        return {
            "cohort": len(users),
            "back": sum(not self._seen[user].isdisjoint(days) for user in users),
            "by_day": [sum(each in self._seen[user] for user in users) for each in days],
        }
