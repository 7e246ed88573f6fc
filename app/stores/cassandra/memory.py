"""What a process remembers to have written: rows of the lookup tables, which every hit of a key would write again."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable

__all__ = ["KEPT", "Written"]

KEPT = 200_000
"""Rows remembered, about 200 bytes each."""


class Written:
    """Names of rows that are in the store and will stay for a while; bounded, and forgotten after `age_s` to twice that.

    Two generations: the young one becomes the old one when it is full or `age_s` old, and what was only in the old one is gone.
    """

    def __init__(self, age_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._age_s = age_s
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """After tables were dropped."""
        self._young: set[Hashable] = set()
        self._old: set[Hashable] = set()
        self._since = self._clock()

    def __contains__(self, name: Hashable) -> bool:
        return name in self._young or name in self._old

    def add(self, names: Iterable[Hashable]) -> None:
        """Only after the server has acknowledged."""
        if self._clock() - self._since > self._age_s or len(self._young) > KEPT // 2:
            self._young, self._old, self._since = set(), self._young, self._clock()
        self._young.update(names)
