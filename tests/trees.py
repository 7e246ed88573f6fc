"""The syntax trees of source files, each parsed once in a process: several tests walk all of them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from app.process.memory import no_collection


@cache
def tree_of(path: Path) -> ast.Module:
    """Of a file, which no test changes. It stays: no look for garbage goes through it."""
    with no_collection():
        return ast.parse(path.read_text())
