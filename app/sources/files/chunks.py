"""Cuts a stream into chunks of whole lines, whatever the bytes; memory is bounded by a chunk and a line.

Work is done on blocks: lines are looked at one by one only where a format has head lines inside a file, or where a message
shall hold this many lines.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from app.domain.lines import KEPT_BYTES
from app.sources.identity.digest import ContentDigest
from app.sources.identity.heads import MAX_HEAD_BYTES, HeadRule, Heads, junk_before, text_of

__all__ = ["Chunk", "Chunker", "ReadStream", "chunks"]


class ReadStream(Protocol):
    """`read(size)` gives up to `size` bytes and b"" at the end only."""

    def read(self, size: int, /) -> bytes: ...


class Chunk(NamedTuple):
    """Some whole lines of a source."""

    data: bytes
    """Whole lines, each ended by a newline; the last one of a file may lack it."""
    position: int
    """Byte offset of the first byte in the decompressed source."""
    positions: array[int] | None = None
    """array("Q") with the offset of each line where they are not contiguous."""
    head: tuple[str, ...] = ()
    """Head lines in force; a change of them starts a new chunk, which begins with them."""
    too_long: int = 0
    """Above 0: data is the first 1 KiB of one line of this many bytes (without its newline)."""

    @property
    def lines(self) -> int:
        if self.too_long:
            return 1
        return self.data.count(b"\n") + (not self.data.endswith(b"\n"))


class Chunker:
    """The state of cutting one source, which may be read in several goes, as a followed file is."""

    def __init__(
        self,
        chunk_bytes: int,
        max_line_bytes: int,
        *,
        position: int = 0,
        head_rule: HeadRule | None = None,
        head: tuple[str, ...] = (),
        lines_per_message: int = 0,
        digest: ContentDigest | None = None,
    ) -> None:
        self.position = position
        """Where the next chunk begins."""
        self.unended: tuple[int, int] | None = None
        """Length and CRC-32 of the last line, where it lacks its newline. It stands outside the digest."""
        self._chunk_bytes = chunk_bytes
        self._max_line_bytes = max_line_bytes
        self._rule = head_rule or HeadRule()
        self._heads = Heads(head)
        self._lines_per_message = lines_per_message
        self.digest = digest
        """None: nothing is digested."""

    @property
    def head(self) -> tuple[str, ...]:
        return self._heads.lines

    def cut(self, stream: ReadStream) -> Iterator[Chunk]:
        """The chunks of `stream`, which stands at `position`.

        When a chunk is handed out, the digest has taken in everything up to its last newline. An error of the stream comes
        after all whole lines before it; the line that it broke is not handed out, so that the good line can still come.
        """
        rest = b""
        while block := stream.read(self._chunk_bytes):
            end = block.rfind(b"\n") + 1
            if end:
                # one copy of the whole lines, in memory that was just free
                whole = b"".join((rest, memoryview(block)[:end]))
                rest = block[end:]
                del block
                yield from self._whole(whole, len(whole))
            else:
                rest += block
            while len(rest) > self._max_line_bytes:
                chunk, rest = self._long_line(rest, stream)
                yield chunk
                if end := rest.rfind(b"\n") + 1:
                    yield from self._whole(rest, end)
                    rest = rest[end:]
        if rest:
            yield self._last(rest)

    def _whole(self, data: bytes, end: int) -> Iterator[Chunk]:
        """Chunks of data[:end], which ends with a newline."""
        limit = self._max_line_bytes
        start = at = 0
        while at < end:
            cut = data.rfind(b"\n", at, min(at + limit + 1, end))
            if cut >= 0:
                at = cut + 1
                continue
            if at > start:
                yield from self._by_head(data[start:at])
            start = data.index(b"\n", at + limit) + 1
            yield self._too_long(data[at : start - 1][:KEPT_BYTES], start - at - 1, data[at:start])
            at = start
        if start < end:
            yield from self._by_head(data[start:end])

    def _too_long(self, kept: bytes, length: int, line: bytes) -> Chunk:
        if self.digest is not None:
            self.digest.feed(line)
        chunk = Chunk(kept, self.position, None, self.head, length)
        self.position += length + 1
        return chunk

    def _long_line(self, rest: bytes, stream: ReadStream) -> tuple[Chunk, bytes]:
        """Reads over a line that no block holds. Returns its chunk and what was read behind it."""
        kept, length, digest = rest[:KEPT_BYTES], len(rest), ContentDigest(self.digest.value if self.digest else None)
        digest.feed(rest)
        behind = b""
        while block := stream.read(self._chunk_bytes):
            end = block.find(b"\n")
            kept += block[: end if end >= 0 else None][: KEPT_BYTES - len(kept)]
            if end >= 0:
                length += end
                digest.feed(block[: end + 1])
                behind = block[end + 1 :]
                break
            length += len(block)
            digest.feed(block)
        else:
            self.unended = (length, digest.value.crc)
            return Chunk(kept, self.position, None, self.head, length), b""
        if self.digest is not None:
            self.digest.value = digest.value
        chunk = Chunk(kept, self.position, None, self.head, length)
        self.position += length + 1
        return chunk, behind

    def _last(self, line: bytes) -> Chunk:
        digest = ContentDigest(self.digest.value if self.digest else None)
        digest.feed(line)
        self.unended = (len(line), digest.value.crc)
        if self._is_head(line):
            self._heads.add(text_of(line))
        return Chunk(line, self.position, None, self.head)

    def _is_head(self, line: bytes) -> bool:
        if self._rule.prefix and line.startswith(self._rule.prefix):
            return True
        return self.position == 0 and self._rule.is_header is not None and self._rule.is_header(text_of(line))

    def _by_head(self, data: bytes) -> Iterator[Chunk]:
        """Cuts whole lines where head lines change."""
        start = at = 0
        if self.position == 0 and self._rule.is_header is not None:
            first = data[: data.index(b"\n") + 1]
            if self._is_head(first):
                self._heads.add(text_of(first))
                at = len(first)
        prefix = self._rule.prefix
        if prefix:
            junk = junk_before(data) if self.position == 0 else 0
            at = self._take_heads(data, junk if junk and data.startswith(prefix, junk) else at)
            while at < len(data) and (found := data.find(b"\n" + prefix, at)) >= 0:
                yield from self._by_lines(data[start : found + 1])
                start = found + 1
                at = self._take_heads(data, start)
        yield from self._by_lines(data[start:])

    def _take_heads(self, data: bytes, at: int) -> int:
        """Takes the head lines that begin at `at`; returns where other lines begin."""
        while data.startswith(self._rule.prefix, at):
            end = data.index(b"\n", at) + 1
            if end - at <= MAX_HEAD_BYTES:
                self._heads.add(text_of(data[at:end]))
            at = end
        return at

    def _by_lines(self, data: bytes) -> Iterator[Chunk]:
        count = self._lines_per_message
        if not count:
            yield self._chunk(data)
            return
        start = 0
        while start < len(data):
            end = start
            for _ in range(count):
                end = data.find(b"\n", end) + 1
                if not end or end >= len(data):
                    end = len(data)
                    break
            yield self._chunk(data[start:end])
            start = end

    def _chunk(self, data: bytes) -> Chunk:
        if self.digest is not None:
            self.digest.feed(data)
        chunk = Chunk(data, self.position, None, self.head)
        self.position += len(data)
        return chunk


def chunks(
    stream: ReadStream,
    chunk_bytes: int = 512 << 10,
    max_line_bytes: int = 64 << 10,
    position: int = 0,
    head_rule: HeadRule | None = None,
    lines_per_message: int = 0,
    head: tuple[str, ...] = (),
) -> Iterator[Chunk]:
    """The chunks of a stream that stands at `position`. Concatenated, and with over-long lines whole, they are the stream.

    >>> from io import BytesIO
    >>> [(chunk.position, chunk.data) for chunk in chunks(BytesIO(b"one\\ntwo\\nthree"), chunk_bytes=8)]
    [(0, b'one\\ntwo\\n'), (8, b'three')]
    """
    chunker = Chunker(
        chunk_bytes,
        max_line_bytes,
        position=position,
        head_rule=head_rule,
        head=head,
        lines_per_message=lines_per_message,
    )
    return chunker.cut(stream)
