"""The forms that a file of the archive may have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from app.archiving import csv, parquet
from app.domain.usage.records import UsageRecord
from app.settings import FileKind

__all__ = ["FILES", "FileForm", "read_file"]


class FileForm(NamedTuple):
    """How records become a file and come back."""

    write: Callable[[Path, Iterable[UsageRecord]], int]
    """Returns how many."""
    read: Callable[[Path], Iterator[UsageRecord]]
    written_by: str


FILES: dict[FileKind, FileForm] = {
    "csv": FileForm(csv.write_csv, csv.read_csv, csv.WRITTEN_BY),
    "parquet": FileForm(parquet.write_archive, parquet.read_archive, parquet.WRITTEN_BY),
}
"""By the ending of the file."""


def read_file(path: Path) -> Iterator[UsageRecord]:
    """Every record, in order. Raises OSError, and ValueError for a row that is no record."""
    return FILES["csv" if ".csv" in path.suffixes else "parquet"].read(path)
