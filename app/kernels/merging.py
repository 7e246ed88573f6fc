"""How the hits of one key that came as columns get into its entry."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from operator import attrgetter, itemgetter
from typing import NamedTuple, Protocol

from app.domain.entries import Entry
from app.domain.merging import Key
from app.domain.tallies import MAX_HITS, Mark, Part, Tally
from app.domain.windows import Rules

__all__ = ["Group", "Grouped", "PlacedPart", "joined", "mixed"]

PlacedPart = tuple[int, Part]
"""With the position of its line."""
_position = itemgetter(0)
_start = attrgetter("start")


class Group(NamedTuple):
    """The hits of one key."""

    position: int
    """Of the first of them."""
    key: Key
    number: int
    tally: Tally | None
    """None where they may belong to several windows, or are more than a tally takes: to be merged one by one."""


class Grouped(Protocol):
    """Groups in the order of the log."""

    def __iter__(self) -> Iterator[Group]: ...
    def parts(self, number: int, /) -> list[Part]:
        """The hits of a group in the order of the log."""

    def placed_parts(self, number: int, /) -> list[PlacedPart]:
        """The same with their positions."""


def mixed(groups: Grouped, waiting: dict[Key, list[Part]], placed: dict[Key, list[PlacedPart]]) -> list[Group]:
    """The groups in order, with those of keys that came line by line: all their hits stand in `placed` then.

    What is in `waiting` came before all others.
    """
    found = []
    for group in groups:
        if group.key in waiting or group.key in placed:
            placed.setdefault(group.key, []).extend(groups.placed_parts(group.number))
        else:
            found.append(group)
    for parts in placed.values():
        parts.sort(key=_position)
    for number, key in enumerate(waiting, -len(waiting)):
        placed.setdefault(key, [])
        found.append(Group(number, key, -1, None))
    found += [Group(parts[0][0], key, -1, None) for key, parts in placed.items() if key not in waiting]
    found.sort(key=_position)
    return found


def joined(entry: Entry, tally: Tally, rules: Rules) -> bool:
    """Takes the tally of one window into an entry, where merging its hits one by one surely comes to the same."""
    met = [known for known in entry.tallies if _meet(known, tally, rules)]
    if not met:
        insort(entry.tallies, tally, key=_start)
        return True
    known = met[0]
    if len(met) > 1 or len(known) + len(tally) > MAX_HITS or known.marks & Mark.FRAGMENTED or not set(tally.ids).isdisjoint(known.ids):
        return False
    known.join(tally)
    if rules.window == "last_touch":
        known.start = known.first
    return True


def _meet(a: Tally, b: Tally, rules: Rules) -> bool:
    """Whether two tallies are of one window."""
    if rules.window == "last_touch":  # by sums, as the merging does
        return a.last + rules.length_s > b.first and b.last + rules.length_s > a.first
    return a.start == b.start
