"""Hits in columns on their way through a topic: spread over the partitions before it, gathered by key behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from app.columns.blocks import Columns
from app.columns.groups import Groups, added
from app.columns.keys import Keys
from app.domain.merging import Key
from app.domain.records import short_id_factors
from app.domain.windows import Rules
from app.messages import hits as wire

__all__ = ["Gathered", "spread"]

Bools = NDArray[np.bool_]


def spread(block: Columns, partition_of: Callable[[Key], int]) -> dict[int, wire.Columns]:
    """The hits of a block by partition, in the order of the log."""
    keys = Keys([block], every_method=True)
    codes, key_of = np.unique(keys.codes, return_inverse=True)
    named = keys.named(codes)
    place_of = np.array([partition_of(key) for key in named], np.int64)
    places = place_of[key_of]
    found = {}
    for partition in np.unique(place_of).tolist():
        rows = np.flatnonzero(places == partition)
        here = np.flatnonzero(place_of == partition)
        number_of = np.zeros(len(codes), "<u4")
        number_of[here] = np.arange(len(here))
        its = [named[number] for number in here.tolist()]
        found[partition] = wire.Columns(
            its,
            [keys.methods[key[2]] for key in its],
            number_of[key_of[rows]].tobytes(),
            block.times[rows].astype("<f8").tobytes(),
            block.positions[rows].astype("<u8").tobytes(),
            block.statuses[rows].astype("<u2").tobytes(),
            block.lo[rows].astype("<i8").tobytes(),
            block.hi[rows].astype("<i8").tobytes(),
            b"" if block.sent is None else block.sent[rows].astype("<i8").tobytes(),
            b"" if block.total is None else block.total[rows].astype("<i8").tobytes(),
        )
    return found


class _Numbered:
    """The keys of some blocks of one source."""

    def __init__(self, blocks: Sequence[wire.Columns]) -> None:
        numbers: dict[Key, int] = {}
        codes = []
        for block in blocks:
            pairs = zip(block.keys, block.methods, strict=True)
            code_of = [numbers.setdefault(key, len(numbers)) if method == "GET" else -1 for key, method in pairs]
            statuses = np.frombuffer(block.statuses, "<u2")
            found = np.array(code_of, np.int64)[np.frombuffer(block.key, "<u4")]
            codes.append(np.where((statuses == 206) | (statuses == 200), found, -1))
        self.codes = np.concatenate(codes)
        self._keys = list(numbers)

    def named(self, codes: NDArray[np.int64]) -> list[Key]:
        keys = self._keys
        return [keys[code] for code in codes.tolist()]


class Gathered:
    """The hits of one source in one message."""

    def __init__(self, blocks: Sequence[wire.Columns], source: str) -> None:
        self._keys = _Numbered(blocks)
        self._factors = short_id_factors(source)
        self.times = _column(blocks, "times", "<f8")
        self.positions = _column(blocks, "positions", "<u8")
        self._lo, self._hi = _column(blocks, "lo", "<i8"), _column(blocks, "hi", "<i8")
        self._details = None
        if any(block.sent for block in blocks):
            self._hi, self._details = added(self._lo, self._hi, _told(blocks, "sent"), _told(blocks, "total"))

    @property
    def end(self) -> int:
        """The highest position."""
        return int(self.positions.max())

    def leave_out(self, merged_to: int, closed: float) -> None:
        """Those up to that position and that time do not count."""
        self._keys.codes[
            (self.positions <= np.uint64(max(0, merged_to))) & (self.times <= closed) & (merged_to >= 0)
        ] = -1

    def groups(self, rules: Rules) -> Groups:
        """By key, what counts."""
        return Groups(self._keys, self.times, self.positions, self._lo, self._hi, self._factors, rules, self._details)


def _column(blocks: Sequence[wire.Columns], name: str, of: str) -> NDArray:
    return np.concatenate([np.frombuffer(getattr(block, name), of) for block in blocks])


def _told(blocks: Sequence[wire.Columns], name: str) -> NDArray[np.int64]:
    """A column that some blocks may lack."""
    return np.concatenate(
        [np.frombuffer(getattr(block, name), "<i8") if block.sent else np.full(len(block), -1) for block in blocks]
    )
