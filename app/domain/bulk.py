"""The same reduction, many hits of a key at a time: what makes `reduce` fast.

Hits wait until there are enough of them, and are then merged key by key: a key that is new is built in one go, where one by
one each hit would be searched for and inserted. The result is that of Reduction for the same hits.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

from app.domain import windows
from app.domain.entries import Entry
from app.domain.merging import Key, SizeOf
from app.domain.records import Delivery
from app.domain.reduction import Reduction, no_sizes
from app.domain.tallies import MAX_HITS, Mark, Part, Tally, part_of
from app.domain.watermarks import Advance
from app.domain.windows import Rules

__all__ = ["BulkReduction", "entry_of", "tally_of"]

_WAITING_HITS = 60_000
"""So many hits wait at most: about 20 MB."""
_WHOLE = Mark.OFFSETS | Mark.SENT


class BulkReduction(Reduction):
    """A Reduction that merges its hits a batch of keys at a time."""

    def __init__(self, rules: Rules, size_of: SizeOf = no_sizes, waiting_hits: int = _WAITING_HITS) -> None:
        super().__init__(rules, size_of)
        self._waiting: dict[Key, list[Part]] = {}
        self._waiting_hits = waiting_hits
        self._waiting_count = 0
        self._source = -1

    def add(self, hits: Iterable[tuple], hit_ids: Iterable[int], source: int, advance: Advance) -> None:
        """As Reduction.add; the hits may wait."""
        if source != self._source or self._waiting_count >= self._waiting_hits:
            self.flush()
            self._source = source
        waiting = self._waiting
        make = tuple.__new__
        counted = 0
        for hit, hit_id in zip(hits, hit_ids, strict=True):
            time, ip_address, user_agent, request, method, status, lo, hi, sent, total, flags = hit
            if (
                sent is None and lo is not None and hi is not None and (status == 206 or status == 200) and method == "GET"
                and not flags and ip_address is not None and user_agent is not None and request is not None
            ):  # fmt: skip
                part = make(Part, (time, hit_id, lo, hi, hi - lo + 1, -1 if total is None else total, _WHOLE, -1))
            else:
                other = part_of(hit, hit_id)
                if other is None:
                    continue
                part = other
            counted += 1
            key = (ip_address, user_agent, request)
            if key in waiting:
                waiting[key].append(part)
            else:
                waiting[key] = [part]
        self.counted += counted
        self._waiting_count += counted
        self.clocks.observe(source, advance, 0.0)

    def flush(self) -> None:
        """Merge what waits."""
        entries, rules, source = self.open, self.rules, self._source
        for key, parts in self._waiting.items():
            entry = entries.get(key)
            if entry is None:
                entry = entries[key] = entry_of(parts, rules)
                entry.sources = (source,)
            else:
                entry.fed_by(source)
                entry.merge(parts, rules)
        self._waiting = {}
        self._waiting_count = 0

    def sweep(self) -> list[Delivery]:
        """As Reduction.sweep."""
        self.flush()
        return super().sweep()

    def finish(self) -> Iterator[Delivery]:
        """As Reduction.finish."""
        self.flush()
        return super().finish()


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
    for _, hit_id, lo, hi, sent, total, marks, cut_hi in parts:
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
        if begin <= lo <= end + 1:  # a file read in order
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
