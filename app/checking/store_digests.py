"""What is learnt of a store while its records pass once, so that nothing is read again for it."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from app.checking.digests import Buckets
from app.checking.remade_deliveries import RemadeDeliveries
from app.checking.shares import TooMany
from app.domain.records import Hit

if TYPE_CHECKING:
    from app.domain.open_deliveries import OpenDeliveries

__all__ = ["Ids", "StoreDigests"]

MOST_IDS = 8_000_000
"""Ids kept of one kind of record: 64 MB."""
_MASK_64 = (1 << 64) - 1


class Ids:
    """Whether records may stand twice, told from 64 bits of each id."""

    def __init__(self, most: int = MOST_IDS) -> None:
        self._most = most
        self._numbers = array("Q")
        self._overflowed = False

    def add(self, number: int) -> None:
        """`number`: the id, of up to 128 bits."""
        if len(self._numbers) < self._most:
            self._numbers.append(number & _MASK_64)
        else:
            self._overflowed = True

    @property
    def surely_differ(self) -> bool:
        """No id came twice. False where there were more than may be kept.

        >>> ids = Ids(most=2)
        >>> ids.add(7); ids.add(8); ids.surely_differ
        True
        >>> ids.add(9); ids.surely_differ
        False
        """
        if self._overflowed:
            return False
        import numpy as np

        numbers = np.sort(np.frombuffer(self._numbers, np.uint64))
        return bool((numbers[1:] != numbers[:-1]).all())


class StoreDigests:
    """Of one store: filled by whoever reads all of its records of a kind, for those who would have to read them after."""

    def __init__(self, merged: RemadeDeliveries | None = None) -> None:
        """`merged` takes the hits, where they are to be merged on the way."""
        self._merged = merged
        self.sums: dict[str, Buckets] = {}
        """By kind of record, of all that a reader sees: hits and rejects by raw id, deliveries by delivery id."""
        self.ids: dict[str, Ids] = {}
        """By kind of record."""

    def add(self, record: str, one: Any, number: int) -> None:
        """One record and its id; called for all of its kind or none."""
        ids = self.ids.get(record)
        if ids is None:
            ids = self.ids[record] = Ids()
        ids.add(number)
        if self._merged is not None and isinstance(one, Hit):
            try:
                self._merged.add(one)
            except TooMany:
                self._merged = None

    def take_deliveries(self) -> OpenDeliveries | None:
        """The hits that passed, merged; None where none passed, or their keys were too many. The second time it is None."""
        merged, self._merged = self._merged, None
        if merged is None or "hit" not in self.ids:
            return None
        try:
            return merged.deliveries()
        except TooMany:
            return None
