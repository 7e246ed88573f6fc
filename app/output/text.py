r"""Deliveries as text files: .tsv, .csv and .jsonl, UTF-8.

A text that a spreadsheet would compute, because it begins with `=`, `+`, `-`, `@`, a tab or a line end, also behind spaces or `'`, gets one `'`
before it; `as_read` takes it away. `WEBLOGS_OUTPUT_FORMULAS=1` writes such texts as they are. Numbers have all their digits.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import msgspec

from app.domain.records import Delivery, key_hash, key_text
from app.output.columns import BOOLEANS, COLUMNS, TIMES, iso_time, values
from app.settings import settings

__all__ = ["CsvTable", "JsonLines", "TsvTable", "as_read", "harmless", "tsv_cell"]

_TIME_COLUMNS = [COLUMNS.index(name) for name in TIMES]
_BOOLEAN_COLUMNS = [COLUMNS.index(name) for name in BOOLEANS]
_KEY_COLUMNS = 3
"""The first columns hold texts from the log; all others are made here and need no escapes."""
_UNSAFE = re.compile(r"[\\\t\n\r]")
_TSV_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


_COMPUTED = re.compile(r"['\s\ufeff]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def harmless(text: str) -> str:
    """For a cell of .csv or .tsv: no spreadsheet computes it.

    >>> harmless("=1+1"), harmless("curl/8"), harmless("'=1+1")
    ("'=1+1", 'curl/8', "''=1+1")
    """
    return f"'{text}" if _COMPUTED.match(text) else text


def as_read(cell: str) -> str:
    """The text of which `harmless` made a cell.

    >>> as_read("'=1+1"), as_read("''=1+1"), as_read("'tis")
    ('=1+1', "'=1+1", "'tis")
    """
    return cell[1:] if cell.startswith("'") and _COMPUTED.match(cell) else cell


def tsv_cell(text: str) -> str:
    r"""For a cell of .tsv: tab, line ends and backslash as `\t`, `\n`, `\r`, `\\`."""
    return text.translate(_TSV_ESCAPES) if _UNSAFE.search(text) else text


def _texts(delivery: Delivery) -> list[Any]:
    row = values(delivery)
    for column in _TIME_COLUMNS:
        row[column] = iso_time(row[column])
    for column in _BOOLEAN_COLUMNS:
        row[column] = "true" if row[column] else "false"
    return ["" if value is None else value for value in row]


class _TextFile:
    def __init__(self, path: Path) -> None:
        self._as_they_are = settings().output_formulas
        self._file = path.open("w", encoding="utf-8", errors="backslashreplace", newline="", buffering=1 << 18)

    def _row(self, delivery: Delivery) -> list[Any]:
        row = _texts(delivery)
        if not self._as_they_are:
            row[:_KEY_COLUMNS] = [harmless(text) for text in row[:_KEY_COLUMNS]]
        return row

    def finish(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        try:
            self._file.close()
        except OSError:  # what is still in the buffer finds no place either; the file goes away in any case
            return


class TsvTable(_TextFile):
    r"""Tab-separated, one head line; inside a field tab, line ends and backslash stand as `\t`, `\n`, `\r`, `\\`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file.write("\t".join(COLUMNS) + "\n")

    def write(self, delivery: Delivery) -> None:
        row = list(map(str, self._row(delivery)))
        row[:_KEY_COLUMNS] = [tsv_cell(text) for text in row[:_KEY_COLUMNS]]
        self._file.write("\t".join(row) + "\n")


class CsvTable(_TextFile):
    """Comma-separated by RFC 4180 with quotes around every text, one head line, lines end with CR LF."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._rows = csv.writer(self._file, quoting=csv.QUOTE_NONNUMERIC)
        self._rows.writerow(COLUMNS)

    def write(self, delivery: Delivery) -> None:
        self._rows.writerow(self._row(delivery))


_FIELDS = (*Delivery._fields, "key_hash")
_Row = msgspec.defstruct("_Row", _FIELDS, gc=False)
_BUFFER_BYTES = 1 << 18


class JsonLines:
    """One JSON object a line with every field of a delivery and its `key_hash`; times are UTC seconds since 1970."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self._encode_into = msgspec.json.Encoder().encode_into
        self._encode_slowly = json.JSONEncoder(check_circular=False).encode
        self._buffer = bytearray()

    def write(self, delivery: Delivery) -> None:
        row = (*delivery, key_hash(key_text(delivery.ip_address, delivery.user_agent, delivery.request)))
        buffer = self._buffer
        end = len(buffer)
        try:
            self._encode_into(_Row(*row), buffer, -1)
        except UnicodeEncodeError:  # a lone surrogate, from an escape in a JSON log: written as an escape again
            del buffer[end:]
            buffer += self._encode_slowly(dict(zip(_FIELDS, row, strict=True))).encode()
        buffer += b"\n"
        if len(buffer) >= _BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Raw files may take a part at a time."""
        rest = memoryview(self._buffer)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._buffer = bytearray()

    def finish(self) -> None:
        self._flush()
        self._file.close()

    def abandon(self) -> None:
        self._file.close()
