"""Percentiles of durations by DDSketch: counts of logarithmic bins, which merge in any order to the same.

A percentile that it tells is at most 1 % from a true one (C. Masson and others, DDSketch, 2019).
"""

from __future__ import annotations

from collections.abc import Mapping

from ddsketch.ddsketch import BaseDDSketch
from ddsketch.mapping import LogarithmicMapping
from ddsketch.store import DenseStore

__all__ = ["RELATIVE_ERROR", "bin_of", "percentile"]

RELATIVE_ERROR = 0.01
_ZERO = -(1 << 31)
"""The bin of everything that is not above 0."""
_mapping = LogarithmicMapping(RELATIVE_ERROR)


def bin_of(value: float) -> int:
    """The bin that counts a value."""
    return int(_mapping.key(min(value, _mapping.max_possible))) if value > _mapping.min_possible else _ZERO


def percentile(bins: Mapping[int, int], percent: float) -> float:
    """Of what the bins count; 0 if they are empty.

    >>> round(percentile({bin_of(value): 1 for value in range(1, 1001)}, 50.0) / 500, 1)
    1.0
    """
    store = DenseStore()
    for key in sorted(bins):
        if key != _ZERO:
            store.add(key, bins[key])
    sketch = BaseDDSketch(_mapping, store, DenseStore(), bins.get(_ZERO, 0))
    return float(sketch.get_quantile_value(percent / 100) or 0.0)
