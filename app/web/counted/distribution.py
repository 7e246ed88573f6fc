"""Votes as they are shown: totals, the last ten minutes, windows, from the sums of a store. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from app.domain.counted import Sum, added
from app.domain.times import iso

__all__ = ["LAST_S", "LOOK_BACK_S", "as_csv", "as_distribution", "as_result", "binned", "second_bounds", "value_of"]

LOOK_BACK_S = 86400.0
"""`/voting_distribution` shows the windows of this long, where it is not asked for others."""
LAST_S = 600
"""`total_vote_10_min` counts the event times of this many last seconds."""


def second_bounds(now: float) -> tuple[float, float]:
    """From and to (exclusive) of the seconds that are within the last ten minutes.

    >>> second_bounds(1000.5)
    (400.5, 1001)
    """
    return now - LAST_S, math.floor(now) + 1


def value_of(
    totals: Iterable[Sum] | None,
    seconds: Iterable[Sum],
    windows: Iterable[Sum],
    begin: float | None,
    end: float | None,
    window_s: int,
) -> dict[str, Any]:
    """A distribution as JSON values. Without `totals` they are those of the windows."""
    by_window = added(windows)
    if totals is None:
        whole: dict[str, tuple[int, int]] = {}
        for (group, _), (events, _, repeats) in by_window.items():
            before = whole.get(group, (0, 0))
            whole[group] = before[0] + events, before[1] + repeats
    else:
        whole = {group: (events, repeats) for (group, _), (events, _, repeats) in added(totals).items()}
    return {
        "totals": sorted([int(group), events] for group, (events, _) in whole.items() if events),
        "repeats": sum(repeats for _, repeats in whole.values()),
        "last_10_min": sum(each.events for each in seconds),
        "windows": sorted(
            [start, int(group), events] for (group, start), (events, _, _) in by_window.items() if events
        ),
        "window_s": window_s,
        "from": begin,
        "to": end,
    }


def as_result(value: Mapping[str, Any]) -> bytes:
    """The body of `/result/`: candidates without votes are not listed.

    >>> as_result({"totals": [[2, 2]], "last_10_min": 1})
    b'[[{"candidate_id": 2, "num_vote": 2}], [{"total_vote_10_min": 1}]]'
    """
    votes = [{"candidate_id": candidate, "num_vote": number} for candidate, number in value["totals"]]
    return json.dumps([votes, [{"total_vote_10_min": value["last_10_min"]}]]).encode()


def as_distribution(value: Mapping[str, Any], names: Mapping[int, str]) -> dict[str, Any]:
    """The JSON of `/voting_distribution`, but for its age."""
    window_s = value["window_s"]
    return {
        "total_vote": sum(number for _, number in value["totals"]),
        "total_vote_10_min": value["last_10_min"],
        "repeats": value["repeats"],
        "candidates": [
            {"candidate_id": candidate, "name": names.get(candidate, ""), "num_vote": number}
            for candidate, number in value["totals"]
        ],
        "window_s": window_s,
        "windows": [
            {"start": iso(start), "end": iso(start + window_s), "candidate_id": candidate, "num_vote": number}
            for start, candidate, number in value["windows"]
        ],
        "from": None if value["from"] is None else iso(value["from"]),
        "to": None if value["to"] is None else iso(value["to"]),
    }


def as_csv(value: Mapping[str, Any]) -> bytes:
    """One line a window and candidate.

    >>> as_csv({"windows": [[600, 2, 5]], "window_s": 600}).decode().splitlines()
    ['window_start,window_end,candidate_id,num_vote', '1970-01-01T00:10:00Z,1970-01-01T00:20:00Z,2,5']
    """
    lines = ["window_start,window_end,candidate_id,num_vote"]
    window_s = value["window_s"]
    lines += [
        f"{iso(start)},{iso(start + window_s)},{candidate},{number}" for start, candidate, number in value["windows"]
    ]
    return ("\r\n".join(lines) + "\r\n").encode()


def binned(windows: Iterable[list[int]], window_s: int, columns: int) -> tuple[int, dict[int, dict[int, int]]]:
    """Windows put together until they fit into this many columns: (length in seconds, candidate -> start -> votes).

    >>> binned([[0, 1, 5], [600, 1, 2], [1800, 2, 1]], 600, 2)
    (1200, {1: {0: 7}, 2: {1200: 1}})
    """
    rows = list(windows)
    length_s = window_s
    if rows:
        span = max(row[0] for row in rows) - min(row[0] for row in rows) + window_s
        length_s = window_s * max(1, math.ceil(span / (window_s * columns)))
    found: dict[int, dict[int, int]] = {}
    for start, candidate, number in rows:
        at = start // length_s * length_s
        of = found.setdefault(candidate, {})
        of[at] = of.get(at, 0) + number
    return length_s, found
