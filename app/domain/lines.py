"""From a chunk of a log to hits and rejects: the hot path of reading.

Lines end with a newline byte and nothing else; a carriage return before it belongs to the line end. Bytes that are no
UTF-8 are kept, written as `\\xNN`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from app.domain.formats.base import BadLine, LineParser

__all__ = ["FUTURE_S", "KEPT_LINE_CHARS", "BadAt", "ReadLines", "decode", "read_lines", "read_too_long"]

FUTURE_S = 86400.0
"""A line dated later than its arrival by more than this is rejected: one such line would close every window."""
KEPT_LINE_CHARS = 1024
"""How much of a rejected line is kept."""


class BadAt(NamedTuple):
    """One rejected line."""

    reason: str
    detail: str
    line: str
    position: int


class ReadLines(NamedTuple):
    """What the lines of one chunk are. Lines = hits + rejects + heads."""

    hits: list[tuple]
    """Tuples in the order of Parsed."""
    positions: list[int]
    """Where each hit stands."""
    rejects: list[BadAt]
    heads: int
    lowest: float
    highest: float
    disorder_s: float
    """Of the hits: see watermarks.Advance."""

    @property
    def lines(self) -> int:
        return len(self.hits) + len(self.rejects) + self.heads


def decode(line: bytes) -> str:
    """The text of a line, bytes that are no UTF-8 escaped.

    >>> decode(b"caf\\xc3\\xa9 \\xff")
    'café \\\\xff'
    """
    return line.decode("utf-8", "backslashreplace")


def read_lines(
    data: bytes, parse: LineParser, arrived: float, position: int = 0, positions: Sequence[int] | None = None, header_row: bool = False
) -> ReadLines:
    """Read whole lines with a format's parser.

    `position` is the byte offset of the data in its source, `positions` that of each line where they are not in a row.
    `header_row`: where the first of these lines is no hit, it is a head line. `arrived`: wall clock, UTC seconds.
    """
    lines, starts = _split(data, position, positions)
    hits: list[tuple] = []
    places: list[int] = []
    rejects: list[BadAt] = []
    heads = 0
    latest = arrived + FUTURE_S
    lowest, highest, disorder = math.inf, -math.inf, 0.0
    for line, start in zip(lines, starts, strict=True):
        try:
            hit = parse(line)
        except BadLine as bad:
            if header_row and not hits and not rejects:
                header_row = False
                heads += 1
            else:
                rejects.append(BadAt(bad.reason, bad.detail, line[:KEPT_LINE_CHARS], start))
            continue
        if hit is None:
            heads += 1
            continue
        time = hit[0]
        if time >= highest:
            if time > latest:
                rejects.append(BadAt("bad_time", "dated more than a day ahead of its arrival", line[:KEPT_LINE_CHARS], start))
                continue
            highest = time
        elif highest - time > disorder:
            disorder = highest - time
        if time < lowest:
            lowest = time
        hits.append(hit)
        places.append(start)
    return ReadLines(hits, places, rejects, heads, lowest, highest, disorder)


def read_too_long(data: bytes, length: int, position: int) -> ReadLines:
    """One line of `length` bytes, more than a line may have, of which only the beginning is at hand."""
    bad = BadAt("too_long", f"a line of {length} bytes", decode(data)[:KEPT_LINE_CHARS], position)
    return ReadLines([], [], [bad], 0, math.inf, -math.inf, 0.0)


def _split(data: bytes, position: int, positions: Sequence[int] | None) -> tuple[list[str], Iterable[int]]:
    lines: list[str]
    if data.isascii():
        lines = data.decode("ascii").split("\n")
        lengths: Iterable[int] = map(len, lines)
    else:
        raw = data.split(b"\n")
        lengths = map(len, raw)
        lines = [decode(line) for line in raw]
    if not lines[-1]:
        lines.pop()
    starts = positions if positions is not None else _running(lengths, position, len(lines))
    if b"\r" in data:
        lines = [line.removesuffix("\r") for line in lines]
    return lines, starts


def _running(lengths: Iterable[int], position: int, count: int) -> list[int]:
    starts = []
    for length in lengths:
        starts.append(position)
        position += length + 1
    return starts[:count]
