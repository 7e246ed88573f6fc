"""Lines of the format weblog_tsv, a chunk at a time as columns.

A line is read here only where each of its columns has its plain form: seven of them, a time `2020-07-31 16:46:07`, a status
of three digits, a range `lo-hi` of digits, or none. Every other line goes through the format's own parser, which alone says
what a line means; and so do the minutes, seconds, statuses and requests here, one call for each that differs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from app.domain.formats.base import BadLine
from app.domain.formats.times import ISO_MINUTES, ISO_SECONDS
from app.domain.formats.values import STATUSES
from app.domain.formats.weblog_tsv import parse
from app.domain.lines import FUTURE_S, ReadLines, read_lines
from app.kernels.grouping import MAX_BYTE

__all__ = ["Columns", "read_block"]

_TIME_BYTES, _MINUTE_BYTES, _STATUS_BYTES = 19, 16, 3
_DIGITS_OF_MAX_BYTE = 14
_TAB, _ZERO, _DASH, _COLON = b"\t0-:"
_NAMES = ["date", "time", "ip_address", "user_agent", "request", "status", "byte_range"]

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Columns(NamedTuple):
    """A chunk of lines. The arrays hold, line by line, the hits that were read here: all, or those with status 200 or 206."""

    times: Floats
    positions: NDArray[np.uint64]
    lo: Ints
    hi: Ints
    """lo 0 and hi -1 where the line names no range."""
    statuses: Ints
    counts: Bools
    """Which lines of the next three these are."""
    ip_address: pa.ChunkedArray
    user_agent: pa.ChunkedArray
    request: pa.ChunkedArray
    """As it stands in the line, with ` HTTP/…`."""
    other: ReadLines
    """The lines that the parser read."""
    hits: int
    """Of all lines, and so are the next three."""
    lowest: float
    highest: float
    disorder_s: float

    @property
    def lines(self) -> int:
        return self.hits + len(self.other.rejects) + self.other.heads


def read_block(data: bytes, arrived: float, position: int = 0, header_row: bool = False, every_status: bool = False) -> Columns | None:
    """Whole lines as columns, with the facts that read_lines gives; None where carriage returns stand inside lines.

    `position`, `arrived` and `header_row` are those of read_lines. Unless `every_status`, the columns hold 200 and 206 alone.
    """
    text = _plain_line_ends(data)
    if text is None:
        return None
    starts, ends = _bounds(data)
    split = _split(data, text, starts, ends)
    if split is None:
        return None
    table, at = split
    times = _times(_column(table, "time"))
    codes = _statuses(_column(table, "status"))
    lo, hi = _ranges(_column(table, "byte_range"))
    plain = (times <= arrived + FUTURE_S) & (codes >= 0) & (lo >= 0)
    other = _read_others(data, starts, ends, at[plain], arrived, position, header_row)
    positions = starts + np.int64(position)
    lowest, highest, disorder_s = _span(positions[at[plain]], times[plain], other)
    counts = plain if every_status else plain & ((codes == 206) | (codes == 200))
    return Columns(
        times[counts],
        positions[at[counts]].astype(np.uint64),
        lo[counts],
        hi[counts],
        codes[counts],
        counts,
        table.column("ip_address"),
        table.column("user_agent"),
        table.column("request"),
        other,
        int(plain.sum()) + len(other.hits),
        lowest,
        highest,
        disorder_s,
    )


def _plain_line_ends(data: bytes) -> bytes | None:
    """With newlines only; None where a carriage return stands elsewhere."""
    if b"\r" not in data:
        return data
    return data.replace(b"\r\n", b"\n") if data.count(b"\r\n") == data.count(b"\r") else None


def _bounds(data: bytes) -> tuple[Ints, Ints]:
    """Where each line begins and ends, its newline not counted."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    return np.concatenate(([0], ends[:-1] + 1)), ends


