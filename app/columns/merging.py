"""The hits of one key that came as columns, beside those that came line by line."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import NamedTuple, Protocol

from app.domain.merging import Key
from app.domain.tallies import Part, Tally

__all__ = ["Group", "Grouped", "PlacedPart", "mixed"]

PlacedPart = tuple[int, Part]
"""With the position of its line."""
_position = itemgetter(0)


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


def mixed(groups: Grouped, placed: dict[Key, list[PlacedPart]]) -> list[Group]:
    """The groups in order, with those of keys that came line by line: all their hits stand in `placed` then."""
    found = []
    for group in groups:
        if group.key in placed:
            placed[group.key].extend(groups.placed_parts(group.number))
        else:
            found.append(group)
    for parts in placed.values():
        parts.sort(key=_position)
    found += [Group(parts[0][0], key, -1, None) for key, parts in placed.items()]
    found.sort(key=_position)
    return found
