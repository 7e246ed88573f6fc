"""Folders of state: logs hold addresses and names, so that only the user of the process may look into them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["Kept", "make_private"]


class Kept:
    """A file that nobody may take away while this process runs."""

    def __init__(self, path: Path) -> None:
        """It exists. Raises OSError."""
        self.path = path
        self._number = path.stat().st_ino

    @property
    def is_gone(self) -> bool:
        """Whether it was removed, also if another one stands in its place."""
        try:
            return self.path.stat().st_ino != self._number
        except FileNotFoundError:
            return True


def make_private(folder: Path) -> None:
    """Makes the folder and those above it that are missing, each with mode 0700. What exists keeps its mode. Raises OSError."""
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        make_private(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
