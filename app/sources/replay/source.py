"""A source that is being read: who it is, how far it is acknowledged, and its chunks from there."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple, Self

from app.domain.formats.base import Format
from app.sources.files.beginning import Beginning, read_beginning
from app.sources.files.chunks import Chunk, Chunker, ReadStream
from app.sources.files.inputs import InputStream, Wait, open_input
from app.sources.files.pipes import Pipe, PipeReader
from app.sources.files.read_options import ReadOptions
from app.sources.identity.digest import ContentDigest, DigestValue
from app.sources.identity.heads import HeadRule
from app.sources.identity.identifier import Identifier, SeenFile
from app.sources.identity.registry import Registry, SourceRecord

__all__ = ["Input", "Source", "SourceMark", "open_source"]


class SourceMark(NamedTuple):
    """A place in a source up to which everything was handed out."""

    digest: DigestValue
    head: tuple[str, ...]
    lines: int
    unended: tuple[int, int] | None


class Source:
    """One source between its last checkpoint and its end."""

    def __init__(
        self,
        record: SourceRecord,
        registry: Registry,
        name: str,
        beginning: Beginning,
        options: ReadOptions,
        *,
        again: bool = False,
    ) -> None:
        self.record = record
        self.name = name
        self.format: Format = beginning.format
        self.rule: HeadRule = beginning.rule
        self.format_options = beginning.options
        self.note = beginning.note
        """One sentence for people about how it is read; empty where there is none."""
        self.lines = 0 if again else record.lines
        self._registry = registry
        self._digest = ContentDigest(None if again else record.digest)
        self._chunker = Chunker(
            options.chunk_bytes,
            options.max_line_bytes,
            position=self._digest.value.length,
            head_rule=beginning.rule,
            head=self._head(beginning, again),
            lines_per_message=options.lines_per_message,
            digest=self._digest,
        )

    def _head(self, beginning: Beginning, again: bool) -> tuple[str, ...]:
        if again or not self.record.position:
            return ()
        # what was read by another format's rules kept other head lines
        return self.record.head if self.record.format == self.format.name else beginning.head

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def position(self) -> int:
        """Where the next chunk begins."""
        return self._chunker.position

    def cut(self, stream: ReadStream) -> Iterator[tuple[Chunk, SourceMark]]:
        """Chunks of a stream that stands at `position`, each with the mark to acknowledge once it is safe."""
        for chunk in self._chunker.cut(stream):
            if self._chunker.unended is None:
                self.lines += chunk.lines
            yield chunk, self.mark

    def cut_unmarked(self, stream: ReadStream) -> Iterator[Chunk]:
        """The same without marks: content is not digested, which no other input is compared with, and lines are not counted."""
        self._chunker.digest = None
        return self._chunker.cut(stream)

    @property
    def mark(self) -> SourceMark:
        """Everything that was handed out so far."""
        return SourceMark(self._digest.value, self._chunker.head, self.lines, self._chunker.unended)

    def acknowledge(self, mark: SourceMark) -> None:
        """Moves the checkpoint on; never back."""
        record = self.record
        if mark.digest.length < record.position or (mark.digest == record.digest and mark.unended == record.unended):
            return
        record.digest, record.head, record.lines, record.unended = mark.digest, mark.head, mark.lines, mark.unended
        record.ended, record.format = False, self.format.name
        self._registry.save(record)

    def acknowledging(self, mark: SourceMark, *, ended: bool = False) -> Callable[[], None]:
        """What to call once everything up to `mark` (and the end message) is durable."""

        def acknowledge() -> None:
            self.acknowledge(mark)
            if ended:
                self.end()

        return acknowledge

    def end(self) -> None:
        """Its end was announced."""
        if not self.record.ended:
            self.record.ended = True
            self._registry.save(self.record)


class Input:
    """An opened input and its source, at the place to go on from. A context manager.

    `source` is None where there is nothing to read: the input is empty or holds head lines only.
    """

    def __init__(
        self,
        path: str,
        identifier: Identifier,
        options: ReadOptions,
        *,
        again: bool = False,
        only: frozenset[str] | None = None,
        wait: Wait | None = None,
    ) -> None:
        self.path = path
        self.source: Source | None = None
        self.already_sent = False
        """The whole content was sent and its end announced before."""
        self.is_empty = False
        with ExitStack() as stack:
            self.file = stack.enter_context(open_input(path, wait))
            self._pipe = None if self.file.regular else Pipe(self.file)
            if self._pipe is not None:
                stack.callback(self._pipe.close)
            self.stream: InputStream | PipeReader = self._restart()
            stack.callback(lambda: self.stream.close())
            self._identify(identifier, options, again, only)
            self._stack = stack.pop_all()

    def _identify(self, identifier: Identifier, options: ReadOptions, again: bool, only: frozenset[str] | None) -> None:
        beginning = read_beginning(self.stream, self.file.shown, options)
        if beginning is None or not beginning.body:
            self.is_empty = True
            return
        seen = SeenFile(self.path, beginning.body, self._restart, self.file.inode, self.file.changed_s)
        record = identifier.identify(seen, only=only)
        if record is None:
            return
        self.source = Source(record, identifier.registry, self.file.name, beginning, options, again=again)
        self.already_sent = record.ended and self._rest_is(record)
        self._place(self.source.position)

    def _restart(self) -> InputStream | PipeReader:
        return open_input(self.path) if self._pipe is None else self._pipe.restart()

    def _place(self, position: int) -> None:
        self.stream.close()
        self.stream = self._restart()
        self.stream.skip(position)
        if isinstance(self.stream, PipeReader):
            self.stream.keep = False

    def _rest_is(self, record: SourceRecord) -> bool:
        """Whether nothing follows the checkpoint but the unended line that was sent, too."""
        wanted, crc = record.unended or (0, record.digest.crc)
        length, found = 0, record.digest.crc
        with self._restart() as stream:
            stream.skip(record.position)
            while length <= wanted and (data := stream.read(min(1 << 20, wanted + 1 - length))):
                length += len(data)
                found = zlib.crc32(data, found)
        return (length, found) == (wanted, crc)

    def chunks(self, is_last: bool = False) -> Iterator[Chunk]:
        """All chunks to the end, each acknowledged when the next one is asked for: for reading within one process.

        `is_last`: no other input comes that might be the same.
        """
        if self.source is None:
            return
        if is_last:
            yield from self.source.cut_unmarked(self.stream)
            return
        for chunk, mark in self.source.cut(self.stream):
            yield chunk
            self.source.acknowledge(mark)
        self.source.end()

    @property
    def consumed_bytes(self) -> int:
        """Of the input as it stands, compressed as it is: beside size_bytes it tells how far reading has come."""
        if self.file.compression is None and self.source is not None:
            return self.source.position
        return self.stream.consumed_bytes if isinstance(self.stream, InputStream) else self.file.consumed_bytes

    @property
    def size_bytes(self) -> int | None:
        return self.file.size_bytes

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_source(
    path: str | os.PathLike[str],
    identifier: Identifier,
    options: ReadOptions,
    *,
    again: bool = False,
    wait: Wait | None = None,
) -> Input:
    """Opens an input, finds its format and which source it is. Raises InputError.

    `again`: from the beginning, though it may have been sent before; the checkpoint stays where it is meanwhile.
    """
    return Input(os.fspath(path), identifier, options, again=again, wait=wait)
