"""How much of a test the fast run takes: a tenth of the examples of a property, the first cases of a list. `make test-long` takes all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

FULL = os.environ.get("PROPERTIES") == "full"


def examples(number: int) -> int:
    """Of `number` examples those that this run takes, 10 at least."""
    return number if FULL else max(min(number, 10), number // 10)


def first(count: int, values: Iterable[Any]) -> list[Any]:
    """Cases of a test, of which the fast run takes the first `count`."""
    listed = list(values)
    rest = (each if isinstance(each, tuple) else (each,) for each in listed[count:])
    return [*listed[:count], *(pytest.param(*each, marks=pytest.mark.long) for each in rest)]
