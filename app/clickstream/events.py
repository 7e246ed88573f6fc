"""The events of a clickstream, read from CSV or Parquet as columns, some at a time; bad rows are rejects.

A row is userId, time, action, objectId. In CSV a head line may name the columns, in any order and with others beside them. The day of
an event is the one that its time is written with: a zone behind it changes nothing.
"""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from app.domain.lines import KEPT_LINE_CHARS, BadAt, decode, read_too_long
from app.errors import InputError
from app.sources.files.chunks import Chunk, chunks
from app.sources.files.inputs import STDIN, open_input, reading_error

__all__ = ["Account", "Events", "columns_named", "csv_fields", "events_of", "is_parquet", "parquet_batches"]

_COLUMNS = ("userid", "time", "action", "objectid")
_CHUNK_BYTES, _MAX_LINE_BYTES = 4 << 20, 64 << 10
_BATCH_ROWS = 1 << 16
_TIME = r"^\d{4}-\d\d-\d\d([T ]([01]\d|2[0-3]):[0-5]\d(:([0-5]\d|60)([.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$"
_MAGIC = b"PAR1"
_BOM = "\ufeff"


class Events(NamedTuple):
    """Some events, a row each; all columns have the same length."""

    users: pa.StringArray
    days: pa.Date32Array
    actions: pa.StringArray
    objects: pa.StringArray
    """Empty where the event has none."""


@dataclass
class Account:
    """What became of the rows: rows = events + rejects."""

    events: int = 0
    heads: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    """A sentence for each input that could not be read, or not to its end."""
    on_reject: Callable[[str, BadAt], object] = lambda place, bad: None
    """Takes a place as people read it, and a row that is no event."""
    on_progress: Callable[[str, int, int | None], object] = lambda path, done, size: None
    """Takes a file, the bytes read of it, and its bytes where they are known."""


class _Rows(NamedTuple):
    columns: list[pa.StringArray]
    """In the order of _COLUMNS."""
    place_of: Callable[[int], tuple[int, str]]
    """From the index of a row to its position and its text."""
    rejects: Sequence[BadAt] = ()


def events_of(paths: Sequence[str], account: Account) -> Iterator[Events]:
    """All events of some files, in their order; `account` is complete after the last one.

    An input that cannot be read (to its end) is noted there; what was good before counts, and the others are read.
    """
    for path in paths:
        try:
            if is_parquet(path):
                yield from _checked_all(_parquet_rows(path), path, "row", account)
            else:
                yield from _checked_all(_csv_rows(path, account), path, "byte", account)
        except InputError as error:
            account.errors.append(str(error))


def is_parquet(path: str) -> bool:
    """Whether a file begins as Parquet does. Raises InputError if it cannot be read."""
    if path == STDIN or not Path(path).is_file():
        return False
    try:
        with Path(path).open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError as error:
        raise reading_error(path, error) from None


def parquet_batches(path: str, wanted: Sequence[str]) -> Iterator[list[pa.Array]]:
    """Columns by name, some rows at a time. Raises InputError if one is missing or the file is damaged."""
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            chosen = columns_named(names, wanted)
            if chosen is None:
                raise InputError(f"{path} has the columns {', '.join(names)}; it needs {', '.join(wanted)}")
            for batch in file.iter_batches(_BATCH_ROWS, columns=[names[at] for at in chosen]):
                yield [batch.column(names[at]) for at in chosen]
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from None


def columns_named(names: Sequence[str], wanted: Sequence[str]) -> list[int] | None:
    """Where the wanted columns stand, whatever their case and underscores; None if not every one is there.

    >>> columns_named(["Time", "user_id"], ("userid", "time"))
    [1, 0]
    """
    found = [name.strip().lstrip(_BOM).lower().replace("_", "") for name in names]
    return [found.index(name) for name in wanted] if set(wanted) <= set(found) else None


def csv_fields(line: str) -> list[str] | None:
    """The fields of one line of CSV; None if its quotes are not in pairs.

    >>> csv_fields('1,"a, b"'), csv_fields('1,"a')
    (['1', 'a, b'], None)
    """
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error:
        return None


def _checked_all(some_rows: Iterator[_Rows], path: str, unit: str, account: Account) -> Iterator[Events]:
    name = "stdin" if path == STDIN else path
    for rows in some_rows:
        events, rejects = _checked(rows)
        for bad in sorted((*rows.rejects, *rejects), key=lambda bad: bad.position):
            account.rejects[bad.reason] += 1
            account.on_reject(f"{name}, {unit} {bad.position}", bad)
        account.events += len(events.users)
        yield events


