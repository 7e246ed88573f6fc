"""Deliveries as a Parquet file, written in row groups, so that memory does not grow with the number of rows.

Numbers are 64-bit integers. A number beyond that is null in its column, and the column `big_numbers` then holds a JSON
object with all its digits, as in `{"covered_bytes": "36893488147419103232"}`; for every other row it is null.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from operator import itemgetter
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
_INT64 = range(-(1 << 63), 1 << 63)


def _kind(name: str) -> pa.DataType:
    if name in NUMBERS:
        return pa.int64()
    if name in TIMES:
        return pa.timestamp("us", tz="UTC")
    return pa.bool_() if name in BOOLEANS else pa.string()


_texts = itemgetter(*(at for at, name in enumerate(COLUMNS) if name not in {*NUMBERS, *TIMES, *BOOLEANS}))
SCHEMA = pa.schema([(name, _kind(name)) for name in COLUMNS] + [(_BIG, pa.string())])


class ParquetTable:
    """Row groups end after `group_rows` rows, or earlier where the texts are long."""

    def __init__(self, path: Path, group_rows: int = _GROUP_ROWS) -> None:
        self._writer = pq.ParquetWriter(str(path), SCHEMA, compression="zstd")
        self._group_rows = group_rows
        self._rows: list[list[Any]] = []
        self._characters = 0

    def write(self, delivery: Delivery) -> None:
        row = values(delivery)
        self._rows.append(row)
        self._characters += sum(map(len, filter(None, _texts(row))))
        if len(self._rows) >= self._group_rows or self._characters >= _GROUP_CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            big: dict[int, dict[str, str]] = {}
            arrays = [
                pa.array(_held(name, column, big), _kind(name))
                for name, column in zip(COLUMNS, zip(*self._rows, strict=True), strict=True)
            ]
            told = [json.dumps(big[at]) if at in big else None for at in range(len(self._rows))]
            self._writer.write_table(pa.Table.from_arrays([*arrays, pa.array(told, pa.string())], schema=SCHEMA))
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


def _held(name: str, column: Sequence[Any], big: dict[int, dict[str, str]]) -> Sequence[Any]:
    """What the column can hold of these values. Adds to `big`, by row, what it cannot."""
    if name in TIMES:
        return [count if (count := round(time * 1_000_000)) in _INT64 else None for time in column]
    if name in NUMBERS:
        numbers = [number for number in column if number is not None]
        if numbers and not (min(numbers) in _INT64 and max(numbers) in _INT64):
            for at, number in enumerate(column):
                if number is not None and number not in _INT64:
                    big.setdefault(at, {})[name] = str(number)
            return [None if number is None or number not in _INT64 else number for number in column]
    elif name not in BOOLEANS and not "".join(filter(None, column)).isascii():
        return [None if text is None else writable(text) for text in column]
    return column
