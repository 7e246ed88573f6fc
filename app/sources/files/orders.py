"""A file's lines in another order, for trials: backwards, shuffled, or drawn at random with repetition.

Only the offsets of the lines are held in memory, 8 bytes a line; the content is read from the file, or from a temporary
copy where the input is compressed or a pipe.
"""

from __future__ import annotations

import os
import random
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import IO, Protocol

from app.domain.lines import KEPT_BYTES
from app.errors import InputError
from app.sources.files.chunks import Chunk, Chunker, ReadStream
from app.sources.files.read_options import ReadOptions
from app.sources.identity.heads import HeadRule

__all__ = ["FILE_ORDER", "ORDERS", "ordered_chunks"]

FILE_ORDER = "file"
ORDERS = (FILE_ORDER, "reverse", "random", "sample")
_BLOCK_BYTES = 1 << 20


class _Closable(Protocol):
    def fileno(self) -> int: ...


class _Lines:
    """Where the lines of a stream stand, which of them are head lines, and what is in force where."""

    def __init__(self) -> None:
        self.starts = array("Q")
        """Of lines that are no head lines, in file order; a last entry ends the last line."""
        self.lengths = array("Q")
        """With their newlines."""
        self.changes: list[int] = []
        """Offsets from which on `heads` of the same index are in force."""
        self.heads: list[tuple[str, ...]] = []
        self.head_chunks: list[Chunk] = []

    def take(self, chunk: Chunk, heads: int) -> None:
        """Notes the lines of a chunk, of which the first `heads` are head lines."""
        self._note_head(chunk)
        at, data = 0, chunk.data
        for _ in range(heads):
            at = data.find(b"\n", at) + 1 or len(data)
        if heads:
            self.head_chunks.append(chunk._replace(data=data[:at]))
        while at < len(data):
            end = data.find(b"\n", at) + 1 or len(data)
            self.starts.append(chunk.position + at)
            self.lengths.append(end - at)
            at = end

    def take_too_long(self, chunk: Chunk) -> None:
        self._note_head(chunk)
        self.starts.append(chunk.position)
        self.lengths.append(chunk.too_long + 1)

    def _note_head(self, chunk: Chunk) -> None:
        if not self.changes or self.heads[-1] != chunk.head:
            self.changes.append(chunk.position)
            self.heads.append(chunk.head)

    def head_at(self, offset: int) -> tuple[str, ...]:
        return self.heads[max(0, bisect_right(self.changes, offset) - 1)]


class _Copying:
    """Copies what is read through it into a file."""

    def __init__(self, stream: ReadStream, copy: IO[bytes]) -> None:
        self._stream = stream
        self._copy = copy

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._copy.write(data)
        return data


def ordered_chunks(stream: ReadStream, order: str, seed: int, options: ReadOptions, rule: HeadRule) -> Iterator[Chunk]:
    """The lines of `stream`, which stands at its beginning, in `order`; the same seed gives the same order.

    Head lines come first, as they stand. `sample` draws as many lines as there are, with repetition. An input that breaks
    off gives the lines before, then its InputError.
    """
    with tempfile.TemporaryFile() as copy:
        lines = _Lines()
        broken: InputError | None = None
        try:
            _index(lines, _Copying(stream, copy), options, rule)
        except InputError as error:
            broken = error
        copy.flush()
        yield from lines.head_chunks
        yield from _cut(copy, lines, _arranged(len(lines.starts), order, random.Random(seed)), options)
        if broken is not None:
            raise broken


def _index(lines: _Lines, stream: ReadStream, options: ReadOptions, rule: HeadRule) -> None:
    for chunk in Chunker(_BLOCK_BYTES, options.max_line_bytes, head_rule=rule).cut(stream):
        if chunk.too_long:
            lines.take_too_long(chunk)
        else:
            lines.take(chunk, _heads_in(chunk, rule))


def _heads_in(chunk: Chunk, rule: HeadRule) -> int:
    """How many head lines a chunk begins with."""
    count = at = 0
    if chunk.position == 0 and rule.is_header is not None and chunk.head:
        count, at = 1, chunk.data.find(b"\n") + 1 or len(chunk.data)
    while rule.prefix and at < len(chunk.data) and chunk.data.startswith(rule.prefix, at):
        count += 1
        at = chunk.data.find(b"\n", at) + 1 or len(chunk.data)
    return count


def _arranged(count: int, order: str, rng: random.Random) -> Iterator[int]:
    if order == "sample":
        return (rng.randrange(count) for _ in range(count))
    if order == "reverse":
        return iter(range(count - 1, -1, -1))
    if order == "random":
        numbers = array("Q", range(count))
        rng.shuffle(numbers)
        return iter(numbers)
    raise ValueError(f"no such order: {order!r}")


def _cut(copy: _Closable, lines: _Lines, numbers: Iterator[int], options: ReadOptions) -> Iterator[Chunk]:
    fd, limit = copy.fileno(), options.max_line_bytes
    parts: list[bytes] = []
    places = array("Q")
    size = 0
    head: tuple[str, ...] = ()
    for number in numbers:
        start, length = lines.starts[number], lines.lengths[number]
        own_head = lines.head_at(start)
        full = size >= options.chunk_bytes or len(parts) == options.lines_per_message > 0
        if parts and (full or own_head != head or length > limit + 1):
            yield Chunk(b"".join(parts), places[0], places, head)
            parts, places, size = [], array("Q"), 0
        head = own_head
        if length > limit + 1:
            yield Chunk(os.pread(fd, KEPT_BYTES, start), start, None, head, length - 1)
            continue
        line = os.pread(fd, length, start)
        parts.append(line if line.endswith(b"\n") else line + b"\n")
        places.append(start)
        size += length
    if parts:
        yield Chunk(b"".join(parts), places[0], places, head)
