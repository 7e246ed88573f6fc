"""A dict that works out what it lacks and never grows beyond its bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["Remembered"]

Value = TypeVar("Value")


class Remembered(dict[str, Value]):
    """Text to what `read` makes of it: `remembered[text]` costs one look-up where the text was seen before.

    Holds at most `limit` texts of at most `longest` characters: full, it starts again empty; longer texts are read each
    time. What `read` raises goes to the caller, and nothing is kept.

    >>> lengths = Remembered(len, limit=2)
    >>> lengths["four"], len(lengths)
    (4, 1)
    """

    def __init__(self, read: Callable[[str], Value], limit: int = 10_000, longest: int = 512) -> None:
        super().__init__()
        self._read = read
        self._limit = limit
        self._longest = longest

    def __missing__(self, text: str) -> Value:
        value = self._read(text)
        if len(text) <= self._longest:
            if len(self) >= self._limit:
                self.clear()
            self[text] = value
        return value
