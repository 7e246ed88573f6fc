"""The numbers that options take: finite, and as large as settings may be."""

from __future__ import annotations

from typing import Any

import click

from app.settings import LARGEST_NUMBER

__all__ = ["Number"]


class Number(click.FloatRange):
    """A number within bounds. What click's own takes beside them is refused: nan, inf, and numbers that no clock can hold.

    >>> Number(min=0).convert("1e3", None, None)
    1000.0
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if number != number:
            self.fail(f"{value!r} is no number", param, ctx)
        if abs(number) > LARGEST_NUMBER:
            self.fail(f"{value!r}: no number may be above {LARGEST_NUMBER:,}", param, ctx)
        return number
