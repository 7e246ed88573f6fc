"""Reading the beginning of a pipe several times: what was read is kept in a temporary file until it is no longer needed."""

from __future__ import annotations

import tempfile
from typing import Self

from app.sources.files.chunks import ReadStream

__all__ = ["Pipe", "PipeReader"]


class Pipe:
    """A stream that can be read once, kept on disk as far as it was read."""

    def __init__(self, stream: ReadStream) -> None:
        self._stream = stream
        self._kept = tempfile.TemporaryFile()  # noqa: SIM115 — closed by close()
        self._kept_bytes = 0

    def restart(self) -> PipeReader:
        """A reader from the beginning."""
        return PipeReader(self)

    def read_at(self, offset: int, size: int, *, keep: bool) -> bytes:
        """From `offset`, which is not behind what was read so far."""
        if offset < self._kept_bytes:
            self._kept.seek(offset)
            return self._kept.read(size)
        data = self._stream.read(size)
        if keep:
            self._kept.seek(0, 2)
            self._kept.write(data)
            self._kept_bytes += len(data)
        return data

    def close(self) -> None:
        self._kept.close()


class PipeReader:
    """Reads a Pipe from its beginning."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._offset = 0
        self.keep = True
        """False for the last reader: what it reads is needed no more."""

    def read(self, size: int, /) -> bytes:
        data = self._pipe.read_at(self._offset, size, keep=self.keep)
        self._offset += len(data)
        return data

    def skip(self, count: int) -> None:
        while count and (data := self.read(min(count, 1 << 20))):
            count -= len(data)

    def close(self) -> None:
        """Nothing to do: the pipe is closed by its owner."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