def _split(data: bytes, text: bytes, starts: Ints, ends: Ints) -> tuple[pa.Table, Ints] | None:
    """The columns of the lines that have seven, and which lines these are. `text` is `data` with plain line ends."""
    table, at = _table(text), np.arange(len(starts))
    if table is None:  # some line has more or fewer
        tabs = np.flatnonzero(np.frombuffer(data, np.uint8) == _TAB)
        at = np.flatnonzero(np.searchsorted(tabs, ends) - np.searchsorted(tabs, starts) == len(_NAMES) - 1)
        table = _table(_lines(data, starts[at], ends[at]).replace(b"\r\n", b"\n"))
    return (table, at) if table is not None and table.num_rows == len(at) else None


def _table(text: bytes) -> pa.Table | None:
    """None where a line has not seven columns, or nothing is there."""
    try:
        return csv.read_csv(
            pa.BufferReader(text),
            csv.ReadOptions(use_threads=False, column_names=_NAMES, block_size=len(text) + 1),
            csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False),
            csv.ConvertOptions(check_utf8=False, column_types=dict.fromkeys(_NAMES, pa.binary()), include_columns=_NAMES[1:]),
        )
    except pa.ArrowInvalid:
        return None


def _lines(data: bytes, starts: Ints, ends: Ints) -> bytes:
    """Some lines, each with a newline."""
    return b"".join([data[start:end] + b"\n" for start, end in zip(starts.tolist(), ends.tolist(), strict=True)])


def _column(table: pa.Table, name: str) -> pa.BinaryArray:
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _raw(column: pa.BinaryArray) -> tuple[Bytes, Ints]:
    """The bytes of all values, and where in them each value begins, with the end of the last."""
    _, offsets, values = column.buffers()
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    return np.frombuffer(values, np.uint8) if values is not None and values.size else np.empty(0, np.uint8), bounds


def _of_length(column: pa.BinaryArray, length: int) -> tuple[Bools, Bytes]:
    """Which values have so many bytes, and these values as rows of bytes."""
    values, bounds = _raw(column)
    fits = np.diff(bounds) == length
    if fits.all():
        return fits, values[bounds[0] : bounds[-1]].reshape(-1, length)
    return fits, values[bounds[:-1][fits, None] + np.arange(length)]


def _times(column: pa.BinaryArray) -> Floats:
    """UTC seconds; NaN for what is not in the plain form, or no time."""
    fits, rows = _of_length(column, _TIME_BYTES)
    found = np.full(len(fits), np.nan)
    digits = rows[:, 17:] - np.uint8(_ZERO)
    seconds = _SECONDS[digits[:, 0].astype(np.intp) * 10 + digits[:, 1]]
    seconds[(rows[:, 16] != _COLON) | (digits[:, 0] > 9) | (digits[:, 1] > 9)] = np.nan
    found[fits] = _minutes(rows) + seconds
    return found


def _minutes(rows: Bytes) -> Floats:
    """Of rows that begin with `2020-07-31 16:46`; lines of one minute mostly stand together."""
    if not len(rows):
        return np.empty(0)
    texts = np.ascontiguousarray(rows[:, :_MINUTE_BYTES])
    words = texts.view(np.uint64)
    first = np.ones(len(words), np.bool_)
    first[1:] = (words[1:, 0] != words[:-1, 0]) | (words[1:, 1] != words[:-1, 1])
    minutes = [_minute(text) for text in texts[first].view(f"S{_MINUTE_BYTES}").ravel().tolist()]
    return np.array(minutes)[np.cumsum(first) - 1]


def _minute(text: bytes) -> float:
    try:
        return ISO_MINUTES[text.decode("latin-1")]
    except BadLine:
        return np.nan


def _second(number: int) -> float:
    try:
        return ISO_SECONDS[f":{number:02}"]
    except BadLine:
        return np.nan


_SECONDS = np.array([_second(number) for number in range(100)] + [np.nan] * (255 * 11))
"""By what two bytes less `0` come to as digits; what lies beyond is no digits."""


def _statuses(column: pa.BinaryArray) -> Ints:
    """-1 for what is not in the plain form, or no status."""
    fits, rows = _of_length(column, _STATUS_BYTES)
    found = np.full(len(fits), -1, np.int64)
    hundreds, tens, ones = (rows - np.uint8(_ZERO)).astype(np.intp).T
    codes = _STATUSES[np.minimum(hundreds * 100 + tens * 10 + ones, 999)]
    codes[(hundreds > 9) | (tens > 9) | (ones > 9)] = -1
    found[fits] = codes
    return found


