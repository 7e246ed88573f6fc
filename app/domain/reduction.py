"""All deliveries of some sources, merged in one process: what the worker's table does, without a stream.

Memory grows with the open deliveries, not with the lines: `sweep` takes out those that are over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from app.domain import deliveries
from app.domain.entries import Entry
from app.domain.merging import Key, SizeOf
from app.domain.records import Delivery
from app.domain.tallies import part_of
from app.domain.watermarks import Advance, Clocks
from app.domain.windows import Rules

__all__ = ["Reduction", "no_sizes"]


def no_sizes(request: str) -> int | None:
    """Nothing is known of any file."""
    return None


class Reduction:
    """Entries by key, and the clocks of the sources that fed them."""

    def __init__(self, rules: Rules, size_of: SizeOf = no_sizes) -> None:
        self.rules = rules
        self.size_of = size_of
        self.clocks = Clocks()
        self.open: dict[Key, Entry] = {}
        self.counted = 0
        """Hits that count for a delivery, repeats included."""

    def add(self, hits: Sequence[tuple], hit_ids: Iterable[int], source: int, advance: Advance) -> None:
        """Merge the hits of one batch of a source; `hit_ids` are their short ids in the same order."""
        entries, rules = self.open, self.rules
        counted = 0
        for hit, hit_id in zip(hits, hit_ids, strict=True):
            part = part_of(hit, hit_id)
            if part is None:
                continue
            counted += 1
            key = hit[1:4]
            entry = entries.get(key)
            if entry is None:
                entry = entries[key] = Entry()
                entry.sources = (source,)
            elif entry.sources is not None and source not in entry.sources:
                entry.fed_by(source)
            entry.merge((part,), rules)
        self.counted += counted
        self.clocks.observe(source, advance, 0.0)

    def sweep(self) -> list[Delivery]:
        """Take out the deliveries that are over, as final records."""
        rules = self.rules
        passed: dict[tuple[int, ...] | None, float] = {}
        final, empty = [], []
        for key, entry in self.open.items():
            before = passed.get(entry.sources)
            if before is None:
                before = passed[entry.sources] = self.clocks.passed(entry.sources, rules.lateness_s)
            gone = entry.evict(before, rules)
            if gone:
                size = self.size_of(key[2])
                final += [deliveries.describe(key, tally, size, deliveries.STAGE_FINAL) for tally in gone]
            if not entry.tallies and entry.is_empty:
                empty.append(key)
        for key in empty:
            del self.open[key]
        return final

    def finish(self) -> Iterator[Delivery]:
        """The deliveries that are still open; the state is empty afterwards."""
        for key in list(self.open):
            entry = self.open.pop(key)
            for tally in entry.tallies:
                yield deliveries.describe(key, tally, self.size_of(key[2]))
