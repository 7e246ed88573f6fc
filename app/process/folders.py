"""Folders of state: logs hold addresses and names, so that only the user of the process may look into them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["make_private"]


def make_private(folder: Path) -> None:
    """Makes the folder and those above it that are missing, each with mode 0700. What exists keeps its mode. Raises OSError."""
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        make_private(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
