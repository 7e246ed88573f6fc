"""Sums that are exact however large: of 64 bits while they fit, else of Python's integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.columns.blocks import Ints

__all__ = ["Numbers", "as_numbers", "counted_by", "exact", "summed", "total_of"]

Numbers = NDArray[Any]
"""int64, or Python's integers if one is larger."""
_MOST_BITS = 62


def as_numbers(values: list[int]) -> Numbers:
    try:
        return np.array(values, np.int64)
    except OverflowError:
        return np.array(values, object)


def exact(numbers: Numbers, times: int = 1) -> Numbers:
    """The same, such that neither their sum nor `times` each of them is too large."""
    if numbers.dtype == object or not len(numbers):
        return numbers
    most = max(abs(int(numbers.max())), abs(int(numbers.min())))
    return numbers.astype(object) if most * max(times, len(numbers)) >= 1 << _MOST_BITS else numbers


def total_of(numbers: Numbers) -> int:
    """Their sum."""
    return int(exact(numbers).sum()) if len(numbers) else 0


def counted_by(codes: Ints, count: int, numbers: Numbers) -> list[int]:
    """The sum of some numbers for each code below `count`."""
    sums = np.zeros(count, object)
    rows, (found,) = summed([codes], [count], [numbers])
    sums[codes[rows]] = found
    return [int(one) for one in sums]


def summed(codes: Sequence[Ints], sizes: Sequence[int], columns: Sequence[Numbers]) -> tuple[Ints, list[Numbers]]:
    """A row of each group, and the sums of some columns in each. Rows with the same codes, each below its size, are a group."""
    joined, bound = codes[0], sizes[0]
    count = len(joined)
    if not count:
        return np.zeros(0, np.int64), list(columns)
    for more, size in zip(codes[1:], sizes[1:], strict=True):
        if bound * size >= 1 << _MOST_BITS:
            joined, bound = np.unique(joined, return_inverse=True)[1], count
        joined, bound = joined * size + more, bound * size
    places = count.bit_length()
    if bound.bit_length() + places <= _MOST_BITS:
        # the places below the codes: one sort of integers, which is faster than any that gives places
        ordered = np.sort((joined.astype(np.int64) << places) | np.arange(count))
        joined, rows = ordered >> places, ordered & ((1 << places) - 1)
    else:
        rows = np.argsort(joined, kind="stable")
        joined = joined[rows]
    begins = np.flatnonzero(np.append(True, joined[1:] != joined[:-1]))
    return rows[begins], [np.add.reduceat(exact(column)[rows], begins) for column in columns]
