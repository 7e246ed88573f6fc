"""The hits of one source by delivery key: the one shape in which rows and columns reach OpenDeliveries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any, NamedTuple

from app.domain.parts import part_of
from app.domain.records import Parsed
from app.domain.tallies import Mark, Part, Tally

__all__ = ["KEY_FIELDS", "Key", "KeyHits", "PlacedPart", "in_log_order", "key_hits", "place_parts", "take_parts"]

Key = tuple[str, str, str]
"""ip_address, user_agent, request."""
KEY_FIELDS = slice(Parsed._fields.index("ip_address"), Parsed._fields.index("request") + 1)
"""Where a tuple in the order of Parsed has its key."""
PlacedPart = tuple[int, Part]
"""With the position of its line."""
_WHOLE = Mark.OFFSETS | Mark.SENT
_place = attrgetter("position")


class KeyHits(NamedTuple):
    """Some hits of one key and one source."""

    position: int
    """Of the first of them in the source; groups are merged in this order."""
    key: Key
    tally: Tally | None
    """What they are together, if they surely are one window and no more than a tally takes."""
    parts: Callable[[], list[Part]]
    """What each of them adds, in the order of the log: a list of the caller's own."""


def key_hits(parts: dict[Key, list[Part]]) -> Iterator[KeyHits]:
    """Hits that were taken one by one, in the order of the log."""
    return (KeyHits(number, key, None, some.copy) for number, (key, some) in enumerate(parts.items()))


def in_log_order(groups: Iterable[KeyHits], placed: dict[Key, list[PlacedPart]]) -> list[KeyHits]:
    """Groups beside hits that were taken one by one; no key may be in both."""
    found = list(groups)
    for key, some in placed.items():
        some.sort(key=_position)
        found.append(KeyHits(some[0][0], key, None, [part for _, part in some].copy))
    found.sort(key=_place)
    return found


def _position(placed: PlacedPart) -> int:
    return placed[0]


def take_parts(by_key: dict[Key, list[Part]], hits: Iterable[tuple[Any, ...]], hit_ids: Iterable[int]) -> int:
    """Add what each hit adds to a delivery under its key; gives how many count.

    `hits` are tuples in the order of Parsed, `hit_ids` their short ids.
    """
    make = tuple.__new__
    counted = 0
    for hit, hit_id in zip(hits, hit_ids, strict=True):
        time, ip_address, user_agent, request, method, status, lo, hi, sent, total, flags, _ = hit
        if (
            sent is None and lo is not None and hi is not None and (status == 206 or status == 200) and method == "GET"
            and (total is None or hi < total) and not flags and ip_address is not None and user_agent is not None and request is not None
        ):  # fmt: skip
            part = make(Part, (time, hit_id, lo, hi, hi - lo + 1, -1 if total is None else total, _WHOLE, -1))
        else:
            other = part_of(hit, hit_id)
            if other is None:
                continue
            part = other
        counted += 1
        key = (ip_address, user_agent, request)
        if key in by_key:
            by_key[key].append(part)
        else:
            by_key[key] = [part]
    return counted


def place_parts(
    by_key: dict[Key, list[PlacedPart]],
    hits: Iterable[tuple[Any, ...]],
    hit_ids: Iterable[int],
    positions: Iterable[int],
) -> int:
    """As take_parts, with the positions of the hits; more fields may follow those of Parsed."""
    counted = 0
    for hit, hit_id, position in zip(hits, hit_ids, positions, strict=True):
        part = part_of(hit, hit_id)
        if part is not None:
            counted += 1
            key = hit[KEY_FIELDS]
            if key in by_key:
                by_key[key].append((position, part))
            else:
                by_key[key] = [(position, part)]
    return counted
