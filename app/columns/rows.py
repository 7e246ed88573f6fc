"""Hits that were read line by line, as columns: gathered by key at once, where one by one each would be searched for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.columns.groups import Groups
from app.columns.keys import ListedKeys
from app.columns.parts import MAX_BYTE, Details
from app.domain.key_hits import Key
from app.domain.lines import ReadLines
from app.domain.records import short_id_factors
from app.domain.tallies import part_of
from app.domain.windows import Rules

__all__ = ["groups_of_rows"]


def groups_of_rows(some: Sequence[ReadLines], source_id: str, rules: Rules) -> Groups | None:
    """The hits that count, of one source in the order of the log; None if there is none, or a number is too large."""
    numbers: dict[Key, int] = {}
    codes, positions, parts = [], [], []
    for rows in some:
        for hit, position in zip(rows.hits, rows.positions, strict=True):
            part = part_of(hit, 0)
            if part is not None:
                codes.append(numbers.setdefault(hit[1:4], len(numbers)))
                positions.append(position)
                parts.append(part)
    if not parts:
        return None
    times, _, *columns = zip(*parts, strict=True)
    try:
        lo, hi, *details = [np.array(column, np.int64) for column in columns]
    except OverflowError:
        return None
    if any(column.max() >= MAX_BYTE for column in (lo, hi, *details)):
        return None
    return Groups(
        ListedKeys(list(numbers), ["GET"] * len(numbers)),
        np.array(codes, np.int64),
        np.array(times, np.float64),
        np.array(positions, np.uint64),
        lo,
        hi,
        short_id_factors(source_id),
        rules,
        Details(*details),
    )
