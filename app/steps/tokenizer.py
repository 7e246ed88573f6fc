"""From messages of lines to messages of hits: the work of the agent tokenize_lines, apart from Faust.

What it gives depends on the messages alone: read again after a crash they give the same hits with the same ids.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from app.columns.formats import has_columns, read_block
from app.domain import formats
from app.domain.formats import Format, FormatOptions, detection
from app.domain.formats.base import AUTO, BYTES_KINDS
from app.domain.key_hits import KEY_FIELDS
from app.domain.lines import ReadLines, decode, read_lines, read_too_long, without_long_lines
from app.domain.records import FOREIGN, Reject, all_raw_ids, raw_ids
from app.domain.requests import query_rule
from app.domain.watermarks import Advance, Clocks, source_number
from app.errors import SettingsError, UnknownForm
from app.messages.headers import Headers
from app.messages.origins import (
    LINES_A_MESSAGE_BITS,
    Lines,
    Origin,
    check_form,
    may_begin_with_header,
    number_in,
    origin_of,
    unwrapped,
)
from app.messages.splitting import clean
from app.messages.tokens import HitGroup, TokenMessage

if TYPE_CHECKING:
    from app.columns.blocks import LineColumns
    from app.messages.packed_hits import PackedHits

__all__ = ["Tokenized", "Tokenizer", "partition_of"]

_REST_MESSAGES = 32
"""This many messages after one with mostly odd lines are read line by line at once."""
_REMEMBERED_IDS = 50_000
DETECT_LINES = 1000
_DETECT_BYTES = 1 << 20
_SHOWN_BYTES = 4096
COLUMNS_FROM_BYTES = 128 << 10
"""A message of fewer bytes is read line by line: what columns cost to begin with is not worth it."""


MAX_LINE_BYTES = 64 << 10
"""The default of WEBLOGS_MAX_LINE_BYTES."""


class Tokenized(NamedTuple):
    """What some messages of one partition give."""

    tokens: dict[int, TokenMessage]
    """By partition of weblogs_tokens."""
    rejects: list[Reject]
    lines: int
    hits: int
    bad_ids: Counter[str]
    """Messages by what is wrong with the id that their shipper gave: empty (it names no line), shared (another line has it)."""
    unread: Counter[str]
    """What was passed over in lines that are hits: a sentence, and how many times."""


def partition_of(
    ip_address: str | None, user_agent: str | None, request: str | None, raw_id: str, partitions: int
) -> int:
    """Where the hits of a key meet; hits without a key go anywhere, always the same way."""
    if ip_address is None or user_agent is None or request is None:
        return crc32(raw_id.encode()) % partitions
    return crc32(f"{ip_address}\t{user_agent}\t{request}".encode("utf-8", "surrogatepass")) % partitions


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
        for each in formats.FORMATS.values():
            try:
                each.make_parser((), options)
            except ValueError as error:
                raise SettingsError(
                    f"the columns or fields of the log format {each.name} cannot be read so: {error}"
                ) from None
        self._partitions = partitions
        self._format_name = format_name
        self._options = options
        self._columns_from_bytes = columns_from_bytes
        self._max_line_bytes = max_line_bytes
        self._found: dict[str, str] = {}
        self._unread = Counter[str]()
        self._resting = 0
        self._given: dict[bytes, str] = {}
        self.clocks = Clocks()
        self.names: dict[int, str] = {}
        """Number of a clock -> name of its source, for people."""

    def tokenize(self, messages: Iterable[Lines]) -> Tokenized:
        """The hits and rejects of messages of one partition.

        Raises UnknownForm if the headers of one are in a form of a later version; any other unknown form makes a reject.
        """
        groups: dict[int, dict[str, HitGroup]] = {}
        rejects: list[Reject] = []
        lines = hits = 0
        now = 0.0
        bad_ids: Counter[str] = Counter()
        self._unread = unread = Counter[str]()
        for message in map(unwrapped, messages):
            try:
                check_form(message)
            except UnknownForm as error:
                if error.is_newer:
                    raise
                rejects.append(_foreign(message, str(error)))
                lines += 1
                continue
            now = max(now, message.timestamp)
            origin = origin_of(message)
            if Headers.ID in message.headers and (bad := self._bad_id(message, origin)):
                bad_ids[bad] += 1
            read = self._read(message, origin)
            by_line = read if isinstance(read, ReadLines) else read.other
            lines, hits = lines + read.lines, hits + read.lines - by_line.heads - len(by_line.rejects)
            for some in (read, by_line)[: 1 + (by_line is not read)]:
                unread.update(some.unread)
            identify = raw_ids(origin.source)
            rejects += [
                Reject(
                    bad.reason,
                    bad.detail,
                    clean(bad.line),
                    identify(bad.position),
                    origin.source,
                    bad.position,
                    message.timestamp,
                )
                for bad in by_line.rejects
            ]
            self._spread(message, origin, read, groups)
        tokens = {partition: TokenMessage(now, list(found.values())) for partition, found in groups.items()}
        return Tokenized(tokens, rejects, lines, hits, bad_ids, unread)

    def _bad_id(self, message: Lines, origin: Origin) -> str | None:
        """What is wrong with a given id, as far as is remembered; what the message gives does not depend on it."""
        given = message.headers[Headers.ID]
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

    def _read(self, message: Lines, origin: Origin) -> ReadLines | LineColumns:
        headers = message.headers
        if Headers.TOO_LONG in headers:
            return read_too_long(message.value, number_in(headers, Headers.TOO_LONG, 0), origin.position)
        log_format = self._format_of(message, origin)
        options = self._options_of(message)
        header_row = log_format.header_row and may_begin_with_header(message, origin)
        head = decode(headers.get(Headers.HEAD, b"")).split("\n") if headers.get(Headers.HEAD) else []
        long = without_long_lines(message.value, self._max_line_bytes, origin.position, origin.positions)
        if long is not None:
            parse = log_format.make_parser(head, options)
            header_row = header_row and not long.first_is_long
            read = read_lines(
                long.data, parse, message.timestamp, 0, long.positions, header_row=header_row, fields=options.fields
            )
            return read._replace(rejects=sorted([*read.rejects, *long.rejects], key=lambda bad: bad.position))
        if has_columns(log_format.name) and origin.positions is None and len(message.value) >= self._columns_from_bytes:
            block = self._block(message, origin, log_format.name, header_row, options)
            if block is not None:
                return block
        parse = log_format.make_parser(head, options)
        return read_lines(
            message.value,
            parse,
            message.timestamp,
            origin.position,
            origin.positions,
            header_row=header_row,
            query=query_rule(options.query),
            fields=options.fields,
        )

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
        if named in formats.FORMATS:
            return formats.FORMATS[named]
        if formats.is_text(named):
            with suppress(LookupError):  # from a stranger: as a name that is not known
                return formats.get(named)
        if named not in ("", AUTO):
            many = message.value.count(b"\n") + (not message.value.endswith(b"\n"))
            self._unread[
                f"the format {named[:60]!r} is not known: lines that name it were read by what is in them"
            ] += many
        lines = message.value[:_DETECT_BYTES].split(b"\n", DETECT_LINES)[:DETECT_LINES]
        first = [decode(line).removesuffix("\r") for line in lines]
        known = formats.FORMATS.get(self._found.get(origin.clock, ""))
        if known is not None and detection.fits(known, first, self._options):
            return known
        # none: every line will be rejected, with its reason
        found = detection.detect(first, self._options) or known or formats.FORMATS["combined"]
        if len(self._found) > 10_000:
            self._found.clear()
        self._found[origin.clock] = found.name
        return found

    def _spread(
        self,
        message: Lines,
        origin: Origin,
        read: ReadLines | LineColumns,
        groups: dict[int, dict[str, HitGroup]],
    ) -> None:
        ended, unordered = Headers.END in message.headers, Headers.UNORDERED in message.headers
        number = source_number(origin.clock)
        advance = Advance(read.lowest, read.highest, read.disorder_s, ended, unordered)
        clock = self.clocks.observe(number, advance, message.timestamp)
        self.names[number] = origin.name
        known = Advance(read.lowest, clock.highest, clock.disorder_s, ended, unordered)

        source = _SourceGroups(origin, number, known, groups)
        by_line = read if isinstance(read, ReadLines) else read.other
        for partition, rows in self._rows(by_line, origin.source).items():
            source.group(partition).rows += rows
        if not isinstance(read, ReadLines):
            for partition, block in self._columns(read).items():
                source.group(partition).columns.append(block)
        if ended:
            for partition in range(self._partitions):
                source.group(partition)

    def _rows(self, read: ReadLines, source: str) -> dict[int, list[tuple[Any, ...]]]:
        """Hits that were read line by line, by partition."""
        rows: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
        partitions, positions = self._partitions, read.positions
        ids = all_raw_ids(source, positions)
        logged: Iterable[str | None] = repeat(None, len(ids))
        if read.logged_requests:
            logged = map(read.logged_requests.get, range(len(ids)))
        for hit, ends in zip(read.hits, zip(ids, positions, logged, strict=True), strict=True):
            ip_address, user_agent, request = hit[KEY_FIELDS]
            rows[partition_of(ip_address, user_agent, request, ends[0], partitions)].append(hit + ends)
        return rows

    def _columns(self, read: LineColumns) -> dict[int, PackedHits]:
        """Hits that were read as columns, by partition."""
        from app.columns.hits import HitColumns

        found = HitColumns.of_lines([read]).by_partition(lambda key: partition_of(*key, "", self._partitions))
        return {partition: hits.to_message() for partition, hits in found.items()}


def _foreign(message: Lines, why: str) -> Reject:
    source, shown = f"{message.topic}/{message.partition}", clean(decode(message.value[:_SHOWN_BYTES]))
    position = message.offset << LINES_A_MESSAGE_BITS
    return Reject(FOREIGN, why, shown, raw_ids(source)(position), source, position, message.timestamp)


class _SourceGroups(NamedTuple):
    """The groups that one source has in the messages of each partition."""

    origin: Origin
    clock: int
    advance: Advance
    groups: dict[int, dict[str, HitGroup]]
    """By partition and source, of all sources."""

    def group(self, partition: int) -> HitGroup:
        """Made if there is none; what is said of the source's time is taken in."""
        known = self.groups.setdefault(partition, {})
        source, _, name, _, _ = self.origin
        group = known.get(source)
        if group is None:
            group = known[source] = HitGroup.of(source, self.clock, name, self.advance, [])
        else:
            group.advance_to(self.advance)
        return group
