"""The coverage bar: which parts of a file were delivered, as a few pieces of a strip. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

__all__ = ["CELLS", "Piece", "coverage_pieces", "coverage_signs"]

CELLS = 200
"""The strip's resolution, and so the most pieces that a bar can have."""


class Piece(NamedTuple):
    """Neighbouring cells that look alike."""

    start: int
    """First cell."""
    cells: int
    look: str
    """`full`: every byte is covered; `some`: at least one is and one is not; empty parts have no piece."""


def coverage_pieces(ranges: Sequence[Sequence[int]], total: int, cells: int = CELLS) -> list[Piece]:
    """The bar of sorted, disjoint `ranges` (inclusive, any size of integer) in a file of `total` bytes.

    Exact: a single missing byte of a terabyte shows, because its cell is `some`. Bytes at and beyond `total` are left out.
    A file of fewer bytes than `cells` has as many cells as bytes. Time grows with the number of ranges, not with bytes.

    >>> coverage_pieces([[0, 49], [60, 99]], 100, cells=10)
    [Piece(start=0, cells=5, look='full'), Piece(start=6, cells=4, look='full')]
    >>> coverage_pieces([[0, 10**12 - 2]], 10**12, cells=10)
    [Piece(start=0, cells=9, look='full'), Piece(start=9, cells=1, look='some')]
    """
    if total <= 0:
        return []
    cells = min(cells, total)
    looks = _looks(_covered_by_cell(ranges, total, cells), total, cells)
    pieces, start = [], 0
    for look, run in groupby(looks):
        length = sum(1 for _ in run)
        if look:
            pieces.append(Piece(start, length, look))
        start += length
    return pieces


def coverage_signs(ranges: Sequence[Sequence[int]], lo: int, hi: int, cells: int) -> str:
    """The bar of lo..hi as text, one sign for each of at most `cells` equal parts: # full, + some, . none.

    >>> coverage_signs(((0, 49), (75, 80)), 0, 99, 4)
    '##.+'
    """
    length = hi - lo + 1
    moved = [(max(begin - lo, 0), end - lo) for begin, end in ranges if end >= lo]
    signs = ["."] * min(cells, length)
    for piece in coverage_pieces(moved, length, cells):
        signs[piece.start : piece.start + piece.cells] = ("#" if piece.look == "full" else "+") * piece.cells
    return "".join(signs)


def _covered_by_cell(ranges: Sequence[Sequence[int]], total: int, cells: int) -> list[int]:
    """Covered bytes in each cell; cell i begins at byte i * total // cells."""
    covered = [0] * cells
    whole = [0] * (cells + 1)  # +1 where a run of fully covered cells begins, -1 after it ends
    for lo, hi in ranges:
        hi = min(hi, total - 1)
        if lo > hi:
            continue
        first = ((lo + 1) * cells - 1) // total
        last = ((hi + 1) * cells - 1) // total
        if first == last:
            covered[first] += hi - lo + 1
            continue
        covered[first] += (first + 1) * total // cells - lo
        covered[last] += hi - last * total // cells + 1
        whole[first + 1] += 1
        whole[last] -= 1
    depth = 0
    for cell in range(cells):
        depth += whole[cell]
        if depth:
            covered[cell] = (cell + 1) * total // cells - cell * total // cells
    return covered


def _looks(covered: Sequence[int], total: int, cells: int) -> list[str]:
    sizes = ((cell + 1) * total // cells - cell * total // cells for cell in range(cells))
    return ["full" if have == size else "some" if have else "" for have, size in zip(covered, sizes, strict=True)]
