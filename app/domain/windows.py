"""Event-time windows: which hits of one key are one delivery. Times are UTC seconds, lengths seconds.

| window | a delivery is | it ends |
|---|---|---|
| last_touch | a session: hits less than `length_s` apart | `length_s` after its last hit |
| first_touch | hits less than `length_s` after its first one | `length_s` after its first hit |
| day | the hits of one UTC day | with the day |
| all | all hits of the key | never |

The windows of a key are a function of the set of its hits: the order of arrival does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from app.domain.proof import Proof

__all__ = ["DAY_S", "WINDOWS", "Rules", "bucket_start", "cut_first_touch", "end"]

DAY_S = 86400.0
WINDOWS = ("last_touch", "first_touch", "day", "all")


class Rules(NamedTuple):
    """How hits are cut into deliveries, for how long, and how they are judged."""

    window: str = "last_touch"
    length_s: float = DAY_S
    lateness_s: float = DAY_S
    proof: Proof = Proof()


def bucket_start(window: str, time: float) -> float:
    """The start of the fixed window that holds `time`: for `day` its midnight, for `all` 0.

    >>> bucket_start("day", 90000.5), bucket_start("all", 90000.5), bucket_start("day", -1.0)
    (86400.0, 0.0, -86400.0)
    """
    return math.floor(time / DAY_S) * DAY_S if window == "day" else 0.0


def end(rules: Rules, start: float, last: float) -> float:
    """The event time from which on no hit can belong to a window that starts and was last touched at these times.

    >>> end(Rules("last_touch", 10.0), 0.0, 7.0), end(Rules("first_touch", 10.0), 0.0, 7.0), end(Rules("all"), 0.0, 7.0)
    (17.0, 10.0, inf)
    """
    if rules.window == "last_touch":
        return last + rules.length_s
    if rules.window == "first_touch":
        return start + rules.length_s
    return start + DAY_S if rules.window == "day" else math.inf


def cut_first_touch(times: Iterable[float], length_s: float) -> list[float]:
    """The starts of the windows that `first_touch` makes of sorted times.

    >>> cut_first_touch([0.0, 5.0, 10.0, 12.0, 30.0], 10.0)
    [0.0, 10.0, 30.0]
    """
    starts: list[float] = []
    for time in times:
        if not starts or time >= starts[-1] + length_s:
            starts.append(time)
    return starts
