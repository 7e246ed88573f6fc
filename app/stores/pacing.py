"""How fast a store may be written to: a rate that is kept on average, without bursts after a pause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

__all__ = ["Pace"]

Record = TypeVar("Record")


class Pace:
    """Records a second; 0 is no limit. Knows no clock: times are seconds of any clock that only goes forward.

    >>> pace = Pace(100.0)
    >>> pace.pause_s(100, now=5.0), pace.pause_s(50, now=5.0), pace.pause_s(1, now=60.0)
    (0.0, 1.0, 0.0)
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._free_at = float("-inf")

    def pause_s(self, records: int, now: float) -> float:
        """How long to wait before this many records are sent; they count from then on."""
        if not self.rate:
            return 0.0
        begins = max(self._free_at, now)
        self._free_at = begins + records / self.rate
        return begins - now

    def portions(self, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        """Portions of what one second may take, so that each pause is short.

        >>> [list(portion) for portion in Pace(2.0).portions("abcde")]
        [['a', 'b'], ['c', 'd'], ['e']]
        """
        most = max(1, int(self.rate)) if self.rate else max(1, len(records))
        for begin in range(0, len(records), most):
            yield records[begin : begin + most]
