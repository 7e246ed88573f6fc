"""From messages of lines to messages of hits: the work of the agent tokenize_lines, apart from Faust.

What it gives depends on the messages alone: read again after a crash they give the same hits with the same ids.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from app.columns.formats import has_columns, read_block
from app.domain import formats
from app.domain.formats import FORMATS, Format, FormatOptions, detection
from app.domain.formats.base import AUTO, BYTES_KINDS, LineParser
from app.domain.lines import BadAt, ReadLines, decode, read_lines, read_too_long, without_long_lines
from app.domain.records import FOREIGN, Reject, raw_ids
from app.domain.requests import query_rule
from app.domain.watermarks import Advance, Clocks, source_number
from app.errors import SettingsError, UnknownForm
from app.messages.headers import Headers
from app.messages.origins import (
    LINES_A_MESSAGE_BITS,
    Lines,
    Origin,
    Run,
    check_form,
    may_begin_with_header,
    number_in,
    runs,
)
from app.messages.splitting import clean
from app.messages.tokens import HitGroup, SourceGroups, TokenMessage, partition_of

if TYPE_CHECKING:
    from app.columns.blocks import LineColumns
    from app.messages.packed_hits import PackedHits

__all__ = ["MessageReader", "Tokenized", "Tokenizer"]

_REMEMBERED_IDS = 50_000
_SHOWN_BYTES = 4096
_REST_MESSAGES = 32
"""This many messages after one with mostly odd lines are read line by line at once."""
DETECT_LINES = 1000
_DETECT_BYTES = 1 << 20
COLUMNS_FROM_BYTES = 128 << 10
"""A message of fewer bytes is read line by line: what columns cost to begin with is not worth it."""


MAX_LINE_BYTES = 64 << 10
"""The default of WEBLOGS_MAX_LINE_BYTES."""


class Tokenized(NamedTuple):
    """What some messages of `weblogs` give."""

    tokens: dict[int, TokenMessage]
    """By partition of weblogs_tokens."""
    rejects: list[Reject]
    lines: int
    hits: int
    bad_ids: Counter[str]
    """Messages by what is wrong with the id that their shipper gave: empty (it names no line), shared (another line has it)."""
    unread: Counter[str]
    """What was passed over in lines that are hits: a sentence, and how many times."""


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


class Tokenizer:
    """Keeps the watermark of each source it read, and the format of sources that do not name theirs."""

    def __init__(
        self,
        partitions: int,
        format_name: str = AUTO,
        options: FormatOptions = FormatOptions(),
        columns_from_bytes: int = COLUMNS_FROM_BYTES,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        self._partitions = partitions
        self._max_line_bytes = max_line_bytes
        self._reader = MessageReader(format_name, options, columns_from_bytes, max_line_bytes)
        self._given: dict[bytes, str] = {}
        self.clocks = Clocks()
        self.names: dict[int, str] = {}
        """Number of a clock -> name of its source, for people."""

    def tokenize(self, messages: Iterable[Lines]) -> Tokenized:
        """The hits and rejects of messages of any partitions, in order within each.

        Raises UnknownForm if the headers of one are in a form of a later version; any other unknown form makes a reject.
        """
        groups: dict[int, dict[tuple[str, int], HitGroup]] = {}
        rejects: list[Reject] = []
        lines = hits = 0
        now = 0.0
        bad_ids: Counter[str] = Counter()
        self._reader.unread = unread = Counter[str]()
        for run in runs(messages, self._max_line_bytes):
            message = run.messages[0]
            try:
                check_form(message)
            except UnknownForm as error:
                if error.is_newer:
                    raise
                rejects.append(_foreign(message, str(error)))
                lines += 1
                continue
            for part, read in self._reader.readings(run):
                now = max(now, part.last_arrived)
                bad_ids.update(filter(None, map(self._bad_id, part.messages, part.origins)))
                by_line = read if isinstance(read, ReadLines) else read.other
                lines, hits = lines + read.lines, hits + read.lines - by_line.heads - len(by_line.rejects)
                for some in (read, by_line)[: 1 + (by_line is not read)]:
                    unread.update(some.unread)
                if by_line.rejects:
                    rejects += _rejects(part.messages[0], part.origins[0].source, by_line.rejects)
                self._spread(part, read, groups)
        tokens = {partition: TokenMessage(now, list(found.values())) for partition, found in groups.items()}
        return Tokenized(tokens, rejects, lines, hits, bad_ids, unread)

    def _bad_id(self, message: Lines, origin: Origin) -> str | None:
        """What is wrong with an id that is given, as far as is remembered; what the message gives does not depend on it."""
        given = message.headers.get(Headers.ID)
        if given is None:
            return None
        if not origin.source.startswith("id:"):
            return "empty" if Headers.SOURCE not in message.headers else None
        known = self._given.get(given)
        if known is None:
            if len(self._given) >= _REMEMBERED_IDS:
                self._given.clear()
            self._given[given] = origin.source
        return "shared" if known not in (None, origin.source) else None

    def tick(self, now: float, forget_before: float) -> TokenMessage:
        """The time and the watermark of every source; sources not heard of since `forget_before` are forgotten."""
        for number in self.clocks.forget(forget_before):
            self.names.pop(number, None)
        groups = [
            HitGroup.of(
                "",
                number,
                self.names.get(number, ""),
                Advance(math.inf, clock.highest, clock.disorder_s, clock.ended, clock.unordered),
                [],
            )
            for number, clock in self.clocks.of.items()
        ]
        return TokenMessage(now, groups, tick=True)

    def _spread(
        self, run: Run, read: ReadLines | LineColumns, groups: dict[int, dict[tuple[str, int], HitGroup]]
    ) -> None:
        message, origin = run.messages[0], run.origins[0]
        ended, unordered = Headers.END in message.headers, Headers.UNORDERED in message.headers
        number = source_number(origin.clock)
        advance = Advance(read.lowest, read.highest, read.disorder_s, ended, unordered)
        clock = self.clocks.observe(number, advance, run.last_arrived)
        self.names[number] = origin.name
        known = Advance(read.lowest, clock.highest, clock.disorder_s, ended, unordered)

        source = SourceGroups(origin, number, known, self._partitions, groups)
        if not isinstance(read, ReadLines):
            source.add_rows(read.other.hits, read.other.positions, read.other.logged_requests)
            for partition, block in self._columns(read).items():
                source.group(partition).columns.append(block)
        elif len(run.messages) == 1:
            source.add_rows(read.hits, read.positions, read.logged_requests)
        else:
            for indices in run.by_source():
                start, stop = indices.start, indices.stop
                logged = {at - start: text for at, text in read.logged_requests.items() if start <= at < stop}
                positions = [origin.position for origin in run.origins[start:stop]]
                own = source._replace(origin=run.origins[start])
                own.add_rows(read.hits[start:stop], positions, logged)
        if ended:
            for partition in range(self._partitions):
                source.group(partition)

    def _columns(self, read: LineColumns) -> dict[int, PackedHits]:
        """Hits that were read as columns, by partition."""
        from app.columns.hits import HitColumns

        found = HitColumns.of_lines([read]).by_partition(lambda key: partition_of(*key, "", self._partitions))
        return {partition: hits.to_message() for partition, hits in found.items()}


def _foreign(message: Lines, why: str) -> Reject:
    source, shown = f"{message.topic}/{message.partition}", clean(decode(message.value[:_SHOWN_BYTES]))
    position = message.offset << LINES_A_MESSAGE_BITS
    return Reject(FOREIGN, why, shown, raw_ids(source)(position), source, position, message.timestamp)


def _rejects(message: Lines, source: str, found: Iterable[BadAt]) -> list[Reject]:
    identify = raw_ids(source)
    return [
        Reject(bad.reason, bad.detail, clean(bad.line), identify(bad.position), source, bad.position, message.timestamp)
        for bad in found
    ]
