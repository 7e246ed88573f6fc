"""Lines of the formats combined and combined_range, a chunk at a time as columns.

A line is read here only where it is written as servers write it: single spaces, no quote and no backslash but the quotes around
its columns, nothing behind the last of them, address, ident and user of plain characters, a Content-Range that names first and
last byte, or none.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import csv

from app.columns.blocks import (
    ZERO,
    Block,
    Bytes,
    Extras,
    Floats,
    Ints,
    LineColumns,
    assembled,
    bytes_of,
    coded_texts,
    column_of,
    line_bounds,
    of_length,
    plain_line_ends,
    statuses_of,
    whole_lines,
)
from app.columns.values import content_ranges, counts
from app.domain.extras import chosen_extras, extras_reader
from app.domain.formats.base import BYTES_KINDS, BadLine, FormatOptions
from app.domain.formats.combined import COMBINED, DASH_FOR_BYTES
from app.domain.formats.times import CLF_MINUTES, CLF_SECONDS
from app.domain.lines import FUTURE_S

__all__ = ["read_block"]

_QUOTE, _SPACE, _COLON, _OPEN, _CLOSE, _BACKSLASH = b'" :[]\\'
_NAMES = [
    "ip_address",
    "ident",
    "user",
    "time",
    "zone",
    "request",
    "status",
    "sent",
    "referer",
    "user_agent",
    "content_range",
]
_QUOTED = ("request", "referer", "user_agent", "content_range")
_TIME_BYTES, _ZONE_BYTES, _MINUTE_BYTES = 21, 6, 17
_WORD = rb"[!#-Z^-~]+"
_ZONE = re.compile(r"[+-][0-9]{4}")
_LINE = rb'%s %s %s \[[^\s"\\\]\[]{20} [+-][0-9]{4}\] "[^"\\\r]*" [0-9]{3} (?:[0-9]{1,14}|-) "[^"\\\r]*" "[^"\\\r]*"'


class _Shape(NamedTuple):
    names: list[str]
    quoted: tuple[str, ...]
    plain: re.Pattern[bytes]


def _shape(more: int) -> _Shape:
    line = _LINE % (_WORD, _WORD, _WORD) + rb' "[^"\\\r]*"' * more
    return _Shape(_NAMES[: 10 + more], _QUOTED[: 3 + more], re.compile(line))


_SHAPES = (_shape(0), _shape(1))
"""Without a column behind the agent, and with one that is quoted."""


def read_block(
    form: str,
    data: bytes,
    arrived: float,
    position: int = 0,
    every_status: bool = False,
    options: FormatOptions = FormatOptions(),
) -> LineColumns | None:
    """Whole lines as columns, with the facts that read_lines gives; None where no line is plain, or carriage returns stand inside lines.

    `form` is any name of the family: each chunk is read in the shape that most of its lines have. `position` and `arrived` are
    those of read_lines, `options` those of the parser. Unless `every_status`, the columns hold 200 and 206 alone.
    """
    text = plain_line_ends(data)
    if text is None:
        return None
    block = Block(data, *line_bounds(data), position, arrived, False)
    shape, likely = _likely(block)
    split = _split(shape, likely, block, text)
    if split is None:
        return None
    table, at = split
    times, zones_s = _times(column_of(table, "time"), column_of(table, "zone"))
    codes = statuses_of(column_of(table, "status"))
    sent, is_read = counts(column_of(table, "sent"))
    dashes = sent < 0
    if "content_range" in shape.names:
        lo, hi, total, is_range = content_ranges(column_of(table, "content_range"))
        # `-` beside an announced range is how no byte at all is written
        sent = np.where((sent < 0) & (hi >= 0), 0, sent)
        is_read &= is_range
    else:
        lo, hi, total = np.zeros(len(at), np.int64), np.full(len(at), -1, np.int64), np.full(len(at), -1, np.int64)
    plain = is_read & (times <= arrived + FUTURE_S) & (codes >= 0)
    parse = COMBINED.make_parser((), options)
    return assembled(
        block,
        parse,
        [coded_texts(column_of(table, name)) for name in ("ip_address", "user_agent", "request")],
        at,
        plain,
        times,
        codes,
        lo,
        hi,
        sent,
        total,
        every_status,
        options,
        {} if BYTES_KINDS[options.bytes] else {DASH_FOR_BYTES: dashes},
        _extras(table, options.fields),
        zones_s,
    )


def _extras(table: pa.Table, fields: str) -> Extras | None:
    if "referer" not in chosen_extras(fields):
        return None
    of = extras_reader(fields)
    referers = coded_texts(column_of(table, "referer"))
    return Extras(referers.codes, [of(referer=text) for text in referers.texts])


# -- lines to columns


def _split(shape: _Shape, at: Ints, block: Block, text: bytes) -> tuple[pa.Table, Ints] | None:
    """The columns of the plain ones of the lines `at`, and which lines these are; None where there is none."""
    whole = len(at) == len(block.starts)
    some = text if whole else plain_line_ends(whole_lines(block.data, block.starts[at], block.ends[at]))
    assert some is not None, "all line ends of the block are plain"
    bounds = (block.starts, block.ends) if some is block.data else line_bounds(some)
    table = _table(shape, some)
    if table is None or table.num_rows != len(at) or not _is_plain(shape, table, some, *bounds):
        # each by itself, which takes many times as long
        lines = some.split(b"\n")
        plain = [place for place in range(len(at)) if shape.plain.fullmatch(lines[place])]
        at = at[plain]
        table = _table(shape, b"".join([lines[place] + b"\n" for place in plain]))
    return (table, at) if table is not None and table.num_rows == len(at) else None


def _likely(block: Block) -> tuple[_Shape, Ints]:
    """The shape of most lines, and the lines with its number of quotes and no backslash: nearly always the plain ones."""
    values = np.frombuffer(block.data, np.uint8)
    bounds = np.append(block.starts, len(values))
    quotes = np.diff(np.searchsorted(np.flatnonzero(values == _QUOTE), bounds))
    fitting = [quotes == 2 * len(shape.quoted) for shape in _SHAPES]
    is_second = int(np.count_nonzero(fitting[1]) > np.count_nonzero(fitting[0]))
    shape, is_likely = _SHAPES[is_second], fitting[is_second]
    if b"\\" in block.data:
        escapes = np.searchsorted(np.flatnonzero(values == _BACKSLASH), bounds)
        is_likely &= np.diff(escapes) == 0
    return shape, np.flatnonzero(is_likely)


def _table(shape: _Shape, text: bytes) -> pa.Table | None:
    """None where a line has more or fewer columns, or nothing is there."""
    try:
        return csv.read_csv(
            pa.BufferReader(text),
            csv.ReadOptions(use_threads=False, column_names=shape.names, block_size=len(text) + 1),
            csv.ParseOptions(delimiter=" ", quote_char='"', double_quote=False, ignore_empty_lines=False),
            csv.ConvertOptions(check_utf8=False, column_types=dict.fromkeys(shape.names, pa.binary())),
        )
    except pa.ArrowInvalid:
        return None


def _is_plain(shape: _Shape, table: pa.Table, text: bytes, starts: Ints, ends: Ints) -> bool:
    """Whether all lines are plain: written again from their columns they would be the same, and no quote stands elsewhere."""
    values = np.frombuffer(text, np.uint8)
    if np.count_nonzero(values == _QUOTE) != 2 * len(shape.quoted) * len(starts):
        return False
    at = starts.copy()
    for number, name in enumerate(shape.names):
        lengths = np.diff(bytes_of(column_of(table, name))[1])
        if number:
            if (at >= ends).any() or (values[at] != _SPACE).any():
                return False
            at += 1
        if name in shape.quoted:
            behind = at + 1 + lengths
            if (behind >= ends).any() or (values[at] != _QUOTE).any() or (values[behind] != _QUOTE).any():
                return False
            at = behind + 1
        else:
            at = at + lengths
    if (at != ends).any():
        return False
    return all(
        map(_is_word, [column_of(table, name) for name in ("ip_address", "ident", "user")])
    ) and _has_plain_times(table)


def _is_word(column: pa.BinaryArray) -> bool:
    """Whether all values have characters, and plain ones alone."""
    values, bounds = bytes_of(column)
    values = values[bounds[0] : bounds[-1]]
    return bool((np.diff(bounds) > 0).all() and _WORD_BYTES[values].all())


_WORD_BYTES = np.array([re.fullmatch(_WORD, bytes([value])) is not None for value in range(256)])


def _has_plain_times(table: pa.Table) -> bool:
    """Whether all stand in brackets, in the right lengths."""
    fits, times = of_length(column_of(table, "time"), _TIME_BYTES)
    fit_too, zones = of_length(column_of(table, "zone"), _ZONE_BYTES)
    return bool(fits.all() and fit_too.all() and (times[:, 0] == _OPEN).all() and (zones[:, -1] == _CLOSE).all())


# -- columns to values


def _times(column: pa.BinaryArray, zones: pa.BinaryArray) -> tuple[Floats, Ints]:
    """UTC seconds and the seconds east of UTC; NaN for what is not `[31/Jul/2020:16:46:07` and `+0530]`, or no time."""
    _, rows = of_length(column, _TIME_BYTES)
    _, zone_rows = of_length(zones, _ZONE_BYTES)
    digits = rows[:, 19:] - np.uint8(ZERO)
    second = digits[:, 0].astype(np.intp) * 10 + digits[:, 1]
    second[(rows[:, 18] != _COLON) | (digits[:, 0] > 9) | (digits[:, 1] > 9)] = 100
    texts, zone = _distinct(zone_rows[:, :-1])
    seconds = np.array([[_second(f":{number:02} {text}") for number in range(100)] + [np.nan] for text in texts])
    zones_s: Ints = np.array([_east_s(text) for text in texts], np.int64)[zone]
    texts, minute = _distinct(rows[:, 1 : 1 + _MINUTE_BYTES])
    times: Floats = np.array([_minute(text) for text in texts])[minute] + seconds[zone, second]
    return times, zones_s


def _distinct(rows: Bytes) -> tuple[list[str], Ints]:
    """The texts that differ, and which of them each row is; equal ones mostly stand together."""
    first = np.ones(len(rows), np.bool_)
    first[1:] = (rows[1:] != rows[:-1]).any(axis=1)
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
