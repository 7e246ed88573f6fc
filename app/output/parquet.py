"""Deliveries as a Parquet file, written in row groups, so that memory does not grow with the number of rows.

Numbers are 64-bit integers. A number beyond that is null in its column, and the column `big_numbers` then holds a JSON
object with all its digits, as in `{"covered_bytes": "36893488147419103232"}`; for every other row it is null.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.domain.records import Delivery
from app.output.columns import BOOLEANS, COLUMNS, NUMBERS, TIMES, values
from app.words import writable

__all__ = ["ParquetTable"]

_GROUP_ROWS = 20_000
_GROUP_CHARACTERS = 32 << 20
_BIG = "big_numbers"
_INT64 = (-(1 << 63), (1 << 63) - 1)
_NUMBER_COLUMNS = [COLUMNS.index(name) for name in NUMBERS]
_TIME_COLUMNS = [COLUMNS.index(name) for name in TIMES]


def _kind(name: str) -> pa.DataType:
    if name in NUMBERS:
        return pa.int64()
    if name in TIMES:
        return pa.timestamp("us", tz="UTC")
    return pa.bool_() if name in BOOLEANS else pa.string()


SCHEMA = pa.schema([(name, _kind(name)) for name in COLUMNS] + [(_BIG, pa.string())])


class ParquetTable:
    """Row groups end after `group_rows` rows, or earlier where the texts are long."""

    def __init__(self, path: Path, group_rows: int = _GROUP_ROWS) -> None:
        self._writer = pq.ParquetWriter(str(path), SCHEMA, compression="zstd")
        self._group_rows = group_rows
        self._rows: list[list[Any]] = []
        self._characters = 0

    def write(self, delivery: Delivery) -> None:
        row = _row(delivery)
        self._rows.append(row)
        self._characters += sum([len(value) for value in row if isinstance(value, str)])
        if len(self._rows) >= self._group_rows or self._characters >= _GROUP_CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            columns = [
                pa.array(column, field.type)
                for column, field in zip(zip(*self._rows, strict=True), SCHEMA, strict=True)
            ]
            self._writer.write_table(pa.Table.from_arrays(columns, schema=SCHEMA))
        self._rows.clear()
        self._characters = 0

    def finish(self) -> None:
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        try:
            self._writer.close()
        except OSError:  # its footer finds no place either; the file goes away in any case
            return


def _row(delivery: Delivery) -> list[Any]:
    row = values(delivery)
    big = {}
    for column in _NUMBER_COLUMNS:
        number = row[column]
        if number is not None and not _INT64[0] <= number <= _INT64[1]:
            big[COLUMNS[column]] = str(number)
            row[column] = None
    for column in _TIME_COLUMNS:
        row[column] = _microseconds(row[column])
    row = [writable(value) if isinstance(value, str) else value for value in row]
    row.append(json.dumps(big) if big else None)
    return row


def _microseconds(time: float) -> int | None:
    count = round(time * 1_000_000)
    return count if _INT64[0] <= count <= _INT64[1] else None
