"""A report on the screen: its head, a table with a bar a row, a line of small bars for a series, its definitions."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

from app.output.reports.report import Cell, Report, for_people, kind_of

__all__ = ["print_report", "sparkline"]

_PIPE_WIDTH = 160
_BAR_WIDTH = 24
_LEVELS = "▁▂▃▄▅▆▇█"
_LONGEST_TEXT = 60


def sparkline(values: list[float], width: int = 60) -> str:
    """One block a value, its height by the greatest; neighbours are added together where there are more than `width`.

    >>> sparkline([0, 1, 4, 8])
    '▁▁▄█'
    """
    each = -(-len(values) // width) or 1
    sums = [sum(values[at : at + each]) for at in range(0, len(values), each)]
    most = max(sums, default=0.0)
    return "".join(
        _LEVELS[min(int(value / most * 8), 8) - 1 if value >= most / 8 else 0] if most else " " for value in sums
    )


def print_report(report: Report, file: TextIO | None = None, width: int | None = None) -> None:
    """Writes it to standard output, or to `file`; texts are cut to the width of the terminal."""
    from rich.bar import Bar
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = width or max(40, shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns)
    console = Console(file=file or sys.stdout, width=width, highlight=False, markup=False, emoji=False)
    console.print(Text(report.title, "bold"))
    for line in _told(report.head):
        console.print(line, soft_wrap=True)
    values = report.values_drawn
    if report.is_series and len(values) > 1:
        console.print(f"{report.drawn} {sparkline(values, max(10, width - len(report.drawn) - 2))}")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False)
    for column in report.columns:
        is_text = column.kind == "text"
        table.add_column(column.name, justify="left" if is_text else "right", overflow="ellipsis", no_wrap=True,
                         max_width=max(_LONGEST_TEXT, width // 2) if is_text else None)  # fmt: skip
    most = max(values, default=0.0)
    if values:
        table.add_column("", min_width=8, max_width=_BAR_WIDTH)
    for at, row in enumerate(report.rows):
        cells: list[Text | Bar] = [
            Text(for_people(value, column.kind)) for value, column in zip(row, report.columns, strict=True)
        ]
        if values:
            cells.append(Bar(most or 1.0, 0, values[at], width=_BAR_WIDTH))
        table.add_row(*cells)
    if report.rows:
        console.print(table)
    else:
        console.print("No rows: nothing that was read fits the question.")
    for line in _told(report.totals):
        console.print(line, soft_wrap=True)
    for sentence in report.definitions:
        console.print(sentence, soft_wrap=True)


def _told(rows: Sequence[tuple[str, Cell]]) -> list[str]:
    """Names and values, in two columns."""
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {for_people(value, kind_of(value))}" for name, value in rows]
