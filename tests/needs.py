"""Programs that a test needs. On CI one that is missing is a failure; elsewhere the test is skipped, and says what to install."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str, where: str) -> str:
    """Its path. `where`: how to get it, words for people."""
    found = shutil.which(name)
    if found is not None:
        return found
    said = f"{name} is not installed ({where})"
    if os.environ.get("CI"):
        pytest.fail(said)
    pytest.skip(said)
