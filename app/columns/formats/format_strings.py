"""Lines of a format string, a chunk at a time as columns.

A line is read here where its values are found (`spans`) and their texts have a plain form, or where few texts differ: then what makes a
hit of a line is asked once for each. Every other line goes through the parser of the format string.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from app.columns.blocks import Block, Bools, Extras, Floats, Ints, LineColumns, assembled, line_bounds, statuses_of
from app.columns.formats.spans import SpanPlaces, found_in
from app.columns.parts import MAX_BYTE
from app.columns.texts import Texts, coded, combined, numbered
from app.columns.values import content_ranges, counts
from app.domain.extras import chosen_extras
from app.domain.formats.base import BadLine, FormatOptions
from app.domain.formats.clients import clients
from app.domain.formats.format_strings import CLOCKS, OPTIONAL, LineSpans, Role, compiled, date_reader, hit_maker
from app.domain.formats.values import REQUESTS
from app.domain.lines import FUTURE_S
from app.domain.proof import is_page_instead
from app.domain.records import HitFlag, Parsed

__all__ = ["read_block"]

_HTTP2, _ENCODED = int(HitFlag.HTTP2), int(HitFlag.ENCODED)
_PLACELESS = int(HitFlag.PLACELESS)
_FILM = "GET /film.mp4"
_TOO_LARGE = -2
_HEAD_CHARS = {"clf": 17, "iso": 16}
T = TypeVar("T")
V = TypeVar("V")
_NO_TEXTS: list[str | None] = [None] * len(Role)


def read_block(
    form: str,
    data: bytes,
    arrived: float,
    position: int = 0,
    every_status: bool = False,
    options: FormatOptions = FormatOptions(),
) -> LineColumns | None:
    """Whole lines as columns, with the facts that read_lines gives; None where no line is found.

    `form`: the format string, compiled with `spans`. `position` and `arrived` are those of read_lines, `options` those of the parser.
    Unless `every_status`, the columns hold 200 and 206 alone.
    """
    known = compiled(form)
    layout = known.spans
    assert layout is not None, "its lines can be read as columns"
    block = Block(data, *line_bounds(data), position, arrived, False)
    found = found_in(data, block.starts, block.ends, layout)
    if found is None:
        return None
    values = _Values(layout, found, options)
    times = values.times()
    request, is_request = values.requests()
    client, is_client = values.clients()
    sent, is_sent = values.sent()
    codes = values.statuses()
    flags = values.flags(request)
    lo, hi, total, is_range = values.ranges()
    total, is_total = values.totals(total, request, codes, flags)
    pages = values.pages(request, codes)
    if pages is not None:
        lo, hi, total = np.where(pages, 0, lo), np.where(pages, -1, hi), np.where(pages, -1, total)
        flags = np.where(pages, flags | _PLACELESS, flags)
        is_range, is_total = is_range | pages, is_total | pages
    plain = (times <= arrived + FUTURE_S) & (codes >= 0) & is_request & is_client & is_sent & is_range & is_total
    return assembled(
        block,
        known.format.make_parser((), options),
        [client, values.agents(), request],
        found.lines,
        plain & values.are_of_their_forms(),
        times,
        codes,
        lo,
        hi,
        sent,
        total,
        every_status,
        options._replace(bytes=""),
        extras=values.extras(),
        flags=flags,
    )


class _Values:
    """What the texts of some lines mean."""

    def __init__(self, layout: LineSpans, found: SpanPlaces, options: FormatOptions) -> None:
        self._layout, self._found, self._options = layout, found, options
        self._lines = len(found.lines)
        self._spans = {span.role: number for number, span in enumerate(layout.spans) if span.role is not None}
        self._make = hit_maker(layout.words, clients(options.trusted_proxies), options.fields)
        self._columns: dict[Role, pa.BinaryArray] = {}
        self._coded: dict[Role, Texts] = {}

    def _column(self, role: Role) -> pa.BinaryArray:
        if role not in self._columns:
            self._columns[role] = self._found.column(self._spans[role])
        return self._columns[role]

    def _texts(self, role: Role) -> Texts:
        if role not in self._coded:
            self._coded[role] = Texts(self._column(role))
        return self._coded[role]

    def _there(self, *roles: Role) -> list[Role]:
        return [role for role in roles if role in self._spans]

    def _constant(self, text: str) -> Texts:
        return coded(np.zeros(self._lines, np.int32), [text.encode()])

    def _made(self, some: Sequence[tuple[Role, Texts]], line: str | None = None) -> tuple[Ints, list[Parsed | None]]:
        """For each line the number of a hit that has these texts alone; and the hits, None where there is none."""
        numbers, combinations = combined([texts for _, texts in some], self._lines)
        hits: list[Parsed | None] = []
        for each in combinations:
            row = _NO_TEXTS.copy()
            row[Role.STATUS.value], row[Role.REQUEST.value] = "200", line
            for (role, _), text in zip(some, each, strict=True):
                row[role.value] = text
            try:
                hits.append(Parsed._make(self._make(row, 0.0)))
            except BadLine:
                hits.append(None)
        return numbers, hits

    def _of(self, *roles: Role, line: str | None = None) -> tuple[Ints, list[Parsed | None]]:
        return self._made([(role, self._texts(role)) for role in self._there(*roles)], line)

    def are_of_their_forms(self) -> Bools:
        """Which lines have the forms that the pattern asks for in times and dates, whether they are read or passed over."""
        are = np.ones(self._lines, np.bool_)
        for number, span in enumerate(self._layout.spans):
            if span.form and span.role not in (Role.TIME, Role.REST):
                fits, texts = re.compile(span.form).fullmatch, Texts(self._found.column(number))
                are &= np.array([fits(text) is not None for text in texts.texts])[texts.codes]
        return are

    def times(self) -> Floats:
        """NaN for what is no time."""
        words = self._layout.words
        if Role.TIME not in words:
            return self._dates()
        clock, number = words[Role.TIME].clock, self._spans[Role.TIME]
        first, second = CLOCKS[clock]
        if head := _HEAD_CHARS.get(clock):
            parts = self._found.column(number, most=head), self._found.column(number, skipped=head)
            minutes, seconds = (_numbers(read, Texts(part)) for read, part in zip((first, second), parts, strict=True))
            return minutes + seconds
        fits = re.compile(self._layout.spans[number].form).fullmatch

        def read(texts: tuple[str, ...]) -> float:
            found = fits(texts[0])
            if found is None:
                return np.nan
            time, *rest = (part for part in (*found.groups(), *texts[1:]) if part is not None)
            return first[time] + second[rest[0]] if rest else first[time]

        some = [self._texts(role) for role in self._there(Role.TIME, Role.REST)]
        numbers, combinations = combined(some, self._lines)
        return np.array(_read_each(read, combinations, np.nan))[numbers]

    def _dates(self) -> Floats:
        some = [
            Texts(self._found.column(number))
            for number, span in enumerate(self._layout.spans)
            if span.role is Role.DATE
        ]
        has_fraction = Role.FRACTION in self._spans
        if has_fraction:
            some.append(self._texts(Role.FRACTION))
            are_digits = re.compile(self._layout.spans[self._spans[Role.FRACTION]].form).fullmatch
        numbers, combinations = combined(some, self._lines)
        read_date = date_reader(list(self._layout.dates))

        def read(texts: tuple[str, ...]) -> float:
            if not has_fraction:
                return read_date("\0".join(texts))
            return read_date("\0".join(texts[:-1])) + float(f"0.{texts[-1]}") if are_digits(texts[-1]) else np.nan

        return np.array(_read_each(read, combinations, np.nan))[numbers]

    def statuses(self) -> Ints:
        return statuses_of(self._column(Role.STATUS))

    def agents(self) -> Texts:
        if Role.AGENT not in self._spans:
            return self._constant("-")
        texts = self._texts(Role.AGENT)
        if not pc.any(pc.equal(texts.values, b"")).as_py():
            return texts
        column = self._column(Role.AGENT)
        return Texts(pc.if_else(pc.equal(column, b""), pa.scalar(b"-", pa.binary()), column))

    def clients(self) -> tuple[Texts, Bools]:
        """And which lines name one."""
        if self._there(Role.CLIENT, Role.FORWARDED) == [Role.CLIENT]:
            texts = self._texts(Role.CLIENT)
            written, of = texts.texts, clients(self._options.trusted_proxies).of
            read = _read_each(of.__getitem__, written, None)
            return (texts, np.ones(self._lines, np.bool_)) if read == written else numbered(texts.codes, read)
        numbers, hits = self._of(Role.CLIENT, Role.FORWARDED)
        return numbered(numbers, [None if hit is None else hit.ip_address for hit in hits])

    def requests(self) -> tuple[Texts, Bools]:
        """As a line holds them that writes them in one, and which lines have one that is read so."""
        if Role.REQUEST in self._spans:
            return self._texts(Role.REQUEST), np.ones(self._lines, np.bool_)
        numbers, hits = self._of(Role.METHOD, Role.TARGET, Role.QUERY)
        return numbered(
            numbers,
            [
                None if hit is None or hit.request is None or REQUESTS[hit.request] != (hit.request, hit.method, 0) else hit.request
                for hit in hits
            ],
        )  # fmt: skip

    def sent(self) -> tuple[Ints | None, Bools]:
        if Role.SENT not in self._spans:
            return np.full(self._lines, -1), np.ones(self._lines, np.bool_)
        sent, are_read = counts(self._column(Role.SENT))
        dash = self._layout.words[Role.SENT].dash
        return sent if dash is None else np.where(sent < 0, dash, sent), are_read

    def ranges(self) -> tuple[Ints, Ints, Ints, Bools]:
        """First and last byte and size, 0, -1 and -1 for none of them, and which lines have one that columns hold."""
        role = next(iter(self._there(Role.CONTENT_RANGE, Role.CAPTURE)), None)
        if role is None:
            none = np.full(self._lines, -1)
            return np.zeros(self._lines, np.int64), none, none, np.ones(self._lines, np.bool_)
        lo, hi, total, are_read = content_ranges(self._column(role))
        others, numbers, hits = self._others(role, are_read)
        if len(others):
            some = np.array([_range_of(hit) for hit in hits], np.int64)[numbers]
            lo, hi, total = (_with(one, others, its) for one, its in zip((lo, hi, total), some.T, strict=True))
            are_read = _with(are_read, others, some[:, 0] >= 0)
        return lo, hi, total, are_read

    def _others(self, role: Role, are_read: Bools, line: str | None = None) -> tuple[Ints, Ints, list[Parsed | None]]:
        """The lines whose text was not read, for each the number of its hit, and the hits."""
        others = np.flatnonzero(~are_read)
        return others, *self._made([(role, Texts(self._column(role).take(pa.array(others))))], line)

    def flags(self, request: Texts) -> Ints:
        """All flags of each line."""
        roles = (Role.PROTOCOL, Role.ENDED, Role.CONTENT_ENCODING, Role.CONTENT_TYPE)
        if Role.REQUEST not in self._spans:
            return _flags(*self._of(*roles))
        flags = _flags(*self._of(*roles, line="GET / HTTP/1.1"))
        framed = request.protocol_flags
        if not framed.any():
            return flags
        return np.where(framed[request.codes], _flags(*self._of(*roles, line="GET / HTTP/2.0")), flags)

    def totals(self, total: Ints, request: Texts, statuses: Ints, flags: Ints) -> tuple[Ints, Bools]:
        """With the sizes that Content-Length tells; and which lines have one that columns hold."""
        if Role.CONTENT_LENGTH not in self._spans:
            return total, np.ones(self._lines, np.bool_)
        sizes, are_read = counts(self._column(Role.CONTENT_LENGTH))
        others, numbers, hits = self._others(Role.CONTENT_LENGTH, are_read, "GET /")
        if len(others):
            others_sizes = np.array([_number_of(hit.total_bytes) if hit else _TOO_LARGE for hit in hits])
            sizes = _with(sizes, others, others_sizes[numbers])
        is_get = np.array([method == "GET" for _, method, _ in request.requests], np.bool_)[request.codes]
        tells = (total < 0) & (statuses == 200) & (flags & _ENCODED == 0) & is_get
        return np.where(tells, sizes, total), ~tells | (sizes > _TOO_LARGE)

    def pages(self, request: Texts, statuses: Ints) -> Bools | None:
        """Which lines answer a page in the place of something else; None where none does."""
        if Role.CONTENT_TYPE not in self._spans:
            return None
        kinds = self._texts(Role.CONTENT_TYPE)
        are_html = np.array([is_page_instead(_FILM, kind) for kind in kinds.texts])
        if not are_html.any():
            return None
        found: Bools = are_html[kinds.codes] & ((statuses == 200) | (statuses == 206))
        are_others, texts = np.zeros(len(request.values), np.bool_), request.texts
        for code in np.unique(request.codes[found]).tolist():
            are_others[code] = is_page_instead(REQUESTS[texts[code]][0], "text/html")
        found &= are_others[request.codes]
        return found if found.any() else None

    def extras(self) -> Extras | None:
        """The optional fields that are wanted."""
        wanted = chosen_extras(self._options.fields)
        roles = [role for role, name in OPTIONAL.items() if name in wanted]
        if "cache_result" in wanted:
            roles.append(Role.ENDED)
        if not self._there(*roles):
            return None
        numbers, hits = self._of(*roles)
        return Extras(numbers, [{} if hit is None else hit.extras for hit in hits])


def _with(column: NDArray[Any], places: Ints, values: NDArray[Any]) -> NDArray[Any]:
    """A column that has these values at some places."""
    column = column.copy()
    column[places] = values
    return column


def _flags(numbers: Ints, hits: Sequence[Parsed | None]) -> Ints:
    flags: Ints = np.array([0 if hit is None else hit.flags for hit in hits])[numbers]
    return flags


def _number_of(number: int | None) -> int:
    """-1 for none, _TOO_LARGE for one that columns do not hold."""
    return -1 if number is None else number if number < MAX_BYTE else _TOO_LARGE


def _range_of(hit: Parsed | None) -> tuple[int, int, int]:
    """First and last byte and size; the first is _TOO_LARGE where columns do not hold them."""
    lo, hi, total = (_TOO_LARGE,) * 3 if hit is None else map(_number_of, (hit.lo, hit.hi, hit.total_bytes))
    if _TOO_LARGE in (lo, hi, total):
        return _TOO_LARGE, -1, -1
    return max(lo, 0), hi, total


def _numbers(read: Mapping[str, float], texts: Texts) -> Floats:
    numbers: Floats = np.array(_read_each(read.__getitem__, texts.texts, np.nan))[texts.codes]
    return numbers


def _read_each(read: Callable[[T], V], texts: Sequence[T], bad: V) -> list[V]:
    """What is read of each text; something else where it is bad."""
    try:
        return list(map(read, texts))
    except BadLine:
        return [_read_or(read, text, bad) for text in texts]


def _read_or(read: Callable[[T], V], text: T, bad: V) -> V:
    try:
        return read(text)
    except BadLine:
        return bad
