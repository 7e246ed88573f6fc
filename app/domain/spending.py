"""How the sum of a range is put together from what is stored: long buckets where they fit, payments at the edges."""

from __future__ import annotations

from typing import NamedTuple

from app.domain.events import SPEND_RESOLUTIONS

__all__ = ["Piece", "bucket_bounds", "pieces"]


class Piece(NamedTuple):
    """Buckets of a resolution that start at `begin` or later and before `end`; or payments, where it is None."""

    resolution: str | None
    begin: float
    end: float


def bucket_bounds(begin: float, end: float, resolution: str) -> tuple[float, float]:
    """From and to of the starts of the buckets that have a second in the range.

    >>> bucket_bounds(3700.0, 7200.0, "hour")
    (3600.0, 7200.0)
    """
    length_s = SPEND_RESOLUTIONS[resolution]
    return begin // length_s * length_s, end


def pieces(begin: float, end: float) -> list[Piece]:
    """The range from `begin` (inclusive) to `end` (exclusive), whole and without overlap.

    >>> [tuple(piece) for piece in pieces(30.0, 7230.0)]
    [(None, 30.0, 60), ('minute', 60, 3600), ('hour', 3600, 7200), (None, 7200, 7230.0)]
    """
    lengths = sorted(SPEND_RESOLUTIONS.items(), key=lambda item: item[1])
    return _pieces(begin, end, [(None, 0), *lengths]) if begin < end else []


def _pieces(begin: float, end: float, lengths: list) -> list[Piece]:
    """With the resolutions from the finest that may be used on."""
    (name, _), coarser = lengths[0], lengths[1:]
    if not coarser:
        return [Piece(name, begin, end)]
    length_s = coarser[0][1]
    first, last = int(-(-begin // length_s)) * length_s, int(end // length_s) * length_s
    if first >= last:
        return [Piece(name, begin, end)]
    found = [Piece(name, begin, first)] if begin < first else []
    found += _pieces(first, last, coarser)
    return found + ([Piece(name, last, end)] if last < end else [])
