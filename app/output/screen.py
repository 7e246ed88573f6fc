"""Deliveries on the screen: a table cut to the terminal, this many rows and the number of the rest."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, TextIO

from app.domain import byteranges
from app.domain.records import Delivery
from app.words import REASONS, condition_text, reason_text, visible

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["ScreenTable"]

_ROWS = 20
_PIPE_WIDTH = 160
_FIELD_LIMIT = 400
_LONG = {"ip_address": 9, "user_agent": 5, "request": 6, "byte_ranges": 6}
"""The columns that are cut to the width of the terminal, and their least widths."""
_SHARES = (20, 8, 12, 10)
_HEADS = (*_LONG, "covered", "total", "verdict", "reason", "hits")
_NUMBERS = ("covered", "total", "hits")
_COLOURS = {"complete": "green", "partial": "red", "unknown": "yellow"}


class ScreenTable:
    """Holds the first `rows` deliveries and prints them on `finish`."""

    def __init__(self, rows: int = _ROWS, file: TextIO | None = None, width: int | None = None) -> None:
        self._limit = rows
        self._file = file
        self._width = width
        self._kept: list[Delivery] = []
        self._seen = 0

    def write(self, delivery: Delivery) -> None:
        self._seen += 1
        if len(self._kept) < self._limit:
            self._kept.append(delivery)

    def abandon(self) -> None:
        self._kept.clear()

    def finish(self) -> None:
        from app.output.console import Console

        file = self._file or sys.stdout
        width = self._width or _width_of()
        console = Console(file=file, width=width, highlight=False, markup=False, emoji=False)
        if self._kept:
            console.print(self._table(width))
        for verdict, reason in sorted({(each.verdict, each.reason) for each in self._kept if each.reason in REASONS}):
            console.print(f"{reason}: {reason_text(verdict, reason)}")
        for evidence in sorted({each.evidence for each in self._kept if each.verdict == "complete"}):
            if condition := condition_text(evidence):
                console.print(f"{evidence}: {condition}")
        if self._seen > len(self._kept):
            console.print(f"… and {self._seen - len(self._kept):,} more; -o FILE writes all {self._seen:,}.")

    def _table(self, width: int) -> Table:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        rows = [_cells(delivery) for delivery in self._kept]
        table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False, pad_edge=False)
        for name, size in zip(_HEADS, _widths(rows, width - len(_HEADS)), strict=True):
            table.add_column(
                name, no_wrap=True, overflow="ellipsis", width=size, justify="right" if name in _NUMBERS else "left"
            )
        for row in rows:
            table.add_row(
                *(
                    Text(text, _COLOURS.get(text, "") if name == "verdict" else "")
                    for name, text in zip(_HEADS, row, strict=True)
                )
            )
        return table


def _widths(rows: list[list[str]], room: int) -> list[int]:
    """A width a column: the numbers and words in full, and the long texts share what is left of `room`."""
    wanted = [
        max(len(text) for text in (head, *column)) for head, column in zip(_HEADS, zip(*rows, strict=True), strict=True)
    ]
    left = room - sum(wanted[len(_LONG) :])
    widths = list(_LONG.values())
    while sum(widths) < left and (short := [n for n, width in enumerate(widths) if width < wanted[n]]):
        widths[min(short, key=lambda n: widths[n] / _SHARES[n])] += 1
    return widths + wanted[len(_LONG) :]


def _cells(delivery: Delivery) -> list[str]:
    texts = (delivery.ip_address, delivery.user_agent, delivery.request, _some_ranges(delivery))
    return [
        *(visible(text[:_FIELD_LIMIT]) for text in texts),
        f"{delivery.covered_bytes:,}",
        f"{delivery.total_bytes:,}" if delivery.total_bytes is not None else "?",
        delivery.verdict,
        _why(delivery),
        f"{delivery.hits:,}",
    ]


def _why(delivery: Delivery) -> str:
    """The reason; of a complete one the evidence that makes it whole under a condition alone."""
    if delivery.verdict == "complete" and condition_text(delivery.evidence):
        return delivery.evidence
    return delivery.reason or ""


def _some_ranges(delivery: Delivery) -> str:
    return byteranges.to_text(delivery.ranges[:20]) + (", …" if len(delivery.ranges) > 20 else "")


def _width_of() -> int:
    """Of the terminal; of a pipe what COLUMNS says, else wide enough to read."""
    return max(40, shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns)
