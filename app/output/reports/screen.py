"""A report on the screen: its head, a table with a bar a row, a line of small bars for a series, its definitions."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

import click
from rich.cells import cell_len, set_cell_size

from app.output.reports.report import NO_ROWS, Cell, Report, for_people, kind_of

__all__ = ["print_report", "sparkline"]

_PIPE_WIDTH = 160
_BAR_WIDTH = 24
_LEAST_BAR, _LEAST_TEXT = 8, 10
_GAP = "   "
_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
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
    file = file or sys.stdout
    width = width or max(40, shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns)
    values, lines = report.values_drawn, _told(report.head)
    if report.is_series and len(values) > 1:
        lines.append(f"{report.drawn} {sparkline(values, max(10, width - len(report.drawn) - 2))}")
    lines += _table(report, values, width) if report.rows else [NO_ROWS]
    click.secho(report.title, file, bold=True)
    click.echo("\n".join([*lines, *_told(report.totals), *report.definitions]), file)


def _table(report: Report, values: list[float], width: int) -> list[str]:
    """Names, a rule and the rows, behind each of which a bar stands if there are `values`.

    Written here because there may be thousands of rows, and rich takes 0.3 ms for each.
    """
    is_text = [column.kind == "text" for column in report.columns]
    rows = [
        [for_people(cell, column.kind) for cell, column in zip(row, report.columns, strict=True)] for row in report.rows
    ]
    longest = max(_LONGEST_TEXT, width // 2)
    widths = [max(map(_cells, column)) for column in zip(report.names, *rows, strict=True)]
    widths = [min(wide, longest) if text else wide for wide, text in zip(widths, is_text, strict=True)]
    bar = _BAR_WIDTH if values else -len(_GAP)
    over = sum(widths) + len(_GAP) * len(widths) + bar - width
    if values and over > 0:
        bar = max(_LEAST_BAR, _BAR_WIDTH - over)
        over -= _BAR_WIDTH - bar
    # the widest text gives way first
    while (
        over > 0
        and (wide := max((wide for wide, text in zip(widths, is_text, strict=True) if text), default=0)) > _LEAST_TEXT
    ):
        widths[next(at for at, text in enumerate(is_text) if text and widths[at] == wide)] -= 1
        over -= 1
    most = max(values, default=0.0)
    bars = [_bar(value / most if most else 0.0, bar) for value in values] or [""] * len(rows)
    lines = []
    for row, drawn in zip([report.names, *rows], ["", *bars], strict=True):
        cells = [_fitted(cell, wide, text) for cell, wide, text in zip(row, widths, is_text, strict=True)]
        lines.append(_GAP.join([*cells, drawn]).rstrip())
    return [lines[0], "─" * min(width, sum(widths) + len(_GAP) * len(widths) + bar), *lines[1:]]


def _cells(text: str) -> int:
    """How many places of a terminal it takes."""
    return len(text) if text.isascii() else cell_len(text)


def _fitted(text: str, width: int, is_text: bool) -> str:
    """In exactly so many places."""
    over = _cells(text) - width
    if over > 0:
        return set_cell_size(text, width - 1) + "…"
    return text + " " * -over if is_text else " " * -over + text


def _bar(share: float, width: int) -> str:
    """
    >>> _bar(0.5, 4), _bar(1.0, 3), _bar(0.0, 4)
    ('██', '███', '')
    """
    whole, eighths = divmod(int(share * width * 8), 8)
    return "█" * whole + _EIGHTHS[eighths]


def _told(rows: Sequence[tuple[str, Cell]]) -> list[str]:
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {for_people(value, kind_of(value))}" for name, value in rows]
