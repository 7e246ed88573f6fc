"""Opens inputs: plain, gzip, bzip2, xz and zstd files, named pipes and stdin, told apart by their first bytes."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

from app.errors import InputError
from app.sources.files.decompress import MAGIC_BYTES, Decompressed, RawStream, compression_of
from app.sources.files.plain_lines import Flattener, flattener_for

__all__ = ["STDIN", "InputStream", "Wait", "open_input", "reading_error"]

STDIN = "-"
_SAMPLE_BYTES = 4096
_IDLE_S = 0.05
"""A pipe that is silent for this long hands out what it has, so that a live shipper is not held up."""
Wait = Callable[[int], None]
"""Called with the descriptor of a pipe before it is read; may return before there is something to read, and may raise."""


def reading_error(path: str, error: OSError) -> InputError:
    """The sentence for a path that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return InputError(
            f"{path} does not exist: check the name (`replay --follow` waits for a file that is yet to come)"
        )
    if isinstance(error, IsADirectoryError):
        return InputError(f"{path} is a directory: name the files in it, as in {path.rstrip('/')}/*")
    if isinstance(error, PermissionError):
        return InputError(
            f"{path} may not be read by this user: permission denied; change its mode or run as its owner"
        )
    return InputError(f"{path} cannot be read: {error.strerror or error}")


class _File:
    """A regular file: whole blocks, counted."""

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self._path = path
        self._ahead = b""
        self.read_bytes = 0

    def read(self, size: int, /) -> bytes:
        if self._ahead:
            part, self._ahead = self._ahead[:size], self._ahead[size:]
            return part
        data = self._from_system(size)
        self.read_bytes += len(data)
        return data

    def _from_system(self, size: int) -> bytes:
        try:
            return os.read(self._fd, size)
        except OSError as error:
            raise reading_error(self._path, error) from None

    def peek(self, size: int) -> bytes:
        """Up to `size` bytes without taking them; fewer only at the end."""
        while len(self._ahead) < size:
            data = self._from_system(size - len(self._ahead))
            if not data:
                break
            self.read_bytes += len(data)
            self._ahead += data
        return self._ahead

    def seek(self, offset: int) -> None:
        self._ahead = b""
        self.read_bytes = os.lseek(self._fd, offset, os.SEEK_SET)


class _Pipe(_File):
    """A pipe or terminal: gathers what comes until the size is reached or the writer pauses."""

    def __init__(self, fd: int, path: str, wait: Wait | None) -> None:
        super().__init__(fd, path)
        self._wait = wait

    def _from_system(self, size: int) -> bytes:
        if self._wait is not None:
            self._wait(self._fd)
        data = super()._from_system(size)
        parts, total = [data], len(data)
        while data and total < size and select.select([self._fd], [], [], _IDLE_S)[0]:
            data = super()._from_system(size - total)
            parts.append(data)
            total += len(data)
        return b"".join(parts)


class InputStream:
    """One opened input: a context manager with `read(size)` of decompressed bytes."""

    def __init__(self, fd: int, path: str, wait: Wait | None = None, *, owned: bool) -> None:
        self.path = path
        self.shown = "stdin" if path == STDIN else path
        """The path for people."""
        self.name = Path(self.shown).name
        self._fd = fd
        self._owned = owned
        status = os.fstat(fd)
        is_file = stat.S_ISREG(status.st_mode)
        self.regular = is_file and path != STDIN
        """False: it can be read only once."""
        self.size_bytes = status.st_size if is_file else None
        self.inode = (status.st_dev, status.st_ino) if self.regular else None
        self.changed_s = status.st_mtime if self.regular else 0.0
        self._raw = _File(fd, path) if is_file else _Pipe(fd, path, wait)
        self.compression = compression_of(self._raw.peek(MAGIC_BYTES))
        self._stream: RawStream = (
            Decompressed(self._raw, self.compression, self.shown) if self.compression else self._raw
        )
        self._flattener: Flattener | None = None
        self._is_begun = False
        self._ahead = b""

    def read(self, size: int, /) -> bytes:
        """Up to `size` decompressed bytes, b"" at the end.

        Lines that are not ended by newlines come as such lines (plain_lines). Raises InputError for a cut-off or damaged
        archive and for a device that fails, after what is good was handed out.
        """
        if not self._is_begun:
            self._is_begun = True
            is_plain_file = self.regular and self.compression is None
            if not is_plain_file:
                self._ahead = self._stream.read(max(size, _SAMPLE_BYTES))
            self._flattener = flattener_for(self._raw.peek(_SAMPLE_BYTES) if is_plain_file else self._ahead)
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
        else:
            data = self._stream.read(size)
        return data if self._flattener is None else self._flattener.feed(data)

    def skip(self, count: int) -> None:
        """Goes `count` bytes on from the beginning; only before the first read."""
        if self.regular and self.compression is None:
            if count:
                self._is_begun = True
                self._flattener = flattener_for(self._raw.peek(_SAMPLE_BYTES), resumed=True)
            self._raw.seek(count)
            return
        while count:
            data = self.read(min(count, 1 << 20))
            if not data:
                return
            count -= len(data)

    @property
    def consumed_bytes(self) -> int:
        """Bytes of the input itself that were read, compressed as they are: for a progress bar beside size_bytes."""
        return self._raw.read_bytes

    def close(self) -> None:
        if self._owned:
            self._owned = False
            os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_input(path: str | os.PathLike[str], wait: Wait | None = None) -> InputStream:
    """Opens a file, a named pipe or `-` for stdin. Raises InputError with one sentence where that cannot be.

    With `wait` a named pipe is opened at once: it is waited for where it is read.
    """
    text = os.fspath(path)
    if text == STDIN:
        return InputStream(sys.stdin.fileno(), STDIN, wait, owned=False)
    try:
        fd = os.open(text, os.O_RDONLY | os.O_CLOEXEC | (0 if wait is None else os.O_NONBLOCK))
    except (OSError, ValueError) as error:
        raise reading_error(text, error if isinstance(error, OSError) else OSError(str(error))) from None
    try:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise reading_error(text, IsADirectoryError())
        os.set_blocking(fd, True)
        return InputStream(fd, text, wait, owned=True)
    except BaseException:
        os.close(fd)
        raise
