"""What stands in a file of hits beside them, between its row groups, where readers of Parquet pass it over: deliveries and answers.

The metadata tell where, what it depends on, and of which rows. What does not fit in any of these is not taken: hits are read then.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple, Protocol

import msgspec
import pyarrow as pa

from app.errors import InputError
from app.reports.facts import Facts
from app.reports.reading import Index, Inputs, is_index, open_index

__all__ = ["Place", "Prepared", "PreparedAnswer", "Preparing", "answer_in", "parts_in", "written"]

Place = tuple[int, int, str]
"""Where a part begins in the file, its bytes, and their digest."""


class Prepared(NamedTuple):
    """What the metadata tell."""

    by: str
    """All that the parts depend on beside the hits."""
    rows: list[int]
    """Hits of each row group."""
    parts: list[Place]


class Preparing(Protocol):
    """Makes the answer to one question while a file of hits is written."""

    by: str
    columns: list[str]
    """The fields of a hit that it takes."""

    def take(self, table: pa.Table) -> None:
        """Some hits, in one piece."""

    def data(self) -> pa.Buffer | None:
        """The answer, after the last hit; None if it would take too much memory."""


class PreparedAnswer(NamedTuple):
    """As it was prepared."""

    data: pa.Buffer
    facts: Facts
    """Of the file."""


def written(data: pa.Buffer, sink: pa.NativeFile) -> Place:
    """Writes a part where the sink stands."""
    place = (sink.tell(), data.size, _digest(data))
    sink.write(data)
    return place


def _digest(data: pa.Buffer) -> str:
    return blake2b(memoryview(data), digest_size=16).hexdigest()


def parts_in(path: str, index: Index, told: object, by: str) -> list[tuple[int, pa.Buffer]] | None:
    """Parts with where they end; None if they depend on something else, or are not those of its rows, as they were written."""
    try:
        prepared = msgspec.convert(told, Prepared)
    except msgspec.ValidationError:
        return None
    about = index.file.metadata
    rows = [about.row_group(number).num_rows for number in range(about.num_row_groups)]
    if not by or prepared.by != by or prepared.rows != rows:
        return None
    mapped = pa.memory_map(path)
    size = mapped.size()
    if not all(0 <= begin <= begin + length <= size for begin, length, _ in prepared.parts):
        return None
    parts = []
    for begin, length, _ in prepared.parts:
        mapped.seek(begin)
        parts.append((begin + length, mapped.read_buffer(length)))  # no copy
    # the digests of all first: nothing of a file counts twice
    if any(_digest(data) != digest for (_, data), (_, _, digest) in zip(parts, prepared.parts, strict=True)):
        return None
    return parts


def answer_in(inputs: Inputs, name: str, by: str, columns: list[str]) -> PreparedAnswer | None:
    """The answer to the question `name` that the file of hits has; None if it has none of these hits, or is not the only input.

    `columns`: those that the question takes.
    """
    if not by or inputs.kept is not None or len(inputs.paths) != 1 or not is_index(inputs.paths[0]):
        return None
    (path,) = inputs.paths
    try:
        with open_index(path, columns) as index:
            told = index.answers.get(name) if isinstance(index.answers, dict) else None
            parts = parts_in(path, index, told, by)
    except InputError:
        return None  # whoever reads the hits tells it
    if not parts:
        return None
    ((end, data),) = parts[:1]
    inputs.on_progress(path, end, end)
    return PreparedAnswer(data, index.facts)
