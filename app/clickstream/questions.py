"""The answers of a clickstream, gathered from events in any order in a temporary database that goes to disk when it grows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from app.clickstream.events import Events
from app.process.temporary_database import TemporaryDatabase

__all__ = ["BY", "MOST_DAYS", "Actions", "ArticleCount", "ArticleCounts", "Retained", "RetentionQuestion"]

BY = ("users", "events")
MOST_DAYS = 62
"""A user's days are bits of one 64-bit integer."""
_ACTIONS_COUNTED = 1000
_ARTICLES = (
    """CREATE TABLE found (object TEXT, user TEXT, events INTEGER NOT NULL, PRIMARY KEY (object, user)) WITHOUT ROWID"""
)
_ADD_ARTICLE = "INSERT INTO found VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET events = events + excluded.events"
_TOP = """SELECT object, count(*) AS users, sum(events) AS events FROM found GROUP BY object
ORDER BY CASE ? WHEN 'users' THEN count(*) ELSE sum(events) END DESC, object LIMIT ?"""
_USERS = "CREATE TABLE found (user TEXT PRIMARY KEY, days INTEGER NOT NULL) WITHOUT ROWID"
_ADD_USER = "INSERT INTO found VALUES (?, ?) ON CONFLICT DO UPDATE SET days = days | excluded.days"


class ArticleCount(NamedTuple):
    """An article and how often it was met."""

    article: str
    users: int
    """Distinct ones."""
    events: int


class Retained(NamedTuple):
    """Who came back."""

    cohort: int
    """Users with the first action on the day."""
    back: int
    """Those of them with any event on one of the following days."""
    by_day: list[int]
    """Those of them with any event on day 1, 2, …"""


class Actions:
    """The actions that there are, while no event of any day has the one that is asked for."""

    def __init__(self, asked: str) -> None:
        self.asked, self.is_met = asked, False
        self._counts: Counter[str] = Counter()

    def take(self, events: Events) -> None:
        """Count some events, in any order."""
        self.is_met = self.is_met or bool(pc.any(pc.equal(events.actions, self.asked)).as_py())
        if self.is_met:
            return
        for each in pc.value_counts(events.actions).to_pylist():
            if each["values"] in self._counts or len(self._counts) < _ACTIONS_COUNTED:
                self._counts[each["values"]] += each["counts"]

    def most(self, count: int) -> list[str]:
        """The most frequent ones first, then by name."""
        return sorted(self._counts, key=lambda name: (-self._counts[name], name))[:count]


class ArticleCounts(TemporaryDatabase):
    """How many users and events met each object by one action on one day."""

    def __init__(self, action: str, day: date) -> None:
        super().__init__(_ARTICLES)
        self._action, self._day = action, day
        self.actions = Actions(action)
        self.without_object = 0
        """Events of the action and day that name no object: they are in no count."""

    def take(self, events: Events) -> None:
        """Count some events, in any order."""
        self.actions.take(events)
        asked = pc.and_(pc.equal(events.actions, self._action), pc.equal(events.days, pa.scalar(self._day)))
        named = pc.and_(asked, pc.not_equal(events.objects, ""))
        self.without_object += pc.sum(asked).as_py() or 0
        self.without_object -= pc.sum(named).as_py() or 0
        rows = pa.table([events.objects.filter(named), events.users.filter(named)], ["object", "user"])
        if rows.num_rows:
            self.add(_ADD_ARTICLE, _rows(rows.group_by(["object", "user"]).aggregate([([], "count_all")])))

    def top(self, most: int, by: str) -> list[ArticleCount]:
        """So many articles, the highest count of `by` (one of BY) first, then by name."""
        return [ArticleCount(*row) for row in self.rows(_TOP, (by, most))]

    @property
    def articles(self) -> int:
        """How many there are."""
        return int(next(self.rows("SELECT count(DISTINCT object) FROM found"))[0])


class RetentionQuestion(TemporaryDatabase):
    """Which users did an action on one day, and came back within some days; `days` from 1 to MOST_DAYS."""

    def __init__(self, first_action: str, day: date, days: int) -> None:
        super().__init__(_USERS)
        self._action, self._day, self._days = first_action, day, days
        self.actions = Actions(first_action)

    def take(self, events: Events) -> None:
        """Note some events, in any order."""
        self.actions.take(events)
        day = pc.subtract(events.days.cast(pa.int32()), (self._day - _EPOCH).days)
        bit = pc.if_else(
            pc.and_(pc.greater(day, 0), pc.less_equal(day, self._days)),
            day,
            pc.if_else(pc.and_(pc.equal(day, 0), pc.equal(events.actions, self._action)), 0, -1),
        )
        counts = pc.greater_equal(bit, 0)
        rows = pa.table([events.users.filter(counts), bit.filter(counts)], ["user", "bit"])
        if rows.num_rows:
            rows = rows.group_by(["user", "bit"]).aggregate([])
            bits = pc.shift_left(pa.scalar(1, pa.int64()), rows["bit"].cast(pa.int64()))
            self.add(_ADD_USER, _rows(pa.table([rows["user"], bits], ["user", "days"])))

    def result(self) -> Retained:
        """What came out so far."""
        cohort = back = 0
        by_day = [0] * self._days
        for days, users in self.rows("SELECT days, count(*) FROM found WHERE days & 1 GROUP BY days"):
            cohort += users
            back += users if days > 1 else 0
            for day in range(self._days):
                by_day[day] += users if days >> (day + 1) & 1 else 0
        return Retained(cohort, back, by_day)

    def day(self, number: int) -> date:
        """The date of day 1, 2, …"""
        return self._day + timedelta(number)


_EPOCH = date(1970, 1, 1)


def _rows(table: pa.Table) -> Iterable[tuple[object, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)
