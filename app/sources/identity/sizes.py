"""True sizes of files from elsewhere: a text file with a request, a tab and a number of bytes a line."""

from __future__ import annotations

import os
from pathlib import Path

from app.errors import InputError

__all__ = ["Sizes", "read_sizes"]


def read_sizes(path: Path) -> dict[str, int]:
    """Request to bytes of the whole file. Blank lines and lines that begin with # say nothing; a later line for the same request counts.

    Raises InputError that names the file and the line.
    """
    found: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            for number, line in enumerate(file, 1):
                text = line.rstrip("\r\n")
                if text.strip() and not text.startswith("#"):
                    request, size = _entry(text, f"{path}, line {number}")
                    found[request] = size
    except OSError as error:
        raise InputError(
            f"{path}: the sizes cannot be read: {error.strerror or error}; name a text file of request, tab, bytes"
        ) from error
    return found


def _entry(text: str, place: str) -> tuple[str, int]:
    request, tab, size = text.rpartition("\t")
    size = size.strip()
    if not tab or not request or not size.isascii() or not size.isdigit() or len(size) > 1000 or int(size) == 0:
        raise InputError(
            f"{place}: {text[:80]!r} is no size; write the request as the log has it, a tab, and the bytes, at least 1"
        )
    return request.removesuffix("\t"), int(size)


class Sizes:
    """The sizes in a file, read again when the file changes. A bare path stands for its GET request, too.

    Raises InputError on creation where the file cannot be read; later changes that cannot be read keep the old sizes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sizes = read_sizes(path)
        self._stamp = self._seen()

    def __call__(self, request: str) -> int | None:
        size = self._sizes.get(request)
        if size is None and request.startswith("GET "):
            return self._sizes.get(request[4:])
        return size

    def refresh(self) -> InputError | None:
        """Read the file again if it changed; the error, where that failed (the sizes stay as they were)."""
        stamp = self._seen()
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            self._sizes = read_sizes(self._path)
        except InputError as error:
            return error
        return None

    def _seen(self) -> tuple[int, int, int] | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
