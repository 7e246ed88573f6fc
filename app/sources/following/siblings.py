"""The files that rotation leaves beside a log: `access.log.1`, `access.log.2.gz`, `access.log-20200731`, `access-20200731.log`."""

from __future__ import annotations

import os
import re
import stat
from typing import NamedTuple

__all__ = ["Sibling", "siblings_of"]

_ENDINGS = r"(?P<packed>\.(gz|bz2|xz|zst))?"
_MOST_LISTINGS = 20
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
    """Regular files with the name of a rotated `path`, the one changed longest ago first.

    A listing in the middle of a rotation can miss files that are being renamed: two in a row must agree.
    """
    found = _listed(path)
    for _ in range(_MOST_LISTINGS):
        before, found = found, _listed(path)
        if [(each.path, each.inode) for each in before] == [(each.path, each.inode) for each in found]:
            break
    return sorted(found, key=lambda sibling: (sibling.changed_s, sibling.path))


def _listed(path: str) -> list[Sibling]:
    folder, name = os.path.split(os.path.abspath(path))
    stem, ending = os.path.splitext(name)
    pattern = re.compile(f"(?:{re.escape(name)}{_NUMBER}|{re.escape(stem)}{_NUMBER}{re.escape(ending)}){_ENDINGS}")
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []  # a folder that is gone holds no siblings
    found = []
    for each in names:
        match = pattern.fullmatch(each)
        if match is None:
            continue
        place = os.path.join(folder, each)
        try:
            status = os.stat(place)
        except FileNotFoundError:
            continue  # rotated on meanwhile
        if stat.S_ISREG(status.st_mode):
            inode = (status.st_dev, status.st_ino)
            found.append(Sibling(place, inode, status.st_size, status.st_mtime, match["packed"] is not None))
    return found
