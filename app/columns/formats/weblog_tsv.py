"""Lines of the format weblog_tsv, a chunk at a time as columns.

A line is read here only where each of its columns has its plain form: seven of them, a time `2020-07-31 16:46:07`, a status
of three digits, a range `lo-hi` of digits, or none. Every other line goes through the format's own parser, which alone says
what a line means; and so do the minutes, seconds, statuses and requests here, one call for each that differs.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from app.columns.blocks import (
    DIGITS_OF_MAX_BYTE,
    ZERO,
    Block,
    Bytes,
    Floats,
    Ints,
    LineColumns,
    assembled,
    bytes_of,
    have_plain_ends,
    line_bounds,
    numbers_at,
    of_length,
    statuses_of,
)
from app.columns.parts import MAX_BYTE
from app.columns.texts import Texts
from app.domain.formats.base import BadLine, FormatOptions
from app.domain.formats.times import ISO_MINUTES, ISO_SECONDS
from app.domain.formats.weblog_tsv import make_parser
from app.domain.lines import FUTURE_S

__all__ = ["read_block"]

_TIME_BYTES, _MINUTE_BYTES = 19, 16
_TAB, _DASH, _COLON, _RETURN = b"\t-:\r"
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
    if not have_plain_ends(data):
        return None
    block = Block(data, *line_bounds(data), position, arrived, header_row)
    split = _split(data, block.starts, block.ends)
    if split is None:
        return None
    columns, at = split
    times = _times(columns["time"])
    codes = statuses_of(columns["status"])
    lo, hi = _ranges(columns["byte_range"])
    plain = (times <= arrived + FUTURE_S) & (codes >= 0) & (lo >= 0)
    return assembled(
        block,
        make_parser((), options),
        [Texts(columns[name]) for name in ("ip_address", "user_agent", "request")],
        at,
        plain,
        times,
        codes,
        lo,
        hi,
        every_status=every_status,
        options=options._replace(bytes=""),
    )


def _split(data: bytes, starts: Ints, ends: Ints) -> tuple[dict[str, pa.BinaryArray], Ints] | None:
    """The columns of the lines that have seven, and which lines these are; None if there are none."""
    if b"\r" in data:  # before a newline, and no part of the last column
        ends = ends - (np.frombuffer(data, np.uint8)[ends - 1] == _RETURN)
    tabs, at, inside = np.flatnonzero(np.frombuffer(data, np.uint8) == _TAB), np.arange(len(starts)), len(_NAMES) - 1
    tabs_of = tabs.reshape(-1, inside) if len(tabs) == inside * len(starts) else None
    if (
        tabs_of is None or (tabs_of[:, 0] < starts).any() or (tabs_of[:, -1] >= ends).any()
    ):  # some line has more or fewer
        first = np.searchsorted(tabs, starts)
        at = np.flatnonzero(np.searchsorted(tabs, ends) - first == inside)
        tabs_of, starts, ends = tabs[first[at, None] + np.arange(inside)], starts[at], ends[at]
    if not len(at):
        return None
    # every second of these pieces is a column, the others stand between two
    bounds = np.empty((len(at), 2 * len(_NAMES)), np.int32)
    bounds[:, 0], bounds[:, -1] = starts, ends
    bounds[:, 1:-1:2], bounds[:, 2::2] = tabs_of, tabs_of + 1
    pieces = pa.BinaryArray.from_buffers(
        pa.binary(), bounds.size - 1, [None, pa.py_buffer(bounds.ravel()), pa.py_buffer(data)]
    )
    firsts = np.arange(len(at)) * bounds.shape[1]
    return {name: pieces.take(pa.array(firsts + 2 * place)) for place, name in enumerate(_NAMES) if place}, at


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
        rows, dash, before, behind = rows[fits], dash[fits], before[fits], behind[fits]
    ends, digits = np.column_stack((dash, bounds[rows + 1])), np.column_stack((before, behind))
    numbers = numbers_at(values, ends.ravel(), digits.ravel())
    first, last = numbers[::2], numbers[1::2]
    right = (first <= last) & (last < MAX_BYTE)
    lo[rows], hi[rows] = np.where(right, first, -1), np.where(right, last, -1)
    return lo, hi
