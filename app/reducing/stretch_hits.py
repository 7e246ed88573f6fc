"""What the lines of a stretch come to, in whichever process they are read: hits by key, rejects, and facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from app.domain.key_hits import Key, KeyHits, PlacedPart, key_hits, place_parts, take_parts
from app.domain.lines import BadAt, ReadLines
from app.domain.records import short_id
from app.domain.tallies import Part
from app.domain.watermarks import Advance
from app.domain.windows import Rules

if TYPE_CHECKING:
    from app.columns.blocks import LineColumns
    from app.columns.groups import Groups

__all__ = ["StretchHits", "stretch_hits"]


class StretchHits(NamedTuple):
    """Of one source: all that merging and reporting need."""

    lines: int
    heads: int
    hits: int
    counted: int
    """Hits that count for a delivery, repeats included."""
    rejects: list[BadAt]
    advances: list[Advance]
    """Of each chunk, in turn."""
    parts: dict[Key, list[Part]]
    """If nothing was read as columns: what each key has, in the order of the log."""
    columns: Groups | None = None
    """What was read as columns."""
    placed: dict[Key, list[PlacedPart]] = {}
    """What was read line by line beside columns."""

    def by_key(self) -> Iterable[KeyHits]:
        """In the order of the log; what is asked for changes, so this is asked for once."""
        return key_hits(self.parts) if self.columns is None else self.columns.beside(self.placed)


def stretch_hits(
    reads: Sequence[ReadLines | LineColumns],
    source_id: str,
    rules: Rules,
    unordered: bool = False,
    as_columns: bool = False,
) -> StretchHits:
    """From chunks of one source, in the order of the log, read line by line or as columns.

    `as_columns`: rows are gathered as columns, too, which pays if there are thousands.
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
    identify = short_id(source_id)
    # numpy and pyarrow are loaded with the first columns: small inputs do without
    if blocks:
        from app.columns.hits import HitColumns

        placed: dict[Key, list[PlacedPart]] = {}
        counted = 0
        for rows in by_line:
            ids = map(identify, rows.positions)
            counted += place_parts(placed, zip(rows.hits, ids, rows.positions, strict=True))
        groups = HitColumns.of_lines(blocks).groups(source_id, rules)
        return StretchHits(*facts, counted + groups.counted, rejects, advances, {}, groups, placed)
    if as_columns and not unordered:
        from app.columns.rows import groups_of_rows

        rows_by_key = groups_of_rows(by_line, source_id, rules)
        if rows_by_key is not None:
            return StretchHits(*facts, rows_by_key.counted, rejects, advances, {}, rows_by_key)
    parts: dict[Key, list[Part]] = {}
    counted = sum(take_parts(parts, rows.hits, map(identify, rows.positions)) for rows in by_line)
    return StretchHits(*facts, counted, rejects, advances, parts)
