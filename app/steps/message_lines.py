"""Messages of lines, read: what stands in each line of them, before ids are made and hits go to their partitions.

Plain shippers send one line a message. Neighbours that differ in source, position and arrival alone are read together, so that
what it costs to begin with a message is paid once for many. What is found is the same as if each had been read alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from app.columns.formats import has_columns, read_block
from app.domain import formats
from app.domain.formats import FORMATS, Format, FormatOptions, detection
from app.domain.formats.base import AUTO, BYTES_KINDS, LineParser
from app.domain.lines import ReadLines, decode, read_lines, read_too_long, without_long_lines
from app.domain.requests import query_rule
from app.errors import SettingsError
from app.messages.headers import HEADERS_FORM, Headers
from app.messages.origins import Lines, Origin, may_begin_with_header, number_in, origin_of, unwrapped

if TYPE_CHECKING:
    from app.columns.blocks import LineColumns

__all__ = ["COLUMNS_FROM_BYTES", "MAX_LINE_BYTES", "MessageReader", "Run"]

_REST_MESSAGES = 32
"""This many messages after one with mostly odd lines are read line by line at once."""
DETECT_LINES = 1000
_DETECT_BYTES = 1 << 20
COLUMNS_FROM_BYTES = 128 << 10
"""A message of fewer bytes is read line by line: what columns cost to begin with is not worth it."""


MAX_LINE_BYTES = 64 << 10
"""The default of WEBLOGS_MAX_LINE_BYTES."""

_ALONE = frozenset((Headers.END, Headers.TOO_LONG, Headers.UNORDERED, Headers.POSITIONS))
_TOLD = (Headers.FORMAT, Headers.BYTES, Headers.HEADS, Headers.DOUBTED, Headers.HEAD)
"""Headers that say how the lines are to be read."""
_FORMS = (None, b"%d" % HEADERS_FORM)


class Run(NamedTuple):
    """One message, or several of one line each that differ in source, position and arrival alone."""

    messages: list[Lines]
    origins: list[Origin]

    @property
    def first_arrived(self) -> float:
        return min([message.timestamp for message in self.messages])

    @property
    def last_arrived(self) -> float:
        return max([message.timestamp for message in self.messages])

    def data(self) -> bytes:
        """All lines."""
        return b"".join([message.value.removesuffix(b"\n") + b"\n" for message in self.messages])

    def by_source(self) -> Iterator[range]:
        """The indices of neighbours that are of one source."""
        at = 0
        for _, same in groupby(self.origins, attrgetter("source")):
            start, at = at, at + len(list(same))
            yield range(start, at)

    def parts(self, odd: Iterable[int]) -> Iterator[Run]:
        """The messages at these indices alone, those between them together; all in their order."""
        at = 0
        for index in (*odd, len(self.messages)):
            if at < index:
                yield Run(self.messages[at:index], self.origins[at:index])
            if index < len(self.messages):
                yield Run(self.messages[index : index + 1], self.origins[index : index + 1])
            at = index + 1


class MessageReader:
    """Reads lines as their headers say, or as the settings. Remembers the format of sources that do not name theirs."""

    def __init__(self, format_name: str, options: FormatOptions, columns_from_bytes: int, max_line_bytes: int) -> None:
        """Raises SettingsError if the options fit no format."""
        for each in FORMATS.values():
            try:
                each.make_parser((), options)
            except ValueError as error:
                raise SettingsError(
                    f"the columns or fields of the log format {each.name} cannot be read so: {error}"
                ) from None
        self._format_name, self._options = format_name, options
        self._columns_from_bytes, self._max_line_bytes = columns_from_bytes, max_line_bytes
        self._found: dict[str, str] = {}
        self._resting = 0
        self.unread: Counter[str] = Counter()
        """What was passed over since it was last emptied, beside what a reading tells: a sentence, and how many lines."""

    def runs(self, messages: Iterable[Lines]) -> Iterator[Run]:
        """All messages in their order, out of their envelopes."""
        run, kind = Run([], []), None
        for message in map(unwrapped, messages):
            origin = origin_of(message)
            own = _kind(message, origin, self._max_line_bytes)
            if run.messages and (own is None or own != kind):
                yield run
                run = Run([], [])
            kind = own
            run.messages.append(message)
            run.origins.append(origin)
        if run.messages:
            yield run

    def readings(self, run: Run, again: bool = True) -> Iterator[tuple[Run, ReadLines | LineColumns]]:
        """What the messages give: together if each is a hit; else each that is none is read alone, with all that is tried then."""
        count = len(run.messages)
        if count == 1:
            yield run, self._read(run.messages[0], run.origins[0])
            return
        first, origin = run.messages[0], run.origins[0]
        options = self._options_of(first)
        parse = _parser_of(first, self._format_of(first, origin), options)
        read = _read_lines(parse, options, run.data(), run.first_arrived, 0, range(count), False)
        if len(read.hits) == count:
            yield run, read
            return
        odd = range(count) if read.heads or not again else [bad.position for bad in read.rejects]
        for part in run.parts(odd):
            yield from self.readings(part, again=False)

    def _read(self, message: Lines, origin: Origin) -> ReadLines | LineColumns:
        headers, arrived = message.headers, message.timestamp
        if Headers.TOO_LONG in headers:
            return read_too_long(message.value, number_in(headers, Headers.TOO_LONG, 0), origin.position)
        log_format = self._format_of(message, origin)
        options = self._options_of(message)
        header_row = log_format.header_row and may_begin_with_header(message, origin)
        long = without_long_lines(message.value, self._max_line_bytes, origin.position, origin.positions)
        if long is not None:
            header_row = header_row and not long.first_is_long
            parse = _parser_of(message, log_format, options)
            read = _read_lines(parse, options, long.data, arrived, 0, long.positions, header_row)
            return read._replace(rejects=sorted([*read.rejects, *long.rejects], key=lambda bad: bad.position))
        if has_columns(log_format.name) and origin.positions is None and len(message.value) >= self._columns_from_bytes:
            block = self._block(message, origin, log_format.name, header_row, options)
            if block is not None:
                return block
        parse = _parser_of(message, log_format, options)
        return _read_lines(parse, options, message.value, arrived, origin.position, origin.positions, header_row)

    def _block(
        self, message: Lines, origin: Origin, form: str, header_row: bool, options: FormatOptions
    ) -> LineColumns | None:
        """The lines as columns, where most of them are plain."""
        if self._resting:
            self._resting -= 1
            return None
        block = read_block(
            form, message.value, message.timestamp, origin.position, header_row, every_status=True, options=options
        )
        if block is None or 2 * block.other.lines > block.lines:
            self._resting = _REST_MESSAGES
        return block

    def _options_of(self, message: Lines) -> FormatOptions:
        told = decode(message.headers.get(Headers.BYTES, b""))
        heads, doubted = (decode(message.headers.get(name, b"")) for name in (Headers.HEADS, Headers.DOUBTED))
        options = self._options._replace(bytes=told) if told in BYTES_KINDS and told else self._options
        return options._replace(heads=options.heads or heads, doubted=doubted)

    def _format_of(self, message: Lines, origin: Origin) -> Format:
        """The format that is named, or the one that fits the lines of this message.

        What a source was found to be is tried first, but it does not bind: what a message gives must not depend on the ones
        before it, which may be gone after a restart.
        """
        named = decode(message.headers.get(Headers.FORMAT, b"")) or self._format_name
        if named in FORMATS:
            return FORMATS[named]
        if formats.is_text(named):
            with suppress(LookupError):  # from a stranger: as a name that is not known
                return formats.get(named)
        if named not in ("", AUTO):
            many = message.value.count(b"\n") + (not message.value.endswith(b"\n"))
            self.unread[f"the format {named[:60]!r} is not known: lines that name it were read by what is in them"] += (
                many
            )
        lines = message.value[:_DETECT_BYTES].split(b"\n", DETECT_LINES)[:DETECT_LINES]
        first = [decode(line).removesuffix("\r") for line in lines]
        known = FORMATS.get(self._found.get(origin.clock, ""))
        if known is not None and detection.fits(known, first, self._options):
            return known
        # none: every line will be rejected, with its reason
        found = detection.detect(first, self._options) or known or FORMATS["combined"]
        if len(self._found) > 10_000:
            self._found.clear()
        self._found[origin.clock] = found.name
        return found


def _kind(message: Lines, origin: Origin, max_line_bytes: int) -> tuple[object, ...] | None:
    """What messages of one line have in common that can be read together; None of one that is read alone."""
    value, headers = message.value, message.headers
    if not value or len(value) > max_line_bytes or 0 <= value.find(b"\n") < len(value) - 1:
        return None
    if headers:
        if not _ALONE.isdisjoint(headers) or headers.get(Headers.FORM) not in _FORMS:
            return None
        named = headers.get(Headers.FORMAT)
        if named and (name := decode(named)) != AUTO and name not in FORMATS:
            return None  # what is said of such a name is said once a message
    return message.topic, message.partition, origin.clock, origin.name, *map(headers.get, _TOLD)


def _parser_of(message: Lines, log_format: Format, options: FormatOptions) -> LineParser:
    head = message.headers.get(Headers.HEAD)
    return log_format.make_parser(decode(head).split("\n") if head else [], options)


def _read_lines(
    parse: LineParser,
    options: FormatOptions,
    data: bytes,
    arrived: float,
    position: int,
    positions: Sequence[int] | None,
    header_row: bool,
) -> ReadLines:
    query = query_rule(options.query)
    return read_lines(
        data, parse, arrived, position, positions, header_row=header_row, query=query, fields=options.fields
    )