def _status(number: int) -> int:
    try:
        return STATUSES[f"{number:03}"]
    except BadLine:
        return -1


_STATUSES = np.array([_status(number) for number in range(1000)])


def _ranges(column: pa.BinaryArray) -> tuple[Ints, Ints]:
    """First and last byte; 0 and -1 for no range, -1 and -1 for what is not in the plain form or goes backwards."""
    values, bounds = _raw(column)
    values = values[bounds[0] : bounds[-1]]
    bounds = bounds - bounds[0]
    count = len(bounds) - 1
    lo, hi = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
    dashes = np.flatnonzero(values == _DASH)
    in_order = len(dashes) == count and bool(((dashes >= bounds[:-1]) & (dashes < bounds[1:])).all())
    if not in_order or ((values - np.uint8(_ZERO) > 9) & (values != _DASH)).any():
        return _odd_ranges(column, lo, hi)
    before, behind = dashes - bounds[:-1], bounds[1:] - dashes - 1
    fits = (before > 0) & (behind > 0) & (before <= _DIGITS_OF_MAX_BYTE) & (behind <= _DIGITS_OF_MAX_BYTE)
    if not fits.all():
        return _odd_ranges(column, lo, hi)
    digits = values[values != _DASH]
    numbers = _numbers(digits, np.column_stack((before, behind)).ravel())
    lo, hi = numbers[::2], numbers[1::2]
    wrong = (hi < lo) | (hi >= MAX_BYTE)
    if wrong.any():
        lo, hi = np.where(wrong, -1, lo), np.where(wrong, -1, hi)
    return lo, hi


def _numbers(digits: Bytes, lengths: Ints) -> Ints:
    """Numbers of so many digits each that stand one behind the other."""
    bounds = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=bounds[1:])
    texts = pa.StringArray.from_buffers(len(lengths), pa.py_buffer(bounds), pa.py_buffer(digits))
    return texts.cast(pa.int64()).to_numpy()


def _odd_ranges(column: pa.BinaryArray, lo: Ints, hi: Ints) -> tuple[Ints, Ints]:
    """Where some ranges are not in the plain form: the others are read by themselves."""
    texts = column.to_pylist()
    none = [at for at, text in enumerate(texts) if text in (b"-", b"")]
    lo[none] = 0
    plain = [at for at, text in enumerate(texts) if _is_plain(text)]
    if plain:
        lo[plain], hi[plain] = _ranges(pa.array([texts[at] for at in plain], pa.binary()))
    return lo, hi


def _is_plain(text: bytes) -> bool:
    first, _, last = text.partition(b"-")
    # of bytes, isdigit knows ASCII alone
    return first.isdigit() and last.isdigit() and len(first) <= _DIGITS_OF_MAX_BYTE and len(last) <= _DIGITS_OF_MAX_BYTE


def _read_others(data: bytes, starts: Ints, ends: Ints, plain: Ints, arrived: float, position: int, header_row: bool) -> ReadLines:
    """All lines but the plain ones, through the parser."""
    left = np.ones(len(starts), np.bool_)
    left[plain] = False
    numbers = np.flatnonzero(left)
    lines = _lines(data, starts[numbers], ends[numbers])
    return read_lines(lines, parse, arrived, 0, (starts[numbers] + position).tolist(), header_row and bool(left[0]))


def _span(positions: Ints, times: Floats, other: ReadLines) -> tuple[float, float, float]:
    """Lowest and highest time and disorder of all hits, as read_lines tells them."""
    if other.hits:
        positions = np.concatenate((positions, np.array(other.positions, np.int64)))
        times = np.concatenate((times, np.array([hit[0] for hit in other.hits])))[np.argsort(positions)]
    if not len(times):
        return other.lowest, other.highest, other.disorder_s
    running = np.maximum.accumulate(times)
    return float(times.min()), float(running[-1]), float((running - times).max())
