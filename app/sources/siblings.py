"""The files that rotation leaves beside a log: `access.log.1`, `access.log.2.gz`, `access.log-20200731`, `access-20200731.log`."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

__all__ = ["Sibling", "siblings_of"]

_ENDINGS = r"(?P<packed>\.(gz|bz2|xz|zst))?"
_NUMBER = r"[.-]\d[\d.:T_-]*"


class Sibling(NamedTuple):
    """One file beside a log."""

    path: str
    inode: tuple[int, int]
    size_bytes: int
    changed_s: float
    packed: bool
    """Compressed, by its name."""

    @property
    def state(self) -> tuple[int, float]:
        return self.size_bytes, self.changed_s


def siblings_of(path: str) -> list[Sibling]:
    """Regular files with the name of a rotated `path`, the one changed longest ago first."""
    folder, name = os.path.split(os.path.abspath(path))
    stem, ending = os.path.splitext(name)
    pattern = re.compile(f"(?:{re.escape(name)}{_NUMBER}|{re.escape(stem)}{_NUMBER}{re.escape(ending)}){_ENDINGS}")
    found = []
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return []  # a folder that is gone holds no siblings
    for entry in entries:
        match = pattern.fullmatch(entry.name)
        if match is None:
            continue
        try:
            if not entry.is_file():
                continue
            status = entry.stat()
        except FileNotFoundError:
            continue  # rotated on meanwhile
        inode = (status.st_dev, status.st_ino)
        found.append(Sibling(entry.path, inode, status.st_size, status.st_mtime, match["packed"] is not None))
    return sorted(found, key=lambda sibling: (sibling.changed_s, sibling.path))
