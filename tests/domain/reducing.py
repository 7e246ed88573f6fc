"""Two ways to merge the same hits: one by one, which is the rule, and many of a key at a time, which the application does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from app.domain.entries import Entry
from app.domain.key_hits import Key, key_hits, take_parts
from app.domain.open_deliveries import OpenDeliveries, SizeOf, no_sizes
from app.domain.parts import part_of
from app.domain.records import Delivery
from app.domain.tallies import Part, Tally
from app.domain.watermarks import Advance
from app.domain.windows import Rules


class OneByOne(OpenDeliveries):
    """Each hit is searched for and merged by itself: the oracle."""

    def __init__(self, rules: Rules, size_of: SizeOf = no_sizes) -> None:
        super().__init__(rules, size_of)
        self.counted = 0

    def add(self, hits: Sequence[tuple[Any, ...]], hit_ids: Iterable[int], source: int, advance: Advance) -> None:
        """Merge the hits of one batch of a source; `hit_ids` are their short ids in the same order."""
        for hit, hit_id in zip(hits, hit_ids, strict=True):
            part = part_of(hit, hit_id)
            if part is None:
                continue
            self.counted += 1
            key = hit[1:4]
            entry = self.open.get(key)
            if entry is None:
                entry = self.open[key] = Entry()
                entry.sources = (source,)
            elif entry.sources is not None and source not in entry.sources:
                entry.fed_by(source)
            entry.merge((part,), self.rules)
        self.clocks.observe(source, advance, 0.0)


class InBulk(OpenDeliveries):
    """Hits of one source wait, and are merged as groups."""

    def __init__(self, rules: Rules, waiting_hits: int) -> None:
        super().__init__(rules)
        self.counted = 0
        self._waiting: dict[Key, list[Part]] = {}
        self._waiting_hits = waiting_hits
        self._waiting_count = 0
        self._source = -1

    def add(self, hits: Sequence[tuple[Any, ...]], hit_ids: Iterable[int], source: int, advance: Advance) -> None:
        """As OneByOne.add; the hits may wait."""
        if source != self._source or self._waiting_count >= self._waiting_hits:
            self.flush()
            self._source = source
        self._waiting_count += len(hits)
        self.counted += take_parts(self._waiting, hits, hit_ids)
        self.clocks.observe(source, advance, 0.0)

    def flush(self) -> None:
        """Merge what waits."""
        waiting, self._waiting, self._waiting_count = self._waiting, {}, 0
        self.merge(key_hits(waiting), self._source)

    def sweep(self) -> list[Delivery]:
        self.flush()
        return super().sweep()

    def finish(self, size_of: Callable[[Key, Tally], int | None] | None = None) -> Iterator[Delivery]:
        self.flush()
        return super().finish(size_of)
