"""Deliveries as a workbook, row by row, within the limits of a sheet: what does not fit is said in words.

A cell takes 32,767 characters: longer ranges end with `… (N ranges)`, other texts with `… (N characters)`. A sheet takes 1,048,576
rows: the rest goes on in another sheet, and the last row of each full one says so. Every text is a text, never a formula
or a link; characters that XML does not allow are escaped as `\\xNN`. Numbers that a cell cannot hold exactly are texts.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.exceptions import XlsxFileError
from xlsxwriter.worksheet import Worksheet

from app.domain.fields import DELIVERY, Kind
from app.domain.records import Delivery
from app.output.columns import COLUMNS, TIMES, iso_time, values
from app.words import writable

__all__ = ["CELL_CHARACTERS", "SHEET_ROWS", "PlainSheet", "XlsxTable", "cell_text", "is_exact"]

CELL_CHARACTERS = 32_767
SHEET_ROWS = 1_048_576
_EXACT = 10**15
"""A cell is a double shown with 15 digits."""
_WIDTHS = {
    "ip_address": 16,
    "user_agent": 40,
    "request": 48,
    "byte_ranges": 30,
    "missing": 24,
    "first": 21,
    "last": 21,
    "window_start": 21,
}
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_TIME_COLUMNS = [COLUMNS.index(name) for name in TIMES]
_RANGE_COLUMNS = {
    COLUMNS.index(field.column): field.name for field in DELIVERY.fields if field.listed and field.kind is Kind.RANGES
}


class PlainSheet(Worksheet):  # type: ignore[misc]  # xlsxwriter has no types
    """A sheet in which a text that looks like the markup of rich text is a text, too."""

    def _xml_rich_inline_string(self, string: str, attributes: list[Any]) -> None:
        self._xml_inline_string(string, string != string.strip(), attributes)


class XlsxTable:
    """A sheet is full after `sheet_rows` rows (at least 3)."""

    def __init__(self, path: Path, sheet_rows: int = SHEET_ROWS) -> None:
        self._rows_folder = tempfile.TemporaryDirectory(prefix="weblogs-xlsx-")
        self._book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": self._rows_folder.name})
        self._book.use_zip64()
        self._head = self._book.add_format({"bold": True})
        self._sheet_rows = sheet_rows
        self._sheets = 0
        self._sheet = self._new_sheet()

    def _new_sheet(self) -> Worksheet:
        self._sheets += 1
        sheet = self._book.add_worksheet(
            "deliveries" if self._sheets == 1 else f"deliveries {self._sheets}", PlainSheet
        )
        sheet.freeze_panes(1, 0)
        for column, name in enumerate(COLUMNS):
            sheet.set_column(column, column, _WIDTHS.get(name, 12))
        for column, name in enumerate(COLUMNS):
            sheet.write_string(0, column, name, self._head)
        self._row = 1
        return sheet

    def write(self, delivery: Delivery) -> None:
        if self._row == self._sheet_rows - 1:
            self._sheet.write_string(
                self._row, 0, f"This sheet is full; the next rows are in the sheet “deliveries {self._sheets + 1}”."
            )
            self._sheet = self._new_sheet()
        row = values(delivery)
        for column in _TIME_COLUMNS:
            row[column] = iso_time(row[column])
        for column, value in enumerate(row):
            if isinstance(value, str):
                ranges = getattr(delivery, _RANGE_COLUMNS[column]) if column in _RANGE_COLUMNS else None
                self._sheet.write_string(
                    self._row, column, cell_text(value, CELL_CHARACTERS, None if ranges is None else len(ranges))
                )
            elif isinstance(value, bool):
                self._sheet.write_boolean(self._row, column, value)
            elif value is not None and is_exact(value):
                self._sheet.write_number(self._row, column, value)
            elif value is not None:
                self._sheet.write_string(self._row, column, cell_text(str(value), CELL_CHARACTERS))
        self._row += 1

    def finish(self) -> None:
        try:
            self._book.close()
        except XlsxFileError as error:  # it wraps what the system said
            raise error.args[0] if error.args and isinstance(error.args[0], OSError) else OSError(str(error)) from error
        self._rows_folder.cleanup()

    def abandon(self) -> None:
        """Nothing stands in the target before `finish`: the rows wait in a folder for temporary files."""
        for sheet in self._book.worksheets():
            with contextlib.suppress(OSError):  # what is still in its buffer finds no place; it goes away in any case
                sheet.row_data_fh.close()
        self._book.fileclosed = True
        self._rows_folder.cleanup()


def is_exact(number: float) -> bool:
    """Whether a cell shows all digits of a number."""
    return -_EXACT < number < _EXACT


def cell_text(text: str, limit: int = CELL_CHARACTERS, ranges: int | None = None) -> str:
    """The text as a cell can hold it. A character beyond 16 bits counts twice, as a spreadsheet counts.

    >>> cell_text("a\\x00b"), cell_text("0-1, 3-4, 6-7, 9-9", 16, ranges=4)
    ('a\\\\x00b', '0-1 … (4 ranges)')
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    clean = _NO_XML.sub(lambda found: f"\\x{ord(found[0]):02x}", writable(text))
    if len(clean.encode("utf-16-le")) // 2 <= limit:
        return clean
    note = f" … ({ranges:,} ranges)" if ranges is not None else f" … ({len(text):,} characters)"
    room = limit - len(note)
    if ranges is not None:
        return clean[: clean.rfind(", ", 0, room + 2)] + note
    return clean.encode("utf-16-le")[: 2 * room].decode("utf-16-le", "ignore") + note
