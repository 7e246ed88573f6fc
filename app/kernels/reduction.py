"""A reduction that takes hits as columns, too. The deliveries and their order are those of BulkReduction for the same lines.

numpy and pyarrow are imported with the first columns: small inputs do without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.domain.bulk import BulkReduction
from app.domain.entries import Entry
from app.domain.gathering import joined
from app.domain.merging import Key
from app.domain.records import short_id, short_id_factors
from app.domain.tallies import Part, part_of
from app.domain.watermarks import Advance
from app.kernels.merging import Group, Grouped, PlacedPart, mixed

if TYPE_CHECKING:
    from app.kernels.weblog_tsv import Columns

__all__ = ["ColumnReduction"]


class ColumnReduction(BulkReduction):
    """Columns wait as BulkReduction's hits do, then are merged key by key."""

    _blocks: list[Columns]

    def __init__(self, *arguments, **named) -> None:
        super().__init__(*arguments, **named)
        self._blocks = []
        self._placed: dict[Key, list[PlacedPart]] = {}
        """Hits with their positions that came line by line among the blocks."""
        self._factors = (1, 0)

    def add_lines(self, hits: Sequence[tuple], positions: Sequence[int], source_id: str, source: int, advance: Advance) -> None:
        """Lines read one by one."""
        self._make_room(source, len(hits))
        if self._blocks:
            self._place(hits, positions, source_id)
        else:
            self._wait(hits, map(short_id(source_id), positions))
        self.clocks.observe(source, advance, 0.0)

    def add_columns(self, block: Columns, source_id: str, source: int, advance: Advance) -> None:
        """Lines read as columns."""
        self._make_room(source, block.hits)
        self._blocks.append(block)
        self._factors = short_id_factors(source_id)
        self._place(block.other.hits, block.other.positions, source_id)
        self.clocks.observe(source, advance, 0.0)

    def _place(self, hits: Sequence[tuple], positions: Sequence[int], source_id: str) -> None:
        identify = short_id(source_id)
        for hit, position in zip(hits, positions, strict=True):
            part = part_of(hit, identify(position))
            if part is not None:
                self.counted += 1
                self._placed.setdefault(hit[1:4], []).append((position, part))

    def flush(self) -> None:
        """Merge what waits, in the order of the log."""
        if not self._blocks:
            super().flush()
            return
        from app.kernels.grouping import Groups

        groups = Groups.of_blocks(self._blocks, self._factors, self.rules)
        waiting, placed = self._waiting, self._placed
        self._blocks, self._waiting, self._placed = [], {}, {}
        self.counted += groups.counted
        for group in mixed(groups, waiting, placed) if waiting or placed else groups:
            self._merge_group(group, groups, waiting, placed)

    def _merge_group(self, group: Group, groups: Grouped, waiting: dict[Key, list[Part]], placed: dict[Key, list[PlacedPart]]) -> None:
        key, tally = group.key, group.tally
        if tally is None:
            parts = [part for _, part in placed[key]] if key in placed else groups.parts(group.number)
            self._merge(key, [*waiting.get(key, ()), *parts])
            return
        entry = self.open.get(key)
        if entry is None:
            entry = self.open[key] = Entry()
            entry.tallies = [tally]
            entry.sources = (self._source,)
            return
        entry.fed_by(self._source)
        if not joined(entry, tally, self.rules):
            entry.merge(groups.parts(group.number), self.rules)
