"""Bytes of a log whose lines are not ended by newlines, made into such lines byte for byte: every position stays what it was.

Two kinds are known: files whose lines end with a carriage return alone, and JSON arrays of records, on one line or printed
over many. In an array the comma between two records becomes a newline, and what stands around the records, line ends in them
included, becomes blanks.
"""

from __future__ import annotations

import re
from typing import Protocol

__all__ = ["Flattener", "flattener_for", "with_plain_lines"]

_SAMPLE_BYTES = 64 << 10
_ARRAY = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:\{\s*"[Rr]ecords"\s*:\s*)?\[\s*(?=\{)')
_TOKENS = re.compile(rb'["\\{}\[\],\r\n]')
_NEWLINE, _BLANK = 10, 32


class Flattener(Protocol):
    """Takes the bytes of a source in order and gives as many back."""

    def feed(self, data: bytes, /) -> bytes: ...


class _CarriageReturns:
    def feed(self, data: bytes, /) -> bytes:
        return data.replace(b"\r", b"\n")


class _Array:
    """Knows after each byte how deep in records and whether in a string it stands."""

    def __init__(self, before: int) -> None:
        """`before`: this many bytes stand before the first record; 0 where reading begins between two records."""
        self._before = before
        self._depth = 0
        self._in_string = self._is_escaped = self._is_over = False

    def feed(self, data: bytes, /) -> bytes:
        made = bytearray(data)
        at = min(self._before, len(data))
        self._before -= at
        made[:at] = b" " * at
        if self._is_escaped and at < len(data):
            self._is_escaped = False
            at += 1
        while (found := _TOKENS.search(data, at)) is not None:
            place, token = found.start(), found[0]
            at = place + 1
            if self._in_string:
                if token == b'"':
                    self._in_string = False
                elif token == b"\\":
                    self._is_escaped = at >= len(data)
                    at += 1
            elif token == b'"':
                self._in_string = True
            elif token == b"[" and self._is_over:
                made[place] = _BLANK  # another array, on its own line
                self._is_over = False
            elif token in b"{[":
                self._depth += 1
            elif token in b"}]":
                if self._depth:
                    self._depth -= 1
                else:
                    made[place] = _BLANK  # the end of the array, and of what holds it
                    self._is_over = True
            elif token == b",":
                if not self._depth:
                    made[place] = _NEWLINE
            elif not self._is_over:
                made[place] = _BLANK
        return bytes(made)


def flattener_for(sample: bytes, resumed: bool = False) -> Flattener | None:
    """What makes plain lines of a source that begins with `sample`; None where its lines are plain.

    `resumed`: it will be fed from a later place, where a line begins.
    """
    array = _ARRAY.match(sample)
    if array is not None:
        return _Array(0 if resumed else array.end())
    sample = sample[:_SAMPLE_BYTES]
    if sample.count(b"\r") > 1 and b"\n" not in sample:
        return _CarriageReturns()
    return None


def with_plain_lines(data: bytes) -> bytes:
    """A whole body as plain lines.

    >>> with_plain_lines(b'[{"a":1},{"b":2}]')
    b' {"a":1}\\n{"b":2} '
    """
    flattener = flattener_for(data)
    return data if flattener is None else flattener.feed(data)
