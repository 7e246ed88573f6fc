"""Lines of the formats combined and combined_range, a chunk at a time as columns.

A line is read here only where it is written as servers write it: single spaces, no quote without a backslash but the quotes around
its columns, nothing behind the last of them, address, ident and user of plain characters, a Content-Range that names first and
last byte, or none.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.columns.blocks import (
    STATUS_BYTES,
    ZERO,
    Block,
    Bools,
    Bytes,
    Extras,
    Floats,
    Ints,
    LineColumns,
    assembled,
    have_plain_ends,
    line_bounds,
    rows_at,
    status_codes,
)
from app.columns.formats.spans import free_quotes, values_between
from app.columns.texts import Texts
from app.columns.values import content_ranges, counts
from app.domain.extras import chosen_extras, extras_reader
from app.domain.formats.base import BYTES_KINDS, BadLine, FormatOptions
from app.domain.formats.combined import COMBINED, DASH_FOR_BYTES
from app.domain.formats.times import CLF_MINUTES, CLF_SECONDS
from app.domain.lines import FUTURE_S

__all__ = ["read_block"]

_SPACE, _COLON, _OPEN, _CLOSE, _RETURN = b" :[]\r"
_TIME_BYTES, _ZONE_BYTES, _MINUTE_BYTES = 21, 6, 17
_MINUTES = 60
_DATE_BYTES = _TIME_BYTES + 1 + _ZONE_BYTES
_NOBODY = b" - -"
"""Neither ident nor user."""
_WORD = r"[!#-Z^-~]+"
_NAMED = rf"\A(?P<host>{_WORD}) {_WORD} {_WORD}\z"
_ZONE = re.compile(r"[+-][0-9]{4}")
_QUOTED = (3, 4)
"""Columns in quotes: request, referer, agent, and perhaps one behind it."""


def read_block(
    form: str,
    data: bytes,
    arrived: float,
    position: int = 0,
    every_status: bool = False,
    options: FormatOptions = FormatOptions(),
    with_flags: bool = True,
) -> LineColumns | None:
    """Whole lines as columns, with the facts that read_lines gives; None where no line is plain, or carriage returns stand inside lines.

    `form` is any name of the family: each chunk is read in the shape that most of its lines have. `position` and `arrived` are
    those of read_lines, `options` those of the parser. Unless `every_status`, the columns hold 200 and 206 alone.
    """
    if not have_plain_ends(data):
        return None
    block = Block(data, *line_bounds(data), position, arrived, False)
    places = _places(block)
    if not len(places.lines):
        return None
    begin, end, dates = places.quotes[1] + 2, places.quotes[2] - 1, places.dates
    times, zones_s = _times(rows_at(data, dates, _DATE_BYTES))
    codes = status_codes(rows_at(data, begin, STATUS_BYTES))
    sent, is_read = counts(values_between(data, begin + STATUS_BYTES + 1, end))
    dashes = sent < 0
    if len(places.quotes) > 2 * _QUOTED[0]:
        lo, hi, total, is_range = content_ranges(places.quoted(3))
        # `-` beside an announced range is how no byte at all is written
        sent = np.where((sent < 0) & (hi >= 0), 0, sent)
        is_read &= is_range
        if "range:0" in options.doubted.split():
            is_read &= hi < 0
    else:
        lo, none = np.zeros(len(times), np.int64), np.full(len(times), -1, np.int64)
        hi = total = none
    client, is_named = _clients(places, dates - 1)
    return assembled(
        block,
        COMBINED.make_parser((), options),
        [client, Texts(places.quoted(2)), Texts(places.quoted(0))],
        places.lines,
        is_read & is_named & (times <= arrived + FUTURE_S) & (codes >= 0),
        times,
        codes,
        lo,
        hi,
        sent,
        total,
        every_status,
        options,
        {} if BYTES_KINDS[options.bytes] else {DASH_FOR_BYTES: dashes},
        _extras(places, options.fields),
        zones_s,
        with_flags=with_flags,
    )


def _extras(places: _Places, fields: str) -> Extras | None:
    if "referer" not in chosen_extras(fields):
        return None
    of = extras_reader(fields)
    referers = Texts(places.quoted(1))
    return Extras(referers.codes, [of(referer=text) for text in referers.texts])


# -- lines to columns


class _Places(NamedTuple):
    """The lines whose blanks, brackets and quotes stand as in plain ones."""

    data: bytes
    lines: Ints
    """Their numbers in the block."""
    starts: Ints
    quotes: Ints
    """Two rows for each quoted column: where it is opened in each of these lines, and where it is closed."""

    def of(self, lines: Bools) -> _Places:
        """Some of them."""
        if lines.all():
            return self
        return _Places(self.data, self.lines[lines], self.starts[lines], self.quotes[:, lines])

    @property
    def dates(self) -> Ints:
        """Where the time begins, with its bracket."""
        return self.quotes[0] - 1 - _DATE_BYTES

    def quoted(self, column: int) -> pa.BinaryArray:
        return values_between(self.data, self.quotes[2 * column] + 1, self.quotes[2 * column + 1])


def _places(block: Block) -> _Places:
    """Of the lines with the commoner number of quoted columns."""
    values, ends = np.frombuffer(block.data, np.uint8), block.ends
    if b"\r" in block.data:
        ends = ends - ((ends > block.starts) & (values[ends - 1] == _RETURN))
    quotes = free_quotes(block.data, values)
    bounds = np.searchsorted(quotes, np.append(block.starts, len(values)))
    numbers = np.diff(bounds)
    some = [np.flatnonzero(numbers == 2 * columns) for columns in _QUOTED]
    columns, lines = max(zip(_QUOTED, some, strict=True), key=lambda one: len(one[1]))
    at = np.stack([quotes[bounds[lines] + number] for number in range(2 * columns)])
    found = _Places(block.data, lines, block.starts[lines], at)
    fits = (found.dates - 1 > found.starts) & (at[-1] + 1 == ends[lines]) & (at[2] - at[1] > STATUS_BYTES + 4)
    found = found.of(fits)
    at, dates = found.quotes, found.dates
    fits = (values[dates] == _OPEN) & (values[at[0] - 2] == _CLOSE)
    for blanks in (dates - 1, dates + _TIME_BYTES, at[0] - 1, at[1] + 1, at[1] + STATUS_BYTES + 2, at[2] - 1):
        fits &= values[blanks] == _SPACE
    for column in range(4, 2 * columns - 1, 2):
        fits &= (at[column] - at[column - 1] == 2) & (values[at[column] - 1] == _SPACE)
    return found.of(fits)


def _clients(places: _Places, ends: Ints) -> tuple[Texts, Bools]:
    """And which lines have one, in front of an ident and a user of plain characters. `ends`: behind the user."""
    values = np.frombuffer(places.data, np.uint8)
    is_nobody = ends - places.starts > len(_NOBODY)
    for number, one in enumerate(_NOBODY):
        is_nobody &= values[ends - len(_NOBODY) + number] == one
    if is_nobody.all():
        return Texts(values_between(places.data, places.starts, ends - len(_NOBODY))), is_nobody
    hosts = pc.struct_field(pc.extract_regex(values_between(places.data, places.starts, ends), _NAMED), "host")
    return Texts(hosts.fill_null(b"")), hosts.is_valid().to_numpy(zero_copy_only=False)


# -- columns to values


def _times(rows: Bytes) -> tuple[Floats, Ints]:
    """UTC seconds and the seconds east of UTC; NaN for what is not `[31/Jul/2020:16:46:07 +0530]`, or no time."""
    second = _two_digits(rows, _TIME_BYTES - 2)
    texts, zone = _distinct(rows[:, _TIME_BYTES + 1 : _DATE_BYTES - 1])
    seconds = np.array([[_second(f":{number:02} {text}") for number in range(100)] + [np.nan] for text in texts])
    zones_s: Ints = np.array([_east_s(text) for text in texts], np.int64)[zone]
    return _minutes(rows) + seconds[zone, second], zones_s


def _two_digits(rows: Bytes, at: int) -> Ints:
    """The number behind a colon; 100 for none."""
    digits = rows[:, at : at + 2] - np.uint8(ZERO)
    found: Ints = digits[:, 0].astype(np.intp) * 10 + digits[:, 1]
    found[(rows[:, at - 1] != _COLON) | (digits[:, 0] > 9) | (digits[:, 1] > 9)] = 100
    return found


def _minutes(rows: Bytes) -> Floats:
    """UTC seconds of the minutes."""
    minute = _two_digits(rows, _MINUTE_BYTES - 1)
    if bool((minute < _MINUTES).all()):  # an hour's first minute is looked up, not each
        texts, hour = _distinct(rows[:, 1 : _MINUTE_BYTES - 2])
        of_hours: Floats = np.array([_minute(f"{text}:00") for text in texts])[hour]
        return of_hours + 60.0 * minute
    texts, which = _distinct(rows[:, 1 : 1 + _MINUTE_BYTES])
    found: Floats = np.array([_minute(text) for text in texts])[which]
    return found


def _distinct(rows: Bytes) -> tuple[list[str], Ints]:
    """The texts that differ, and which of them each row is; equal ones mostly stand together."""
    words = np.zeros((len(rows), -(-rows.shape[1] // 8)), np.uint64)
    words.view(np.uint8)[:, : rows.shape[1]] = rows
    first = np.ones(len(rows), np.bool_)
    first[1:] = False
    for column in words.T:
        first[1:] |= column[1:] != column[:-1]
    return [bytes(row).decode("latin-1") for row in rows[first]], np.cumsum(first) - 1


def _east_s(text: str) -> int:
    """Of `+0530`; 0 for what is no offset, beside a time that is none."""
    if not _ZONE.fullmatch(text):
        return 0
    return (int(text[1:3]) * 3600 + int(text[3:]) * 60) * (-1 if text[0] == "-" else 1)


def _minute(text: str) -> float:
    try:
        return CLF_MINUTES[text]
    except BadLine:
        return np.nan


def _second(text: str) -> float:
    try:
        return CLF_SECONDS[text]
    except BadLine:
        return np.nan
