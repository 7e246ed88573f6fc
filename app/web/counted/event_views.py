"""Votes and spending as the pages show them. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from app.domain.times import iso
from app.web.counted.distribution import LOOK_BACK_S, binned
from app.words import count_text, visible

__all__ = ["COLUMNS", "Chart", "EventBar", "VotesView", "money_text", "spend_chart", "votes_view"]

COLUMNS = 72
"""Bars of a chart at most."""
_HEIGHT = 1000
MOST_CANDIDATES = 12


class EventBar(NamedTuple):
    """One bar, in a chart that is 1000 high."""

    place: int
    height: int
    label: str
    """What it says to a pointer and to who cannot see it."""


class Chart(NamedTuple):
    """Bars over the whole of a period, those of nothing left out."""

    columns: list[EventBar]
    slots: int
    """Bars that have room: the period in lengths of a bucket."""
    begin: float
    """UTC seconds of its left edge."""
    end: float
    """Of its right edge."""
    highest: str
    """What the highest bar stands for."""


class VoteRow(NamedTuple):
    candidate_id: int
    name: str
    votes: int
    width: int
    """Of 1000."""


class VotesView(NamedTuple):
    total: int
    last_10_min: int
    repeats: int
    rows: list[VoteRow]
    """Most votes first."""
    left_out: int
    chart: Chart | None
    window_min: float


def votes_view(value: Mapping[str, Any], names: Mapping[int, str], now: float) -> VotesView | None:
    """The distribution of the day before `now` (UTC seconds) for people; None while there is no vote."""
    totals = sorted(value["totals"], key=lambda row: (-row[1], row[0]))
    if not totals:
        return None
    most = totals[0][1]
    rows = [
        VoteRow(one, names.get(one) or f"candidate {one}", number, number * 1000 // most)
        for one, number in totals[:MOST_CANDIDATES]
    ]
    length_s, by_candidate = binned(value["windows"], value["window_s"], COLUMNS)
    sums: dict[int, dict[int, int]] = {}
    for candidate, of in by_candidate.items():
        for start, number in of.items():
            sums.setdefault(start, {})[candidate] = number
    chart = _chart(
        {start: sum(of.values()) for start, of in sums.items()},
        length_s,
        (min((now - LOOK_BACK_S, *sums)), max((now, *(start + length_s for start in sums)))),
        count_text,
        lambda start: ", ".join(
            f"{visible(names.get(candidate) or f'candidate {candidate}')} {count_text(number)}"
            for candidate, number in sorted(sums[start].items())[:MOST_CANDIDATES]
        ),
    )
    return VotesView(
        sum(number for _, number in totals),
        value["last_10_min"],
        value["repeats"],
        rows,
        max(0, len(totals) - MOST_CANDIDATES),
        chart,
        length_s / 60,
    )


def spend_chart(buckets: Mapping[int, int], length_s: int, begin: float, end: float) -> Chart | None:
    """Cents by start of a bucket, from `begin` to `end`; None if there are none."""
    return _chart(buckets, length_s, (begin, end), money_text, lambda start: money_text(buckets[start]))


def _chart(
    values: Mapping[int, int],
    length_s: int,
    period: tuple[float, float],
    amount: Callable[[int], str],
    say: Callable[[int], str],
) -> Chart | None:
    highest = max((abs(value) for value in values.values()), default=0)
    if not highest:
        return None
    first, slots = math.floor(period[0] / length_s), math.ceil(period[1] / length_s)
    columns = [
        EventBar(start // length_s - first, max(value, 0) * _HEIGHT // highest, f"{iso(start)}: {say(start)}")
        for start, value in sorted(values.items())
    ]
    return Chart(columns, slots - first, first * length_s, slots * length_s, amount(highest))


def money_text(cents: int) -> str:
    """Cents with a decimal point.

    >>> money_text(123456), money_text(-5)
    ('1,234.56', '-0.05')
    """
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100:,}.{abs(cents) % 100:02d}"
