"""Exact counters: each event once, in the buckets of its time, whatever comes again, late or in another order.

The state keeps the identity of every event for a horizon, and every bucket until the horizon after its end. What comes for a
bucket after that is counted in a share of its own: the bucket's old sum stands in the stores, the new share stands beside it, and
readers add them. Which share an event belongs to follows from its time and the time of its arrival alone, never from what the
state happens to hold: read again after a crash, or after everything was wiped, the same messages give the same sums.

`now` is the clock of a partition: the latest time of arrival seen in it, kept in the state. It never runs backwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from app.domain.counted import KEPT_FOR_EVER, Bucket

__all__ = ["LOST", "Counting", "Counts", "Key", "end_of", "is_over", "is_remembered", "share_of"]

Key = tuple[str, str, int, int]
"""resolution, group, start, share"""
Counts = tuple[int, int, int]
"""events, amount, repeats"""
LOST: Counts = (-1, 0, 0)
"""Of a sum that the state held and cannot tell any more: the stores keep it, and what comes now counts in a later share."""


def share_of(end: float, now: int, horizon_s: int) -> int:
    """The share of an event that arrives at `now` for a bucket that ends at `end`.

    >>> share_of(600.0, 700, 1000), share_of(600.0, 1600, 1000), share_of(600.0, 2000, 1000)
    (0, 2, 3)
    """
    return 0 if now < end + horizon_s else 1 + now // horizon_s


def is_over(end: float, share: int, now: int, horizon_s: int) -> bool:
    """Whether no event that arrives from `now` on counts in this share of a bucket: it may leave the state.

    >>> is_over(600.0, 0, 1599, 1000), is_over(600.0, 0, 1600, 1000), is_over(600.0, 2, 1999, 1000), is_over(600.0, 2, 2000, 1000)
    (False, True, False, True)
    """
    return now >= end + horizon_s if share == 0 else now // horizon_s >= share


def is_remembered(identity: bytes, seen: int, now: int, horizon_s: int) -> bool:
    """Whether an identity seen at that time still makes an event a repeat."""
    return now < seen + horizon_s or identity.startswith(KEPT_FOR_EVER)


class Counting:
    """The sums and identities that some events change, before they are written. The state itself is not touched."""

    def __init__(
        self, horizon_s: int, counts_of: Callable[[Key], Counts | None], seen_at: Callable[[bytes], int | None]
    ) -> None:
        """`counts_of` and `seen_at` read the state: None for what it does not hold; of a sum LOST, too."""
        self._horizon = horizon_s
        self._counts_of = counts_of
        self._seen_at = seen_at
        self.sums: dict[Key, Counts] = {}
        """Every sum that changed, with its new value."""
        self.ids: dict[bytes, int] = {}
        """Every identity that came, and when."""

    def take(self, identities: Sequence[bytes], buckets: Sequence[Bucket], amount: int, now: int) -> bool:
        """Count an event that arrives at `now` (UTC seconds); False for a repeat."""
        fresh = True
        for one in identities:
            seen = self.ids.get(one)
            if seen is None:
                seen = self._seen_at(one)
            if seen is not None and is_remembered(one, seen, now, self._horizon):
                fresh = False
                break
        if fresh:
            for one in identities:
                self.ids[one] = now
        self._add(buckets, (1, amount, 0) if fresh else (0, 0, 1), now)
        return fresh

    def _add(self, buckets: Sequence[Bucket], more: Counts, now: int) -> None:
        sums, horizon_s = self.sums, self._horizon
        events, cents, repeats = more
        for resolution, group, start, end in buckets:
            key = (resolution, group, start, 0 if now < end + horizon_s else share_of(end, now, horizon_s))
            known = sums.get(key)
            if known is None:
                known = self._counts_of(key) or (0, 0, 0)
                while known is LOST:
                    key = (resolution, group, start, max(key[3] + 1, 1 + now // horizon_s))
                    known = sums.get(key) or self._counts_of(key) or (0, 0, 0)
            sums[key] = (known[0] + events, known[1] + cents, known[2] + repeats)


def end_of(resolution: str, start: int, lengths_s: Mapping[str, int]) -> float:
    """The first second after a bucket; infinite for a total."""
    return math.inf if resolution == "total" else start + lengths_s[resolution]
