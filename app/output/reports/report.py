"""A report as a value: what it begins with, its columns and rows, and how a value is written for people."""

from __future__ import annotations

from typing import Any, NamedTuple

from app.words import visible

__all__ = ["NO_ROWS", "Cell", "Column", "Report", "for_people", "kind_of", "percent"]

Cell = str | int | float | None
_NONE = "(none)"
NO_ROWS = "No rows: nothing that was read fits the question."
"""What people see in place of an empty table."""


class Column(NamedTuple):
    """One column."""

    name: str
    """With its unit, if it has one."""
    kind: str = "count"
    """text; count and bytes, integers of any size; code, an integer that is a name; share, a float from 0 to 1; seconds and money, floats."""


class Report(NamedTuple):
    """The answer to one question. Rows are tuples in the order of `columns`; what is drawn is `drawn` by the first column."""

    name: str
    title: str
    head: list[tuple[str, str | int]]
    """What was read and how: names, indented by two spaces below what they are part of, and values."""
    definitions: list[str]
    """One sentence for each number that somebody may understand in two ways."""
    columns: tuple[Column, ...]
    rows: list[tuple[Any, ...]]
    totals: list[tuple[str, Cell]] = []
    """Of all rows, those that `--top` leaves out included."""
    drawn: str = ""
    """The name of the column that bars show; empty: none."""
    is_series: bool = False
    """The first column is a time or a place in a row, so that the values make a line."""

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def values_drawn(self) -> list[float]:
        """What the bars show, one a row; empty if there is nothing to draw."""
        if not self.drawn:
            return []
        at = self.names.index(self.drawn)
        return [float(row[at] or 0) for row in self.rows]


def percent(share: float | None) -> str:
    """A share for people, with two decimals.

    >>> percent(0.36563), percent(None)
    ('36.56 %', '–')
    """
    return "–" if share is None else f"{100 * share:.2f} %"


def for_people(value: Cell, kind: str) -> str:
    """A value as it is shown.

    >>> for_people(1234567, "count"), for_people(None, "text"), for_people(0.5, "share"), for_people(0.25, "seconds")
    ('1,234,567', '(none)', '50.00 %', '0.250')
    """
    if value is None:
        return _NONE if kind == "text" else "–"
    if kind == "share":
        return percent(float(value))
    if kind in ("seconds", "money"):
        return f"{float(value):,.3f}" if kind == "seconds" else f"{float(value):,.2f}"
    if isinstance(value, str):
        return visible(value)
    return str(value) if kind == "code" else f"{value:,}"


def kind_of(value: Cell) -> str:
    """The kind of a value that stands outside a column: a float there is a share."""
    return "text" if isinstance(value, str) else "share" if isinstance(value, float) else "count"
