"""Lines of the format weblog_tsv, a chunk at a time as columns.

A line is read here only where each of its columns has its plain form: seven of them, a time `2020-07-31 16:46:07`, a status
of three digits, a range `lo-hi` of digits, or none. Every other line goes through the format's own parser, which alone says
what a line means; and so do the minutes, seconds, statuses and requests here, one call for each that differs.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyarrow import csv

from app.columns.blocks import (
    DIGITS_OF_MAX_BYTE,
    ZERO,
    Block,
    Bytes,
    Floats,
    Ints,
    LineColumns,
    Texts,
    assembled,
    bytes_of,
    column_of,
    line_bounds,
    numbers_of,
    of_length,
    plain_line_ends,
    statuses_of,
    whole_lines,
)
from app.columns.parts import MAX_BYTE
from app.domain.formats.base import BadLine, FormatOptions
from app.domain.formats.times import ISO_MINUTES, ISO_SECONDS
from app.domain.formats.weblog_tsv import make_parser
from app.domain.lines import FUTURE_S

__all__ = ["read_block"]

_TIME_BYTES, _MINUTE_BYTES = 19, 16
_TAB, _DASH, _COLON = b"\t-:"
_NAMES = ["date", "time", "ip_address", "user_agent", "request", "status", "byte_range"]


def read_block(
    data: bytes,
    arrived: float,
    position: int = 0,
    header_row: bool = False,
    every_status: bool = False,
    options: FormatOptions = FormatOptions(),
) -> LineColumns | None:
    """Whole lines as columns, with the facts that read_lines gives; None where carriage returns stand inside lines.

    `position`, `arrived` and `header_row` are those of read_lines. Unless `every_status`, the columns hold 200 and 206 alone.
    """
    text = plain_line_ends(data)
    if text is None:
        return None
    block = Block(data, *line_bounds(data), position, arrived, header_row)
    split = _split(data, text, block.starts, block.ends)
    if split is None:
        return None
    table, at = split
    times = _times(column_of(table, "time"))
    codes = statuses_of(column_of(table, "status"))
    lo, hi = _ranges(column_of(table, "byte_range"))
    plain = (times <= arrived + FUTURE_S) & (codes >= 0) & (lo >= 0)
    return assembled(
        block,
        make_parser((), options),
        [Texts(column_of(table, name)) for name in ("ip_address", "user_agent", "request")],
        at,
        plain,
        times,
        codes,
        lo,
        hi,
        every_status=every_status,
        options=options._replace(bytes=""),
    )


def _split(data: bytes, text: bytes, starts: Ints, ends: Ints) -> tuple[pa.Table, Ints] | None:
    """The columns of the lines that have seven, and which lines these are. `text` is `data` with plain line ends."""
    table, at = _table(text), np.arange(len(starts))
    if table is None:  # some line has more or fewer
        tabs = np.flatnonzero(np.frombuffer(data, np.uint8) == _TAB)
        at = np.flatnonzero(np.searchsorted(tabs, ends) - np.searchsorted(tabs, starts) == len(_NAMES) - 1)
        table = _table(whole_lines(data, starts[at], ends[at]).replace(b"\r\n", b"\n"))
    return (table, at) if table is not None and table.num_rows == len(at) else None


def _table(text: bytes) -> pa.Table | None:
    """None where a line has not seven columns, or nothing is there."""
    try:
        return csv.read_csv(
            pa.BufferReader(text),
            csv.ReadOptions(use_threads=False, column_names=_NAMES, block_size=len(text) + 1),
            csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False),
            csv.ConvertOptions(
                check_utf8=False, column_types=dict.fromkeys(_NAMES, pa.binary()), include_columns=_NAMES[1:]
            ),
        )
    except pa.ArrowInvalid:
        return None


def _times(column: pa.BinaryArray) -> Floats:
    """UTC seconds; NaN for what is not in the plain form, or no time."""
    fits, rows = of_length(column, _TIME_BYTES)
    found = np.full(len(fits), np.nan)
    digits = rows[:, 17:] - np.uint8(ZERO)
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
    times: Floats = np.array(minutes)[np.cumsum(first) - 1]
    return times


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


def _ranges(column: pa.BinaryArray) -> tuple[Ints, Ints]:
    """First and last byte; 0 and -1 for no range, -1 and -1 for what is not in the plain form or goes backwards."""
    values, bounds = bytes_of(column)
    values = values[bounds[0] : bounds[-1]]
    bounds = bounds - bounds[0]
    lengths = np.diff(bounds)
    lo, hi = np.where(lengths == 0, 0, -1), np.full(len(lengths), -1, np.int64)
    is_dash = values == _DASH
    dashes = np.flatnonzero(is_dash)
    if len(dashes) == len(lengths) and ((bounds[:-1] <= dashes) & (dashes < bounds[1:])).all():  # nearly always
        rows, dash = np.arange(len(lengths)), dashes
        before, behind = dash - bounds[:-1], bounds[1:] - dash - 1
    else:
        before_each = np.searchsorted(dashes, bounds)
        rows = np.flatnonzero(np.diff(before_each) == 1)
        dash = dashes[before_each[rows]]
        before, behind = dash - bounds[rows], bounds[rows + 1] - dash - 1
    lo[rows[lengths[rows] == 1]] = 0
    fits = (before > 0) & (behind > 0) & (before <= DIGITS_OF_MAX_BYTE) & (behind <= DIGITS_OF_MAX_BYTE)
    odd = np.flatnonzero((values - np.uint8(ZERO) > 9) & ~is_dash)
    if len(odd):
        fits &= np.diff(np.searchsorted(odd, bounds))[rows] == 0
    if not fits.all():
        rows, before, behind = rows[fits], before[fits], behind[fits]
    is_digit = ~is_dash
    if len(rows) < len(lengths):
        is_range = np.zeros(len(lengths), np.bool_)
        is_range[rows] = True
        is_digit &= np.repeat(is_range, lengths)
    numbers = numbers_of(values[is_digit], np.column_stack((before, behind)).ravel())
    first, last = numbers[::2], numbers[1::2]
    right = (first <= last) & (last < MAX_BYTE)
    lo[rows], hi[rows] = np.where(right, first, -1), np.where(right, last, -1)
    return lo, hi
