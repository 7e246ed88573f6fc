"""The same reduction, many hits of a key at a time: what makes `reduce` fast.

Hits wait until there are enough of them, and are then merged key by key: a key that is new is built in one go, where one by
one each hit would be searched for and inserted. The result is that of Reduction for the same hits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from app.domain.gathering import entry_of
from app.domain.merging import Key, SizeOf
from app.domain.records import Delivery
from app.domain.reduction import Reduction, no_sizes
from app.domain.tallies import Mark, Part, part_of
from app.domain.watermarks import Advance
from app.domain.windows import Rules

__all__ = ["BulkReduction", "take_parts"]

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

    def add(self, hits: Sequence[tuple], hit_ids: Iterable[int], source: int, advance: Advance) -> None:
        """As Reduction.add; the hits may wait."""
        self._make_room(source, len(hits))
        self.counted += take_parts(self._waiting, hits, hit_ids)
        self.clocks.observe(source, advance, 0.0)

    def _make_room(self, source: int, hits: int) -> None:
        """Before so many hits wait, counting or not; the hits of one source wait at a time."""
        if source != self._source or self._waiting_count >= self._waiting_hits:
            self.flush()
            self._source = source
            self._waiting_count = 0
        self._waiting_count += hits

    def flush(self) -> None:
        """Merge what waits."""
        waiting, self._waiting = self._waiting, {}
        for key, parts in waiting.items():
            self._merge(key, parts)

    def _merge(self, key: Key, parts: list[Part]) -> None:
        entry = self.open.get(key)
        if entry is None:
            entry = self.open[key] = entry_of(parts, self.rules)
            entry.sources = (self._source,)
        else:
            entry.fed_by(self._source)
            entry.merge(parts, self.rules)

    def sweep(self) -> list[Delivery]:
        """As Reduction.sweep."""
        self.flush()
        return super().sweep()

    def finish(self) -> Iterator[Delivery]:
        """As Reduction.finish."""
        self.flush()
        return super().finish()


def take_parts(by_key: dict[Key, list[Part]], hits: Sequence[tuple], hit_ids: Iterable[int]) -> int:
    """Adds what each hit that counts adds to a delivery, under its key; gives how many count. `hit_ids`: the short ids."""
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
        if key in by_key:
            by_key[key].append(part)
        else:
            by_key[key] = [part]
    return counted
