"""How far event time has come, source by source: what decides when a window is over.

A source's watermark is the highest event time seen in it. What comes later may lie before it by the lateness; a source
that was seen to be more out of order than that is given as much more time: a log read backwards closes nothing early.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

__all__ = ["Advance", "Clock", "Clocks", "source_number"]


class Advance(NamedTuple):
    """What a batch of lines tells of its source's time."""

    lowest: float = math.inf
    """Lowest event time in it; inf where it has no hit."""
    highest: float = -math.inf
    disorder_s: float = 0.0
    """The most by which a line lay before an earlier line of the source."""
    ended: bool = False
    """The source is read to its end."""
    unordered: bool = False
    """Its lines come in an order of somebody's choice: no watermark."""


class Clock:
    """One source's time."""

    __slots__ = ("closed", "disorder_s", "ended", "highest", "position", "touched", "unordered")

    def __init__(self) -> None:
        self.highest = -math.inf
        self.disorder_s = 0.0
        self.ended = self.unordered = False
        self.touched = 0.0
        """When it was last heard of: wall clock, carried by the message."""
        self.position = -1
        """How far its lines are merged: none before this position is still to come for the first time."""
        self.closed = -math.inf
        """The latest event time in the windows it fed that were evicted."""

    def observe(self, advance: Advance, now: float) -> None:
        """Take in a batch; the same batch again can hold the watermark back, never set it forward."""
        self.disorder_s = max(self.disorder_s, advance.disorder_s, self.highest - advance.lowest)
        self.highest = max(self.highest, advance.highest)
        self.unordered = self.unordered or advance.unordered
        self.ended = advance.ended
        self.touched = max(self.touched, now)

    def was_merged(self, position: int, time: float) -> bool:
        """Whether a line was merged into a window that may be evicted by now: merged again, it would open another one."""
        return position <= self.position and time <= self.closed

    def passed(self, lateness_s: float) -> float:
        """The event time before which windows are over."""
        return -math.inf if self.unordered else self.highest - max(lateness_s, self.disorder_s)


class Clocks:
    """The clocks of all sources."""

    def __init__(self) -> None:
        self.of: dict[int, Clock] = {}

    def observe(self, source: int, advance: Advance, now: float) -> Clock:
        """Take in a batch of one source."""
        clock = self.of.get(source)
        if clock is None:
            clock = self.of[source] = Clock()
        clock.observe(advance, now)
        return clock

    def passed(self, sources: Iterable[int] | None, lateness_s: float) -> float:
        """The event time before which the windows that these sources fed are over.

        The slowest live source decides. A source that has ended holds nobody back; where all have ended, the one that
        came farthest decides, so that another file with the same clients can still join what is recent.
        """
        live = ended = None
        for source in sources or ():
            clock = self.of.get(source)
            if clock is None:
                continue
            passed = clock.passed(lateness_s)
            if clock.ended:
                ended = passed if ended is None else max(ended, passed)
            else:
                live = passed if live is None else min(live, passed)
        if live is not None:
            return live
        return -math.inf if ended is None else ended

    def forget(self, before: float) -> list[int]:
        """Drop the clocks not heard of since `before` (wall clock); gives their numbers."""
        gone = [source for source, clock in self.of.items() if clock.touched < before]
        for source in gone:
            del self.of[source]
        return gone


def source_number(source: str) -> int:
    """63 bits that stand for a source id."""
    return int.from_bytes(blake2b(source.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 1
