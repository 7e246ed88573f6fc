"""The open deliveries of some sources: what a partition of the worker and `reduce` both merge hits into.

Hits come as groups, the hits of one key together: merged one by one, each would be searched for and inserted. The result is that
of Entry.merge for the same hits. Memory grows with the open deliveries, not with the lines: `sweep` takes out those that are over.
"""

from __future__ import annotations

from array import array
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from app.domain import deliveries, windows
from app.domain.entries import Entry
from app.domain.key_hits import Key, KeyHits
from app.domain.records import Delivery
from app.domain.tallies import MAX_HITS, UNPROVED, Mark, Part, Tally
from app.domain.watermarks import Clocks
from app.domain.windows import Rules

__all__ = ["OpenDeliveries", "SizeOf", "entry_of", "evict", "joined", "no_sizes", "tally_of"]

SizeOf = Callable[[str, float], int | None]
"""From a request and a time (UTC seconds) to the size in bytes that the file had then, a LearnedSize if log lines told it; or None."""


def no_sizes(request: str, time: float) -> int | None:
    """Nothing is known of any file."""
    return None


class OpenDeliveries:
    """Entries by key, and the clocks of the sources that fed them."""

    def __init__(
        self,
        rules: Rules,
        size_of: SizeOf = no_sizes,
        load: Callable[[list[Key]], Iterable[tuple[Key, Entry]]] | None = None,
    ) -> None:
        """With `load` the entries that are not open here are asked for, and `records` knows what changed."""
        self.rules = rules
        self.size_of = size_of
        self.clocks = Clocks()
        self.open: dict[Key, Entry] = {}
        self._load = load
        self._changes = None if load is None else _Changes()

    def merge(self, groups: Iterable[KeyHits], source: int, now: float = 0.0) -> None:
        """Take in the hits of one message or stretch of a source, in the order of the log.

        `source` is the number of its clock, `now` when it arrived (wall clock, UTC seconds).
        """
        rules, known, changes = self.rules, self.open, self._changes
        if self._load is not None:
            groups = list(groups)
            known.update(self._load([key for _, key, _, _ in groups if key not in known]))
        for _, key, tally, parts in groups:
            entry = known.get(key)
            if entry is None:
                if tally is None:
                    entry = entry_of(parts(), rules)
                else:
                    entry = Entry()
                    entry.tallies = [tally]
                known[key] = entry
                entry.touched, entry.sources = now, (source,)
                if changes is not None:
                    changes.touched[key] = {one.start for one in entry.tallies} if tally is None else {tally.start}
                continue
            before = {} if changes is None else {one.start: one.known for one in entry.tallies}
            touched = _take_in(entry, tally, parts, rules)
            entry.touched = max(entry.touched, now)
            entry.fed_by(source)
            if changes is not None:
                changes.add(key, entry, touched, before)

    def records(self, key: Key) -> list[Delivery]:
        """What goes out of the windows of an open key: those that hits fell into, and those that are no more. Needs `load`."""
        changes, entry, rules = self._changes, self.open[key], self.rules
        assert changes is not None
        touched, gone = changes.touched[key], changes.gone.get(key)
        _, _, request = key
        if len(entry.tallies) == 1 and gone is None and rules.window != "first_touch":  # nearly all
            (tally,) = entry.tallies
            return (
                [deliveries.describe(key, tally, self.size_of(request, tally.first), proof=rules.proof)]
                if tally.start in touched
                else []
            )
        starts = {tally.start: tally for tally in entry.tallies}
        if rules.window == "first_touch":
            touched = touched | starts.keys()  # a cut that moves changes its neighbours, too
        found = [
            deliveries.describe(key, tally, self.size_of(request, tally.first), proof=rules.proof)
            for tally in map(starts.__getitem__, sorted(touched & starts.keys()))
        ]
        for start, (taken_by, known_hits) in sorted((gone or {}).items()):
            if start not in starts:
                by = entry.successor(taken_by)
                size = self.size_of(request, starts[by].first)
                holder = deliveries.describe(key, starts[by], size, proof=rules.proof)._replace(window_start=start)
                found.append(deliveries.superseded(holder, by, known_hits))
        return found

    def sweep(self) -> list[Delivery]:
        """Take out the deliveries that are over, as final records."""
        rules = self.rules
        passed: dict[tuple[int, ...] | None, float] = {}
        final: list[Delivery] = []
        empty = []
        for key, entry in self.open.items():
            before = passed.get(entry.sources)
            if before is None:
                before = passed[entry.sources] = self.clocks.passed(entry.sources, rules.lateness_s)
            gone = entry.evict(before, rules)
            if gone:
                final += _final(key, gone, rules, self.size_of)
            if entry.is_empty:
                empty.append(key)
        for key in empty:
            del self.open[key]
        return final

    def finish(self, size_of: Callable[[Key, Tally], int | None] | None = None) -> Iterator[Delivery]:
        """The deliveries that are still open; the state is empty afterwards. `size_of`: what each is judged by instead."""
        for key in list(self.open):
            entry = self.open.pop(key)
            _, _, request = key
            for tally in entry.tallies:
                size = self.size_of(request, tally.first) if size_of is None else size_of(key, tally)
                yield deliveries.describe(key, tally, size, proof=self.rules.proof)


def evict(key: Key, entry: Entry, before: float, rules: Rules, size_of: SizeOf) -> list[Delivery]:
    """Take the windows that ended before that event time out of an entry; gives their final records."""
    return _final(key, entry.evict(before, rules), rules, size_of)


def _final(key: Key, gone: list[Tally], rules: Rules, size_of: SizeOf) -> list[Delivery]:
    _, _, request = key
    return [
        deliveries.describe(key, tally, size_of(request, tally.first), deliveries.STAGE_FINAL, rules.proof)
        for tally in gone
    ]


def _take_in(entry: Entry, tally: Tally | None, parts: Callable[[], list[Part]], rules: Rules) -> set[float]:
    """Merges a group into an entry; gives the starts of the windows that its hits fell into."""
    if tally is not None:
        first = tally.first
        if joined(entry, tally, rules):
            return {entry.successor(first)}
    return entry.merge(parts(), rules)


class _Gone(NamedTuple):
    """A window that another one took in."""

    by: float
    known_hits: int


class _Changes:
    """Which windows the merged groups changed.

    What was taken in is noted after every group: a crash may have cut the messages into other batches before, and then a record
    of each state between two messages can be in the stores.
    """

    def __init__(self) -> None:
        self.touched: dict[Key, set[float]] = {}
        """Starts of windows that hits fell into, known ones included."""
        self.gone: dict[Key, dict[float, _Gone]] = {}

    def add(self, key: Key, entry: Entry, touched: set[float], before: dict[float, int]) -> None:
        """A group that was merged into an entry; `before` are its windows until then, with what they knew."""
        if key in self.touched:
            self.touched[key] |= touched
        else:
            self.touched[key] = touched
        for start in before.keys() - {tally.start for tally in entry.tallies}:
            by = entry.successor(start)
            self.gone.setdefault(key, {})[start] = _Gone(by, before[start])
            self.touched[key].add(by)


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
    if rules.window == "last_touch":  # by sums, as the merging does
        return a.last + rules.length_s > b.first and b.last + rules.length_s > a.first
    return a.start == b.start
