"""The titles of articles: rows of id and title, CSV or Parquet. Only those that are asked for are kept."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from typing import cast

from app.clickstream.events import columns_named, is_parquet, parquet_batches
from app.errors import InputError
from app.sources.files.inputs import InputStream, open_input

__all__ = ["titles_of"]

_COLUMNS = ("id", "title")


def titles_of(path: str, wanted: Collection[str]) -> dict[str, str]:
    """Article -> title, the first one where there are several. Raises InputError if the file cannot be read.

    A head line may name the columns. A title may have line ends within quotes.
    """
    found: dict[str, str] = {}
    for article, title in _parquet(path) if is_parquet(path) else _csv(path):
        if article in wanted:
            found.setdefault(article, title)
    return found


def _parquet(path: str) -> Iterator[tuple[str, str]]:
    for ids, titles in parquet_batches(path, _COLUMNS):
        for article, title in zip(ids.to_pylist(), titles.to_pylist(), strict=True):
            yield str(article), "" if title is None else str(title)


class _Raw(io.RawIOBase):
    def __init__(self, stream: InputStream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = cast(memoryview, buffer)
        data = self._stream.read(len(view))
        view[: len(data)] = data
        return len(data)


def _csv(path: str) -> Iterator[tuple[str, str]]:
    with open_input(path) as stream:
        text = io.TextIOWrapper(
            io.BufferedReader(_Raw(stream), 1 << 16), encoding="utf-8-sig", errors="backslashreplace", newline=""
        )
        rows = csv.reader(text, strict=True)
        order = [0, 1]
        try:
            for row in rows:
                if rows.line_num == 1 and (named := columns_named(row, _COLUMNS)) is not None:
                    order = named
                elif row:
                    yield row[order[0]], row[order[1]]
        except IndexError:
            raise InputError(f"{path}, line {rows.line_num}: a row needs id and title") from None
        except csv.Error as error:
            raise InputError(f"{path}, line {rows.line_num}: {error}; put quotes around titles with quotes") from None
