"""Many hits of one key merged in one go, where merging one by one would search and insert for each.

The result is that of Entry.merge for the same hits.
"""

from __future__ import annotations

from array import array
from bisect import insort
from collections.abc import Sequence
from operator import attrgetter

from app.domain import windows
from app.domain.entries import Entry
from app.domain.tallies import MAX_HITS, UNPROVED, Mark, Part, Tally
from app.domain.windows import Rules

__all__ = ["entry_of", "joined", "tally_of"]

_start = attrgetter("start")


def entry_of(parts: list[Part], rules: Rules) -> Entry:
    """The entry that merging `parts`, one or more, into an empty one makes; sorts the list."""
    entry = Entry()
    parts.sort()
    if rules.window == "first_touch" or len(parts) > MAX_HITS:
        entry.merge(parts, rules)
    elif rules.window == "last_touch":
        entry.tallies = [tally_of(inside[0][0], inside) for inside in _sessions(parts, rules.length_s)]
    else:
        entry.tallies = [tally_of(start, inside) for start, inside in _buckets(parts, rules.window)]
    return entry


def _sessions(parts: list[Part], length_s: float) -> list[list[Part]]:
    """Sorted parts cut where they lie a length or more apart."""
    if parts[-1][0] - parts[0][0] < length_s:
        return [parts]
    sessions = [[parts[0]]]
    for part in parts[1:]:
        last = sessions[-1]
        # compared by sums, as the merging one by one does: near 2**53 a difference rounds otherwise
        if last[-1][0] + length_s <= part[0]:
            sessions.append([part])
        else:
            last.append(part)
    return sessions


def _buckets(parts: list[Part], window: str) -> list[tuple[float, list[Part]]]:
    found: dict[float, list[Part]] = {}
    for part in parts:
        found.setdefault(windows.bucket_start(window, part[0]), []).append(part)
    return list(found.items())


def tally_of(start: float, parts: Sequence[Part]) -> Tally:
    """The tally of parts sorted by time, at least one and at most MAX_HITS; a part may come again."""
    ids: list[int] = []
    pairs: list[tuple[int, int]] = []
    begin, end = 0, -2
    sent_sum = all_marks = 0
    least = greatest = cut = -1
    unproved: list[Part] = []
    for part in parts:
        _, hit_id, lo, hi, sent, total, marks, cut_hi = part
        ids.append(hit_id)
        sent_sum += sent
        all_marks |= marks
        if cut_hi > cut:
            cut = cut_hi
        if total >= 0:
            if greatest < 0:
                least = greatest = total
            elif total > greatest:
                greatest = total
            elif total < least:
                least = total
        if marks & UNPROVED:
            unproved.append(part)
        elif begin <= lo <= end + 1:  # a file read in order
            if hi > end:
                end = hi
        elif hi >= lo:
            if end >= begin:
                pairs.append((begin, end))
            begin, end = lo, hi
    if len(ids) > 1 and len(set(ids)) < len(ids):
        return tally_of(start, list({part[1]: part for part in parts}.values()))
    if end >= begin:
        pairs.append((begin, end))
    ids.sort()
    tally = Tally(start)
    tally.first, tally.last = parts[0][0], parts[-1][0]
    tally.ids = array("Q", ids)
    tally.ranges = tuple(pairs) if len(pairs) < 2 else _union(sorted(pairs))
    tally.sent, tally.marks, tally.cut_hi = sent_sum, all_marks, cut
    tally.total_min, tally.total_max = least, greatest
    for one in unproved:
        tally.add_unproved(one.lo, one.hi, one.marks, one.cut_hi)
    return tally


def _union(pairs: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Of sorted pairs, two or more."""
    joined: list[tuple[int, int]] = []
    begin, end = pairs[0]
    for lo, hi in pairs:
        if lo <= end + 1:
            if hi > end:
                end = hi
        else:
            joined.append((begin, end))
            begin, end = lo, hi
    joined.append((begin, end))
    return tuple(joined)


def joined(entry: Entry, tally: Tally, rules: Rules) -> bool:
    """Takes the tally of one window into an entry, where merging its hits one by one surely comes to the same."""
    met = [known for known in entry.tallies if _meet(known, tally, rules)]
    if not met:
        if entry.may_lack(tally, rules):
            return False
        insort(entry.tallies, tally, key=_start)
        return True
    known = met[0]
    if (
        len(met) > 1
        or len(known) + len(tally) > MAX_HITS
        or known.marks & Mark.FRAGMENTED
        or not set(tally.ids).isdisjoint(known.ids)
    ):
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
