"""What this process did since it started: plain numbers that agents add to and the web face reads."""

from __future__ import annotations

from collections import Counter

__all__ = ["Counters"]


class Counters:
    """Counts of one worker process."""

    def __init__(self) -> None:
        self.lines = 0
        self.hits = 0
        self.rejects: Counter[str] = Counter()
        self.events: Counter[tuple[str, str]] = Counter()
        """(votes or spend, counted, repeats or bad) -> how many came."""
        self.watermarks: dict[str, float] = {}
        """Source name -> highest event time seen."""
        self.store_problems: dict[str, str] = {}
        """Store -> why its last write failed; empty where it succeeded."""
        self.store_retries: Counter[str] = Counter()
        """Store -> writes that failed and were tried again."""
        self.store_refused: Counter[str] = Counter()
        """Store -> records that it refused for good."""
