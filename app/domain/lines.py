"""From a chunk of a log to hits and rejects: the hot path of reading.

Lines end with a newline byte and nothing else; a carriage return before it belongs to the line end. Bytes that are no
UTF-8 are kept, written as `\\xNN`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from inspect import isfunction
from operator import itemgetter
from typing import Any, NamedTuple

from app.domain.cmcd import cmcd_of_query
from app.domain.extras import chosen_cmcd
from app.domain.formats.base import BadLine, LineParser, unread_by
from app.domain.records import Parsed
from app.domain.requests import KEEP, QueryRule, key_request

__all__ = [
    "CMCD_PARAMETER",
    "FUTURE_S",
    "KEPT_BYTES",
    "KEPT_LINE_CHARS",
    "BadAt",
    "ReadLines",
    "decode",
    "names_columns",
    "parse_bare",
    "read_lines",
    "read_too_long",
    "without_long_lines",
]

FUTURE_S = 86400.0
"""A line dated later than its arrival by more than this is rejected: one such line would close every window."""
KEPT_LINE_CHARS = 1024
"""How much of a rejected line is kept."""
KEPT_BYTES = 1024
"""Of a line that is too long no more is decoded."""
_BLOCK = 256
"""So many lines are read again one by one where one of them is no hit."""
_JUNK = "\x00\ufeff"
_time = itemgetter(0)
_REQUEST, _EXTRAS = Parsed._fields.index("request"), Parsed._fields.index("extras")
CMCD_PARAMETER = b"CMCD="


class BadAt(NamedTuple):
    """One rejected line."""

    reason: str
    detail: str
    line: str
    position: int


class ReadLines(NamedTuple):
    """What the lines of one chunk are. Lines = hits + rejects + heads."""

    hits: list[tuple[Any, ...]]
    """Tuples in the order of Parsed."""
    positions: list[int]
    """Where each hit stands."""
    rejects: list[BadAt]
    heads: int
    lowest: float
    highest: float
    disorder_s: float
    """Of the hits: see watermarks.Advance."""
    unread: dict[str, int] = {}
    """What was passed over in lines that are hits: a sentence and how many times."""
    logged_requests: dict[int, str] = {}
    """By the index of a hit: its request as logged, if parameters are left out of it."""

    @property
    def lines(self) -> int:
        return len(self.hits) + len(self.rejects) + self.heads


def decode(line: bytes) -> str:
    """The text of a line, bytes that are no UTF-8 escaped.

    >>> decode(b"caf\\xc3\\xa9 \\xff")
    'café \\\\xff'
    """
    return line.decode("utf-8", "backslashreplace")


def read_lines(
    data: bytes,
    parse: LineParser,
    arrived: float,
    position: int = 0,
    positions: Sequence[int] | None = None,
    header_row: bool = False,
    query: QueryRule = KEEP,
    fields: str = "",
) -> ReadLines:
    """Read whole lines with a format's parser.

    `position` is the byte offset of the data in its source, `positions` that of each line where they are not in a row.
    `header_row`: where the first of these lines is no hit, it is a head line. `arrived`: wall clock, UTC seconds.
    `fields`: the optional ones that are wanted; those of CMCD are read from requests here. Raises ValueError where `positions`
    are not one a line.
    """
    lines, starts = _split(data, position, positions)
    read = _Reading(parse, arrived + FUTURE_S, header_row)
    # A head line may change how the parser reads the lines behind it: none of the lines before the last one may be read twice.
    last_head = data.rfind(b"\n#")
    heads_end = int(data[:1] == b"#") if last_head < 0 else data.count(b"\n", 0, last_head) + 2
    for at in range(0, len(lines), _BLOCK):
        read_block = read.one_by_one if at < heads_end else read.block
        read_block(lines[at : at + _BLOCK], starts[at : at + _BLOCK])
        read.unread.update(unread_by(parse))
    facts = (read.heads, read.lowest, read.highest, read.disorder_s)
    if fields and CMCD_PARAMETER in data and (wanted := chosen_cmcd(fields)):
        _add_cmcd(read.hits, wanted)
    logged = {} if query.kind == "keep" else _keyed(read.hits, query)
    return ReadLines(read.hits, read.positions, read.rejects, *facts, dict(read.unread), logged)


def _add_cmcd(hits: list[tuple[Any, ...]], wanted: frozenset[str]) -> None:
    """Add to the optional fields what the requests say, in place."""
    for index, hit in enumerate(hits):
        request = hit[_REQUEST]
        if request is not None and "CMCD=" in request:
            found = {name: text for name, text in cmcd_of_query(request).items() if name in wanted}
            if found:
                hits[index] = (*hit[:_EXTRAS], {**found, **hit[_EXTRAS]}, *hit[_EXTRAS + 1 :])


def _keyed(hits: list[tuple[Any, ...]], query: QueryRule) -> dict[int, str]:
    """Leave parameters out of the requests, in place; gives the requests that change, as logged, by their index."""
    logged = {}
    for index, hit in enumerate(hits):
        request = hit[_REQUEST]
        if request is not None and "?" in request:
            key = key_request(request, query)
            if key != request:
                logged[index] = request
                hits[index] = (*hit[:_REQUEST], key, *hit[_REQUEST + 1 :])
    return logged


class _Reading:
    """What was read so far. Blocks in which every line is a hit, nearly all, are read without looking at each line."""

    def __init__(self, parse: LineParser, latest: float, header_row: bool) -> None:
        self._parse, self._latest, self._header_row = parse, latest, header_row
        self._call: LineParser = parse if isfunction(parse) else parse.__call__  # type: ignore[operator]  # mypy: no __call__
        """The same, without a look-up at each line."""
        self.hits: list[tuple[Any, ...]] = []
        self.positions: list[int] = []
        self.rejects: list[BadAt] = []
        self.unread: Counter[str] = Counter()
        self.heads = 0
        self.lowest, self.highest, self.disorder_s = math.inf, -math.inf, 0.0

    def block(self, lines: list[str], starts: Sequence[int]) -> None:
        try:
            hits = list(map(self._call, lines))
            if not all(hits):
                raise BadLine("bad_columns", "a head line")
            times = list(map(_time, hits))  # type: ignore[arg-type]
            highest, disorder_s = self.highest, self.disorder_s
            for time in times:
                if time >= highest:
                    highest = time
                elif highest - time > disorder_s:
                    disorder_s = highest - time
            if highest > self._latest:
                raise BadLine("bad_time", "in the future")
        except BadLine:
            unread_by(self._parse)  # these lines are read again
            self.one_by_one(lines, starts)
            return
        self.lowest, self.highest, self.disorder_s = min(self.lowest, *times), highest, disorder_s
        self.hits += hits  # type: ignore[arg-type]
        self.positions += starts
        self._header_row = False

    def one_by_one(self, lines: list[str], starts: Sequence[int]) -> None:
        for line, start in zip(lines, starts, strict=True):
            try:
                hit = parse_bare(self._parse, line)
                if hit is None:
                    self.heads += 1
                    continue
                if hit[0] > self._latest:
                    raise BadLine("bad_time", "dated more than a day ahead of its arrival")
            except BadLine as bad:
                if self._header_row and names_columns(bad):
                    self.heads += 1
                else:
                    self.rejects.append(BadAt(bad.reason, bad.detail, line[:KEPT_LINE_CHARS], start))
                self._header_row = False
                continue
            self._header_row = False
            self.disorder_s = max(self.disorder_s, self.highest - hit[0])
            self.lowest, self.highest = min(self.lowest, hit[0]), max(self.highest, hit[0])
            self.hits.append(hit)
            self.positions.append(start)


def parse_bare(parse: LineParser, line: str) -> tuple[Any, ...] | None:
    """Parse a line, perhaps behind a byte order mark or behind NULs that an unclean shutdown left. Raises BadLine."""
    try:
        return parse(line)
    except BadLine:
        bare = line.lstrip(_JUNK)
        if bare == line:
            raise
        return parse(bare)


def names_columns(bad: BadLine) -> bool:
    """Whether a first line that is no hit for this reason is a header: it has the right number of columns, whatever they say."""
    return bad.reason != "bad_columns"


def read_too_long(data: bytes, length: int, position: int) -> ReadLines:
    """One line of `length` bytes, more than a line may have, of which only the beginning is at hand."""
    bad = BadAt("too_long", f"a line of {length} bytes", decode(data)[:KEPT_LINE_CHARS], position)
    return ReadLines([], [], [bad], 0, math.inf, -math.inf, 0.0)


class LongLines(NamedTuple):
    """What is left without lines that are too long."""

    data: bytes
    positions: list[int]
    """Where each line that is left stands."""
    rejects: list[BadAt]
    first_is_long: bool


def without_long_lines(
    data: bytes, max_bytes: int, position: int = 0, positions: Sequence[int] | None = None
) -> LongLines | None:
    """The lines of at most `max_bytes`, and a reject for each longer one; None if there is no longer one.

    `position` and `positions` are those of read_lines.

    >>> found = without_long_lines(b"ab\\n" + b"x" * 9 + b"\\ncd\\n", 8)
    >>> found.data, found.positions, [(bad.reason, bad.detail, bad.position) for bad in found.rejects]
    (b'ab\\ncd\\n', [0, 13], [('too_long', 'a line of 9 bytes', 3)])
    """
    if not _has_longer(data, max_bytes):
        return None
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    starts = positions if positions is not None else _running(map(len, lines), position, len(lines))
    if len(starts) != len(lines):
        raise ValueError(f"{len(starts)} positions for {len(lines)} lines")
    kept = [(line, start) for line, start in zip(lines, starts, strict=True) if len(line) <= max_bytes]
    rejects = [
        bad
        for line, start in zip(lines, starts, strict=True)
        if len(line) > max_bytes
        for bad in read_too_long(line[:KEPT_BYTES], len(line), start).rejects
    ]
    return LongLines(
        b"".join(line + b"\n" for line, _ in kept),
        [start for _, start in kept],
        rejects,
        len(lines[0]) > max_bytes,
    )


def _has_longer(data: bytes, max_bytes: int) -> bool:
    at, end = 0, len(data)
    while end - at > max_bytes:
        cut = data.rfind(b"\n", at, at + max_bytes + 1)
        if cut < 0:
            return end - at > max_bytes
        at = cut + 1
    return False


def _split(data: bytes, position: int, positions: Sequence[int] | None) -> tuple[list[str], Sequence[int]]:
    lines: list[str]
    if data.isascii():
        lines = data.decode("ascii").split("\n")
        lengths: Iterable[int] = map(len, lines)
    else:
        raw = data.split(b"\n")
        lengths = map(len, raw)
        lines = [decode(line) for line in raw]
    if not lines[-1]:
        lines.pop()
    starts = positions if positions is not None else _running(lengths, position, len(lines))
    if len(starts) != len(lines):
        raise ValueError(f"{len(starts)} positions for {len(lines)} lines")
    if b"\r" in data:
        lines = [line.removesuffix("\r") for line in lines]
    return lines, starts


def _running(lengths: Iterable[int], position: int, count: int) -> list[int]:
    starts = []
    for length in lengths:
        starts.append(position)
        position += length + 1
    return starts[:count]
