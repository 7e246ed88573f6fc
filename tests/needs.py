"""Programs that a test needs. On CI one that is missing is a failure; elsewhere the test is skipped, and says what to install."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest


def program(name: str, where: str) -> str:
    """Its path. `where`: how to get it, words for people."""
    found = shutil.which(name) or shutil.which(name, path=Path(sys.executable).parent)
    if found is None:
        lacking(f"{name} is not installed ({where})")
    return found


def lacking(what: str) -> NoReturn:
    """Ends the test that needs it."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
