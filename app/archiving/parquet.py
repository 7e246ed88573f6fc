"""Records as a Parquet file, and back, exactly. The same records make the same bytes, with the same version of pyarrow.

Columns are those of the record, times as seconds. A record that a column cannot hold as it is (a lone surrogate, an integer beyond 64 bits)
stands in the column `exact`, too, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
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
    group: list[UsageRecord] = []
    with pq.ParquetWriter(str(path), _SCHEMA, compression="zstd", store_schema=False) as writer:
        for record in records:
            group.append(record)
            count += 1
            if len(group) == _GROUP_ROWS:
                _write(writer, group)
        _write(writer, group)
    return count


def _write(writer: Any, group: list[UsageRecord]) -> None:
    if group:
        columns = list(zip(*group, strict=True))
        held = [_held(field, column) for field, column in zip(USAGE.fields, columns, strict=True)]
        exact: list[str | None] = [None] * len(group)
        for its, column in zip(held, columns, strict=True):
            if its is not column:
                for at, (value, as_is) in enumerate(zip(its, column, strict=True)):
                    if value != as_is:
                        exact[at] = json.dumps(group[at])
        arrays = [pa.array(column, field.type) for column, field in zip([*held, exact], _SCHEMA, strict=True)]
        writer.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA))
        group.clear()


def _held(field: Field, column: Sequence[Any]) -> Sequence[Any]:
    """What the column can hold of these values: the same sequence where that is all of them as they are."""
    if field.kind is Kind.TEXT and not "".join(filter(None, column)).isascii():
        return [value if value is None else writable(value) for value in column]
    if field.kind is Kind.INTEGER:
        found = [value for value in column if value is not None]
        if found and not (min(found) in _INT64 and max(found) in _INT64):
            return [None if value is None or value not in _INT64 else value for value in column]
    return column


def read_archive(path: Path) -> Iterator[UsageRecord]:
    """Every record, in order. Raises OSError, pyarrow's ArrowException (a ValueError), and ValueError for a row that is no record."""
    with pq.ParquetFile(str(path)) as file:
        for batch in file.iter_batches(_GROUP_ROWS):
            for *row, exact in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield record_of(row if exact is None else json.loads(exact))
