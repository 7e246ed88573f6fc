"""A temporary folder that servers running as other users can read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["public_folder"]


@contextmanager
def public_folder() -> Iterator[Path]:
    """Deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="weblogs-servers-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        folder.chmod(0o755)
        yield folder
