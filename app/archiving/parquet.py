"""Records as a Parquet file, and back, exactly. The same records make the same bytes, with the same version of pyarrow.

Columns are those of the record, times as seconds. A record that a column cannot hold as it is (a lone surrogate, an integer beyond 64 bits)
stands in the column `exact`, too, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.domain.fields import Field, Kind
from app.domain.usage.records import USAGE, UsageRecord, record_of
from app.words import writable

__all__ = ["TYPES", "WRITTEN_BY", "read_archive", "write_archive"]

WRITTEN_BY = f"pyarrow {pa.__version__}"
_GROUP_ROWS = 20_000
_INT64 = range(-(1 << 63), 1 << 63)
TYPES = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.SMALL: pa.int32(),
    Kind.TIME: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
}
_SCHEMA = pa.schema([(field.name, TYPES[field.kind]) for field in USAGE.fields] + [("exact", pa.string())])


def write_archive(path: Path, records: Iterable[UsageRecord]) -> int:
    """Returns how many. Raises OSError. Memory holds one group of rows."""
    count = 0
    group: list[list[Any]] = []
    with pq.ParquetWriter(str(path), _SCHEMA, compression="zstd", store_schema=False) as writer:
        for record in records:
            group.append(_row(record))
            count += 1
            if len(group) == _GROUP_ROWS:
                _write(writer, group)
        _write(writer, group)
    return count


def _write(writer: Any, group: list[list[Any]]) -> None:
    if group:
        columns = [
            pa.array(column, field.type) for column, field in zip(zip(*group, strict=True), _SCHEMA, strict=True)
        ]
        writer.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA))
        group.clear()


def _row(record: UsageRecord) -> list[Any]:
    row = [_held(field, value) for field, value in zip(USAGE.fields, record, strict=True)]
    return [*row, None if row == list(record) else json.dumps(record)]


def _held(field: Field, value: Any) -> Any:
    if isinstance(value, str):
        return writable(value)
    return None if field.kind is Kind.INTEGER and value is not None and value not in _INT64 else value


def read_archive(path: Path) -> Iterator[UsageRecord]:
    """Every record, in order. Raises OSError, pyarrow's ArrowException (a ValueError), and ValueError for a row that is no record."""
    with pq.ParquetFile(str(path)) as file:
        for batch in file.iter_batches(_GROUP_ROWS):
            for *row, exact in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield record_of(row if exact is None else json.loads(exact))
