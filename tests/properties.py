"""How much of a test the fast run takes: a tenth of the examples of a property, some cases of a list. `make test-long` takes all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import pytest

T = TypeVar("T")
FULL = os.environ.get("PROPERTIES") == "full"


def examples(number: int) -> int:
    """Of `number` examples those that this run takes, 10 at least."""
    return number if FULL else max(min(number, 10), number // 10)


def first(count: int, values: Iterable[Any]) -> list[Any]:
    """Cases of a test, of which the fast run takes the first `count`."""
    listed = list(values)
    return [*listed[:count], *map(_long, listed[count:])]


def every(step: int, values: Iterable[Any]) -> list[Any]:
    """Cases of a test, of which the fast run takes one in `step`. Of a product whose last factor `step` does not divide, it meets each value."""
    return [_long(each) if at % step else each for at, each in enumerate(values)]


def part(at: int, values: Sequence[T], step: int = 3) -> Sequence[T]:
    """All values, or in the fast run one in `step`, others for each `at`: each value is met where `at` counts up, each `at` meets some."""
    return values if FULL else values[at % step :: step]


def _long(case: Any) -> Any:
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long)
