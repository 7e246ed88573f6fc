"""Files that appear whole or not at all: written under a temporary name beside the target, renamed at the end."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from app.errors import OutputError, WrongOutput

__all__ = ["STDOUT", "Replacement", "explained", "write_whole"]

STDOUT = "standard output"
_NEW_FILE_MODE = 0o666


@contextlib.contextmanager
def explained(target: Path | str, kind: type[OutputError] = OutputError) -> Iterator[None]:
    """Turns an error of the system while `target` is written into one of this kind; a reader of a pipe who left is no error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise kind(
            f"{target}: cannot be written: {error.strerror or error}; free the place or name another file"
        ) from error


class Replacement:
    """A temporary file that takes the target's place on `commit` and goes away on `discard`; one of them at the end of a `with`.

    WrongOutput at once where the target is no regular file, may not be written, or its folder takes no file.
    """

    def __init__(self, target: Path) -> None:
        self.target = Path(os.path.realpath(target))  # a link stays a link: what it points to is replaced
        with explained(target, WrongOutput):
            mode = self._mode()
            handle, name = tempfile.mkstemp(
                prefix=f".{self.target.name[:100]}.", suffix=".part", dir=self.target.parent
            )
            os.fchmod(handle, mode)
            os.close(handle)
        self.path = Path(name)

    def __enter__(self) -> Replacement:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.commit()
        finally:
            self.discard()

    def _mode(self) -> int:
        try:
            mode = self.target.stat().st_mode
        except FileNotFoundError:
            umask = os.umask(0)
            os.umask(umask)
            return _NEW_FILE_MODE & ~umask
        if not stat.S_ISREG(mode):
            raise WrongOutput(f"{self.target} is no regular file; name a file to write")
        if not os.access(self.target, os.W_OK):
            raise PermissionError(13, "Permission denied")
        return stat.S_IMODE(mode)

    def commit(self) -> None:
        """The file is complete: put it, durably, in the target's place."""
        with explained(self.target):
            with self.path.open("rb") as written:
                os.fsync(written.fileno())
            self.path.replace(self.target)

    def discard(self) -> None:
        """The file will not be complete: leave nothing of it."""
        self.path.unlink(missing_ok=True)


def write_whole(target: Path, data: bytes) -> None:
    """Put these bytes in the target's place. Raises OutputError, and then the target is as it was."""
    with Replacement(target) as replacement, explained(target):
        replacement.path.write_bytes(data)
