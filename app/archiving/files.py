"""The forms that a file of the archive may have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from app.archiving import csv, parquet
from app.domain.usage.records import UsageRecord
from app.errors import UnreadableFile
from app.messages.forms import UNREADABLE
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
    """Every record, in order. Raises OSError, and UnreadableFile that names the file for a row that is no record."""
    try:
        yield from FILES["csv" if ".csv" in path.suffixes else "parquet"].read(path)
    except (*UNREADABLE, pa.ArrowException) as error:
        raise UnreadableFile(f"{path} cannot be read: {error!s:.200}") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise UnreadableFile(
            f"{path} cannot be read: {error!s:.200}"
        ) from error  # so Parquet says that bytes are damaged
