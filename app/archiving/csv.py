"""Records as a CSV file, and back, exactly. The same records make the same bytes.

A line of names, then a line a record: UTF-8, comma, quotes where they are needed, LF. Null is empty, times are seconds. A record that its cells
cannot tell (an empty text beside null, a lone surrogate) stands in the last column, `exact`, too, as JSON.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

from app.domain.fields import Field, Kind
from app.domain.usage.records import USAGE, UsageRecord, record_of
from app.words import writable

__all__ = ["WRITTEN_BY", "read_csv", "size_as_csv", "write_csv"]

WRITTEN_BY = "csv 1"
_HEAD = [*(field.name for field in USAGE.fields), "exact"]
_LONGEST_CELL = 64 << 20


def _value(field: Field, cell: str) -> Any:
    if not cell and field.optional:
        return None
    if field.kind is Kind.TEXT:
        return cell
    if field.kind is Kind.BOOLEAN:
        return {"true": True, "false": False}.get(cell, cell)
    return float(cell) if field.kind is Kind.TIME else int(cell)


_OPTIONAL = tuple(field.optional for field in USAGE.fields)


def _row(record: UsageRecord) -> list[str]:
    cells, is_exact = [], True
    for value, optional in zip(record, _OPTIONAL, strict=True):
        if value is None:
            cell = ""
        elif value.__class__ is str:
            cell = writable(value)
            is_exact = is_exact and (cell == value and not (optional and not cell))
        else:
            cell = ("true" if value else "false") if value.__class__ is bool else repr(value)
        cells.append(cell)
    return [*cells, "" if is_exact else json.dumps(record)]


class _Lines:
    def __init__(self, file: TextIO) -> None:
        self._usual = csv.writer(file, lineterminator="\n")
        self._quoted = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def write(self, cells: list[str]) -> None:
        """The library puts no quotes around a CR, and would read it as an end of line."""
        (self._quoted if "\r" in "".join(cells) else self._usual).writerow(cells)


def size_as_csv(records: Iterable[UsageRecord]) -> int:
    """Bytes of their lines."""
    text = StringIO(newline="")
    lines = _Lines(text)
    for record in records:
        lines.write(_row(record))
    return len(text.getvalue().encode())


def write_csv(path: Path, records: Iterable[UsageRecord]) -> int:
    """Returns how many. Raises OSError."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = _Lines(file)
        lines.write(_HEAD)
        for record in records:
            lines.write(_row(record))
            count += 1
    return count


def read_csv(path: Path) -> Iterator[UsageRecord]:
    """Every record, in order. Raises OSError, and ValueError for a row that is no record."""
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding="utf-8", newline="") as file:
        try:
            rows = csv.reader(file, strict=True)
            if next(rows, None) != _HEAD:
                raise ValueError("the first line does not name the fields of a record")
            for *cells, exact in rows:
                yield record_of(
                    json.loads(exact)
                    if exact
                    else [_value(field, cell) for field, cell in zip(USAGE.fields, cells, strict=True)]
                )
        except csv.Error as error:
            raise ValueError(str(error)) from error
