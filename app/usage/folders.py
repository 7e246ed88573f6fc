"""Looking into a folder that may be gone, or shut."""

from __future__ import annotations

import contextlib
from pathlib import Path

__all__ = ["may_be_there", "names_in"]


def names_in(folder: Path) -> list[str]:
    """Sorted; none of what is no folder. Not by `glob`: where it may not look, it finds nothing, and to a check that is peace.

    Raises OSError.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return sorted(path.name for path in folder.iterdir())
    return []


def may_be_there(path: Path) -> bool:
    """Whether it is there, or nobody can tell."""
    try:
        return path.exists()
    except PermissionError:  # who opens it hears of it
        return True
