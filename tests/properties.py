"""How many examples a property test takes: a quarter in the fast tests, all of them in `make test-long`."""

from __future__ import annotations

import os

FULL = os.environ.get("PROPERTIES") == "full"


def examples(number: int) -> int:
    """Of `number` examples those that this run takes, 10 at least."""
    return number if FULL else max(min(number, 10), number // 4)