def _checked(rows: _Rows) -> tuple[Events, list[BadAt]]:
    users, times, actions, objects = rows.columns
    times = pc.utf8_trim_whitespace(times)
    has_user = pc.not_equal(pc.utf8_trim_whitespace(users), "")
    written = pc.utf8_slice_codeunits(times, 0, 10).dictionary_encode()
    # few days, many events: each day is looked at once
    days = pa.array(map(_day, written.dictionary.to_pylist()), pa.date32()).take(written.indices)
    has_time = pc.and_(pc.match_substring_regex(times, _TIME), pc.is_valid(days))
    good = pc.and_(has_user, has_time)
    rejects = []
    for at in np.flatnonzero(~good.to_numpy(zero_copy_only=False)).tolist():
        position, text = rows.place_of(at)
        if not has_user[at].as_py():
            rejects.append(BadAt("no_user", "the user is empty", text, position))
        else:
            rejects.append(BadAt("bad_time", f"{times[at].as_py()[:60]!r} is no time", text, position))
    events = Events(users, days, actions, objects)
    return (Events(*(column.filter(good) for column in events)) if rejects else events), rejects


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _csv_rows(path: str, account: Account) -> Iterator[_Rows]:
    order, width = list(range(len(_COLUMNS))), len(_COLUMNS)
    with open_input(path) as stream:
        for chunk in chunks(stream, _CHUNK_BYTES, _MAX_LINE_BYTES):
            data, position = chunk.data, chunk.position
            if position == 0 and not chunk.too_long:
                if data.startswith(codecs.BOM_UTF8):
                    data, position = data[len(codecs.BOM_UTF8) :], len(codecs.BOM_UTF8)
                first, _, rest = data.partition(b"\n")
                names = csv_fields(decode(first.rstrip(b"\r"))) or []
                named = columns_named(names, _COLUMNS)
                if named is not None:
                    order, width, account.heads = named, len(names), account.heads + 1
                    data, position = rest, position + len(first) + 1
            yield _rows_of(chunk._replace(data=data, position=position), order, width)
            account.on_progress(path, stream.consumed_bytes, stream.size_bytes)


def _rows_of(chunk: Chunk, order: list[int], width: int) -> _Rows:
    if chunk.too_long:
        return _Rows(
            _no_columns(), lambda at: (0, ""), read_too_long(chunk.data, chunk.too_long, chunk.position).rejects
        )
    data = chunk.data
    lines = _Lines(data, chunk.position)
    # a quote that is never closed, or a line end that only one reader sees, would swallow or make rows
    if b'"' in data or data.count(b"\r") != data.count(b"\r\n"):
        return _by_line(lines, order, width)
    bad: list[tuple[int, int]] = []

    def skip(row: Any) -> str:
        bad.append((row.number - 1, row.actual_columns))
        return "skip"

    try:
        data.decode()
    except UnicodeDecodeError:
        data = decode(data).encode()
    names = [str(at) for at in range(width)]
    table = pyarrow.csv.read_csv(
        pa.BufferReader(data),
        pyarrow.csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
        pyarrow.csv.ParseOptions(quote_char=False, ignore_empty_lines=False, invalid_row_handler=skip),
        pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    ) if data else pa.table([pa.array([], pa.string()) for _ in names], names)  # fmt: skip
    rejects = [_bad_columns(lines, at, f"{found} columns instead of {width}") for at, found in bad]

    def place_of(at: int) -> tuple[int, str]:
        return lines[at if not bad else int(lines.without(bad_line for bad_line, _ in bad)[at])]

    return _Rows([table.column(at).combine_chunks() for at in order], place_of, rejects)


def _by_line(lines: _Lines, order: list[int], width: int) -> _Rows:
    rows: list[list[str]] = []
    places: list[int] = []
    rejects = []
    for at in range(len(lines)):
        fields = csv_fields(lines.text(at))
        if fields is None or len(fields) != width:
            said = "quotes are not in pairs" if fields is None else f"{len(fields)} columns instead of {width}"
            rejects.append(_bad_columns(lines, at, said))
        else:
            rows.append(fields)
            places.append(at)
    columns = [pa.array([row[at] for row in rows], pa.string()) for at in order]
    return _Rows(columns, lambda at: lines[places[at]], rejects)


def _bad_columns(lines: _Lines, at: int, said: str) -> BadAt:
    position, text = lines[at]
    return BadAt("bad_columns", said, text, position)


class _Lines:
    """The lines of a chunk: place and text of each, cut only if somebody asks."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._position = data, position
        self._lines: list[bytes] | None = None
        self._starts: list[int] = []
        self._without: Any = None

    def _cut(self) -> list[bytes]:
        if self._lines is None:
            self._lines = list(BytesIO(self._data))
            at = self._position
            for line in self._lines:
                self._starts.append(at)
                at += len(line)
        return self._lines

    def __len__(self) -> int:
        return len(self._cut())

    def __getitem__(self, at: int) -> tuple[int, str]:
        text = self.text(at)
        return self._starts[at], text[:KEPT_LINE_CHARS]

    def text(self, at: int) -> str:
        return decode(self._cut()[at].rstrip(b"\r\n"))

    def without(self, some: Iterator[int]) -> Any:
        """The numbers of the other lines."""
        if self._without is None:
            self._without = np.delete(np.arange(len(self)), list(some))
        return self._without


def _no_columns() -> list[pa.StringArray]:
    return [pa.array([], pa.string()) for _ in _COLUMNS]


def _parquet_rows(path: str) -> Iterator[_Rows]:
    row = 0
    for batch in parquet_batches(path, _COLUMNS):
        columns = [_text(column, path) for column in batch]

        def place_of(at: int, columns: list[pa.StringArray] = columns, first: int = row) -> tuple[int, str]:
            return first + at, ",".join(column[at].as_py() for column in columns)[:KEPT_LINE_CHARS]

        yield _Rows(columns, place_of)
        row += len(columns[0])


def _text(column: pa.Array, path: str) -> pa.StringArray:
    """A column as texts, nothing as the empty one; times as they are read in their own zone."""
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        column = pc.local_timestamp(column)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.date32())
    try:
        return pc.fill_null(column.cast(pa.string()), "")
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise InputError(f"{path} has a column of type {column.type}, which is no text: {error}") from None
