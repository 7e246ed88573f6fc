"""One file that somebody else writes to: what is new in it, in whole lines, and whether it is still the same content."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Self

from app.errors import UnknownFormat
from app.sources.files.beginning import MOST_SAMPLE_BYTES, SAMPLE_BYTES, Beginning, begin, told_by
from app.sources.files.read_options import ReadOptions
from app.sources.identity.identifier import Identifier, SeenFile
from app.sources.replay.run import ReplayRun
from app.sources.replay.sender import Labels
from app.sources.replay.source import Source

__all__ = ["GrowingFile", "Truncated"]

_REMEMBERED_BYTES = 1024
_SCAN_BYTES = 64 << 10
_TELLING_LINES = 50
"""A file with this many lines that fit no format will not come to fit one."""
_TURN_BYTES = 8 << 20
"""A file gives way to the others after this much."""


class Truncated(Exception):
    """The file no longer holds what was read of it: it was cut and is written anew."""


class _Region:
    """The bytes [position, end) of a growing file. Every block is checked against a cut that came in between."""

    def __init__(self, file: GrowingFile, position: int, end: int) -> None:
        self._file = file
        self._position = position
        self._end = end

    def read(self, size: int, /) -> bytes:
        wanted = min(size, self._end - self._position)
        data = os.pread(self._file.fd, wanted, self._position) if wanted else b""
        self._file.check()
        if len(data) < wanted:
            raise Truncated
        self._position += wanted
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class GrowingFile:
    """An open inode. Its source is known from its first whole line on, and stays."""

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.fd = fd
        status = os.fstat(fd)
        self.inode = (status.st_dev, status.st_ino)
        self.source: Source | None = None
        self.grown_at = time.monotonic()
        """When something new was last read."""
        self.is_unreadable = False
        self._labels: Labels | None = None
        self._told_bytes = 0
        """So many bytes from the beginning have told how lines are read."""
        self._has_hit = False
        self._scanned = 0
        self._line_end = 0
        self._first = b""
        self._before = b""

    @property
    def position(self) -> int:
        return self.source.position if self.source else 0

    @property
    def state(self) -> tuple[int, float]:
        status = os.fstat(self.fd)
        return status.st_size, status.st_mtime

    def check(self) -> None:
        """Raises Truncated where what was read is no longer there."""
        position = self.position
        if os.fstat(self.fd).st_size < position:
            raise Truncated
        if self._before and os.pread(self.fd, len(self._before), position - len(self._before)) != self._before:
            raise Truncated
        if self._first and os.pread(self.fd, len(self._first), 0) != self._first:
            raise Truncated

    def send_new(
        self,
        run: ReplayRun,
        identifier: Identifier,
        options: ReadOptions,
        exclude: set[str],
        only: frozenset[str] | None = None,
    ) -> bool:
        """Sends whole lines that were added, up to some MiB. True if there were any. Raises Truncated, UnknownFormat."""
        self.check()
        end = self._complete_end()
        if self.source is None and (not end or not self._identify(end, run, identifier, options, exclude, only)):
            return False
        self._tell_more(end, run, options)
        return self._send(run, end)

    def finish(
        self,
        run: ReplayRun,
        identifier: Identifier,
        options: ReadOptions,
        exclude: set[str],
        only: frozenset[str] | None = None,
    ) -> None:
        """Nothing more will come: sends the rest, an unended last line, too, and the end message. Raises Truncated."""
        end = os.fstat(self.fd).st_size
        if self.source is None and (
            not end or not self._identify(end, run, identifier, options, exclude, only, final=True)
        ):
            return
        self._tell_more(end, run, options)
        while self._send(run, end):
            pass
        assert self.source is not None
        assert self._labels is not None
        run.send_end(self.source, self._labels)

    def close(self) -> None:
        os.close(self.fd)

    def _complete_end(self) -> int:
        size = at = os.fstat(self.fd).st_size
        low = max(self._scanned, self.position)
        self._scanned = max(size, low)
        while at > low:
            start = max(low, at - _SCAN_BYTES)
            found = os.pread(self.fd, at - start, start).rfind(b"\n")
            if found >= 0:
                self._line_end = start + found + 1
                break
            at = start
        return max(self._line_end, self.position)

    def _identify(
        self,
        end: int,
        run: ReplayRun,
        identifier: Identifier,
        options: ReadOptions,
        exclude: set[str],
        only: frozenset[str] | None,
        *,
        final: bool = False,
    ) -> bool:
        sample = os.pread(self.fd, min(end, MOST_SAMPLE_BYTES), 0)
        beginning = self._beginning(sample, options, final)
        if beginning is None or not beginning.body:
            return False
        changed_s = os.fstat(self.fd).st_mtime
        seen = SeenFile(self.path, beginning.body, lambda: _Region(self, 0, end), self.inode, changed_s)
        record = identifier.identify(seen, exclude=exclude, only=only)
        if record is None:
            self.is_unreadable = True
            return False
        self.source = Source(record, identifier.registry, Path(self.path).name, beginning, options)
        self._labels = Labels(self.source, run.partitions)
        self._first = sample[:_REMEMBERED_BYTES]
        self._remember()
        return True

    def _tell_more(self, end: int, run: ReplayRun, options: ReadOptions) -> None:
        """Few lines tell little of how the others are read: what comes next goes by all of the first 64 KiB, and by the first hit."""
        source = self.source
        assert source is not None
        if self._told_bytes >= min(end, MOST_SAMPLE_BYTES) or (self._told_bytes >= SAMPLE_BYTES and self._has_hit):
            return
        # beyond the first 64 KiB without a hit only what is new is looked at
        begin = self._told_bytes if self._told_bytes >= SAMPLE_BYTES else 0
        sample = os.pread(self.fd, min(end, MOST_SAMPLE_BYTES) - begin, begin)
        told, self._has_hit = told_by(source.format, sample[: sample.rfind(b"\n") + 1], options.format_options)
        self._told_bytes = begin + len(sample)
        if told != source.format_options:
            source.format_options = told
            self._labels = Labels(source, run.partitions)

    def _beginning(self, sample: bytes, options: ReadOptions, final: bool) -> Beginning | None:
        try:
            return begin(sample, True, self.path, options)
        except UnknownFormat:
            if not final and sample.count(b"\n") < _TELLING_LINES and len(sample) < MOST_SAMPLE_BYTES:
                return None
            self.is_unreadable = True
            raise

    def _remember(self) -> None:
        length = min(_REMEMBERED_BYTES, self.position)
        self._before = os.pread(self.fd, length, self.position - length)

    def _send(self, run: ReplayRun, end: int) -> bool:
        source, labels = self.source, self._labels
        assert source is not None
        assert labels is not None
        begun = source.position
        if begun >= end or source.mark.unended is not None:
            return False
        source.record.changed_s = os.fstat(self.fd).st_mtime
        for chunk, mark in source.cut(_Region(self, begun, end)):
            run.send(chunk, labels, source, source.acknowledging(mark))
            if chunk.too_long:
                self._remember()
            elif mark.unended is None:
                self._before = (self._before + chunk.data[-_REMEMBERED_BYTES:])[-_REMEMBERED_BYTES:]
            if source.position - begun >= _TURN_BYTES:
                break
        self.grown_at = time.monotonic()
        return True
