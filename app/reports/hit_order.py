"""In which order the hits of a delivery asked for its bytes, and the class that follows from it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from app.columns.blocks import Bools, Ints
from app.columns.parts import MAX_BYTE
from app.domain.deliveries import PROBE_HI
from app.domain.key_hits import Key, KeyHits
from app.domain.records import Delivery
from app.domain.tallies import MAX_HITS, Mark
from app.reports.crawlers import crawler_of

__all__ = ["CLASSES", "HitOrder", "class_of", "classes_of", "placed_ranges"]

CLASSES = {
    "single": "one request brought it",
    "resumed": "each request begins behind the one before it, within or right behind the bytes that came until then",
    "restarted": "at least one request begins again at the first byte of the delivery; all others are as in resumed",
    "parallel segments": "requests make one stretch of bytes, none inside another, and came out of its order",
    "player with seeks": "a request jumps ahead, over bytes that had not come, or back into the stretch",
    "probe": f"all requests lie within the first {PROBE_HI + 1} bytes",
    "no places": "a request beside others does not tell which bytes it brought, or none brought any",
    "crawler": "its agent is one of the list, whatever it asked for",
}
"""Each class with its rule. docs/reference/reports.md has them in the order in which they are asked."""


class HitOrder:
    """What open deliveries got by which hit. Memory grows with the hits of open deliveries, at most MAX_HITS for a key."""

    def __init__(self) -> None:
        self._open: dict[Key, list[tuple[float, int, int, int]]] = {}
        self.ranges: list[tuple[int, int]] = []
        """Of the delivery that was turned to last: first and last byte of each distinct hit that brought some, by time, then as
        logged; -1 and -1 if the line does not tell which."""

    def note(self, group: KeyHits) -> KeyHits:
        """Take in the hits of a key on their way to be merged."""
        tally = group.tally
        if tally is not None and len(tally) == 1:
            lo, hi = tally.ranges[0] if tally.ranges else (0, tally.start_sent - 1)
            some = [_placed(tally.first, tally.ids[0], lo, hi, tally.sent, tally.marks)]
        else:
            parts = group.parts()
            some = [_placed(*part[:5], part.marks) for part in parts]
            group = group._replace(parts=parts.copy)  # who merges it asks again
        known = self._open.setdefault(group.key, some)
        if known is not some:
            known.extend(some)
        del known[MAX_HITS:]
        return group

    def turn_to(self, delivery: Delivery) -> None:
        """Sets `ranges`, and forgets the hits up to the end of the delivery: those of a key are over one after another."""
        self.look_at(delivery)
        later = [hit for hit in self._open.pop(delivery.key, []) if hit[0] > delivery.last]
        if later:
            self._open[delivery.key] = later

    def look_at(self, delivery: Delivery) -> bool:
        """Sets `ranges`; whether all hits of the delivery were noted."""
        known = self._open.get(delivery.key, [])
        found = {hit_id: (time, lo, hi) for time, hit_id, lo, hi in known if delivery.first <= time <= delivery.last}
        ordered = sorted(found.values(), key=lambda hit: hit[0])
        self.ranges = [(lo, hi) for _, lo, hi in ordered if hi >= lo]
        return len(found) >= min(delivery.hits, MAX_HITS)

    def forget(self) -> None:
        """All hits that were noted."""
        self._open.clear()


def _placed(time: float, hit_id: int, lo: int, hi: int, sent: int, marks: int) -> tuple[float, int, int, int]:
    """With -1 to -1 for bytes of which nobody knows where they belong."""
    if hi < lo and (sent or not marks & Mark.SENT):
        return time, hit_id, -1, -1
    return time, hit_id, lo, hi


def placed_ranges(lo: Ints, hi: Ints, sent: Ints, marks: Ints) -> tuple[Ints, Ints]:
    """The same of many hits: their first and last bytes."""
    placeless = (hi < lo) & ((sent != 0) | (marks & Mark.SENT == 0))
    return np.where(placeless, -1, lo), np.where(placeless, -1, hi)


def class_of(user_agent: str, hits: int, ranges: list[tuple[int, int]]) -> str:
    """The class of a delivery, from the ranges of its hits in the order of time; one of CLASSES."""
    if crawler_of(user_agent) is not None:
        return "crawler"
    if hits > 1 and (not ranges or (-1, -1) in ranges):
        return "no places"
    asked = [(lo, hi) for lo, hi in ranges if hi > PROBE_HI]
    if not asked:
        return "probe" if ranges and ranges[0][0] >= 0 else "single"
    if len(asked) == 1:
        return "single"
    begin, end = asked[0]
    before, restarts = begin, 0
    for lo, hi in asked[1:]:
        if lo == begin:
            restarts += 1
        elif not before < lo <= end + 1:
            return "parallel segments" if _are_segments(asked) else "player with seeks"
        before, end = lo, max(end, hi)
    return "restarted" if restarts else "resumed"


def _are_segments(asked: list[tuple[int, int]]) -> bool:
    ordered = sorted(asked)
    return all(one[0] < other[0] <= one[1] + 1 and one[1] < other[1] for one, other in pairwise(ordered))


def classes_of(are_crawlers: Bools, hits: Ints, group: Ints, lo: Ints, hi: Ints) -> Ints:
    """class_of for many deliveries at once, as places in CLASSES.

    `hits`: how many each has. `group`: the delivery of each hit, rising; `lo`, `hi`: its bytes, below MAX_BYTE, by time in each delivery.
    """
    count, places = len(hits), {name: place for place, name in enumerate(CLASSES)}
    came = hi >= lo
    group, lo, hi = group[came], lo[came], hi[came]
    placeless = _any_of(count, group, lo < 0) | (np.bincount(group, minlength=count) == 0)
    asked = hi > PROBE_HI
    group, lo, hi = group[asked], lo[asked], hi[asked]
    many = np.bincount(group, minlength=count)
    base, again = group * MAX_BYTE, np.append(False, group[1:] == group[:-1])[: len(group)]
    reach = np.maximum.accumulate(base + hi) - base  # begins anew with each delivery
    begin = lo[np.searchsorted(group, group)]
    is_restart = again & (lo == begin)
    jumps = again & ~is_restart
    jumps[1:] &= (lo[1:] <= lo[:-1]) | (lo[1:] > reach[:-1] + 1)
    order = np.argsort(base + lo, kind="stable")
    first, last = lo[order], hi[order]
    is_apart = again.copy()
    is_apart[1:] &= (first[1:] <= first[:-1]) | (first[1:] > last[:-1] + 1) | (last[1:] <= last[:-1])
    found: Ints = np.select(
        [
            are_crawlers,
            (hits > 1) & placeless,
            (many == 0) & ~placeless,
            many < 2,
            ~_any_of(count, group, jumps) & _any_of(count, group, is_restart),
            ~_any_of(count, group, jumps),
            _any_of(count, group, is_apart),
        ],
        [
            places[name]
            for name in ("crawler", "no places", "probe", "single", "restarted", "resumed", "player with seeks")
        ],
        places["parallel segments"],
    )
    return found


def _any_of(count: int, group: Ints, are: Bools) -> Bools:
    """Which deliveries have one of these hits."""
    found = np.zeros(count, np.bool_)
    found[group[are]] = True
    return found
