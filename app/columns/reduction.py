"""Lines of one source gathered by key, in whichever process, and the reduction that merges what was gathered.

The deliveries and their order are those of BulkReduction for the same lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from app.columns.merging import Group, Grouped, PlacedPart, mixed
from app.domain.bulk import BulkReduction, take_parts
from app.domain.entries import Entry
from app.domain.gathering import joined
from app.domain.lines import BadAt, ReadLines
from app.domain.merging import Key
from app.domain.records import short_id, short_id_factors
from app.domain.tallies import Part, part_of
from app.domain.watermarks import Advance
from app.domain.windows import Rules

if TYPE_CHECKING:
    from app.columns.blocks import Columns
    from app.columns.groups import Groups

__all__ = ["Gathered", "GatheredReduction", "gathered"]


class Gathered(NamedTuple):
    """What some lines of one source come to: all that merging and reporting need of them."""

    lines: int
    heads: int
    hits: int
    counted: int
    """Hits that count for a delivery, repeats included."""
    rejects: list[BadAt]
    advances: list[Advance]
    """Of each chunk, in turn."""
    parts: dict[Key, list[Part]]
    """Where nothing was read as columns: what each key has, in the order of the log."""
    groups: Groups | None = None
    """What was read as columns."""
    placed: dict[Key, list[PlacedPart]] = {}
    """What was read line by line beside columns."""


def gathered(
    reads: Sequence[ReadLines | Columns],
    source_id: str,
    rules: Rules,
    unordered: bool = False,
    as_columns: bool = False,
) -> Gathered:
    """From chunks of one source, in the order of the log, read line by line or as columns.

    `as_columns`: rows are gathered as columns, too, which pays where there are thousands.
    """
    by_line = [read if isinstance(read, ReadLines) else read.other for read in reads]
    blocks = [read for read in reads if not isinstance(read, ReadLines)]
    facts = (
        sum(read.lines for read in reads),
        sum(rows.heads for rows in by_line),
        sum(len(read.hits) if isinstance(read, ReadLines) else read.hits for read in reads),
    )
    rejects = [bad for rows in by_line for bad in rows.rejects]
    advances = [Advance(read.lowest, read.highest, read.disorder_s, False, unordered) for read in reads]
    # numpy and pyarrow are loaded with the first columns: small inputs do without
    if blocks:
        from app.columns.keys import groups_of_blocks

        placed: dict[Key, list[PlacedPart]] = {}
        counted = sum(_place(placed, rows, source_id) for rows in by_line)
        groups = groups_of_blocks(blocks, short_id_factors(source_id), rules)
        return Gathered(*facts, counted + groups.counted, rejects, advances, {}, groups, placed)
    if as_columns and not unordered:
        from app.columns.rows import groups_of_rows

        rows_by_key = groups_of_rows(by_line, source_id, rules)
        if rows_by_key is not None:
            return Gathered(*facts, rows_by_key.counted, rejects, advances, {}, rows_by_key)
    parts: dict[Key, list[Part]] = {}
    identify = short_id(source_id)
    counted = sum(take_parts(parts, rows.hits, map(identify, rows.positions)) for rows in by_line)
    return Gathered(*facts, counted, rejects, advances, parts)


def _place(placed: dict[Key, list[PlacedPart]], rows: ReadLines, source_id: str) -> int:
    identify = short_id(source_id)
    counted = 0
    for hit, position in zip(rows.hits, rows.positions, strict=True):
        part = part_of(hit, identify(position))
        if part is not None:
            counted += 1
            placed.setdefault(hit[1:4], []).append((position, part))
    return counted


class GatheredReduction(BulkReduction):
    """Merges what was gathered, key by key."""

    def add_gathered(self, some: Gathered, source: int) -> None:
        """Merge the next lines of a source, all before them merged already; what it was given changes."""
        self.flush()
        self._source = source
        self.counted += some.counted
        if some.groups is None:
            for key, parts in some.parts.items():
                self._merge(key, parts)
        else:
            groups, placed = some.groups, some.placed
            for group in mixed(groups, placed) if placed else groups:
                self._merge_group(group, groups, placed)
        for advance in some.advances:
            self.clocks.observe(source, advance, 0.0)

    def _merge_group(self, group: Group, groups: Grouped, placed: dict[Key, list[PlacedPart]]) -> None:
        key, tally = group.key, group.tally
        if tally is None:
            self._merge(key, [part for _, part in placed[key]] if key in placed else groups.parts(group.number))
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
