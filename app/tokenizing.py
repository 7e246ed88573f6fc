"""From messages of lines to messages of hits: the work of the agent tokenize_lines, apart from Faust.

What it gives depends on the messages alone: read again after a crash they give the same hits with the same ids.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

import msgspec

from app import wire
from app.domain import formats
from app.domain.formats import Format, FormatOptions
from app.domain.lines import ReadLines, decode, read_lines, read_too_long
from app.domain.records import Reject, raw_ids
from app.domain.watermarks import Advance, Clocks, source_number
from app.envelope import unwrap
from app.errors import SettingsError
from app.kernels import reading as kernels
from app.wire import Group, Headers, TokenMessage

if TYPE_CHECKING:
    from app.kernels.blocks import Columns

__all__ = ["Lines", "Tokenized", "Tokenizer", "encode_tokens", "headers_of", "partition_of"]

_REST_MESSAGES = 32
"""So many messages after one with mostly odd lines are read line by line at once."""
LINES_A_MESSAGE_BITS = 24
"""A line of a message without a source has the position (offset of the message, number of the line) in one number."""
DETECT_LINES = 50
COLUMNS_FROM_BYTES = 128 << 10
"""A message of fewer bytes is read line by line: what columns cost to begin with is not worth it."""


class Lines(NamedTuple):
    """One message of `weblogs`."""

    topic: str
    """With the incarnation of the topic: `weblogs@3f…`. A topic created again has new offsets."""
    partition: int
    offset: int
    timestamp: float
    """When the log took it: what stands for its arrival."""
    value: bytes
    headers: Mapping[str, bytes]


class Tokenized(NamedTuple):
    """What some messages of one partition give."""

    tokens: dict[int, TokenMessage]
    """By partition of weblogs_tokens."""
    rejects: list[Reject]
    lines: int
    hits: int


class _Origin(NamedTuple):
    """Where lines come from."""

    source: str
    clock: str
    name: str
    position: int
    positions: Sequence[int] | None


def partition_of(ip_address: str | None, user_agent: str | None, request: str | None, raw_id: str, partitions: int) -> int:
    """Where the hits of a key meet; hits without a key go anywhere, always the same way."""
    if ip_address is None or user_agent is None or request is None:
        return crc32(raw_id.encode()) % partitions
    return crc32(f"{ip_address}\t{user_agent}\t{request}".encode("utf-8", "surrogatepass")) % partitions


class Tokenizer:
    """Keeps the watermark of each source it read, and the format of sources that do not name theirs."""

    def __init__(
        self,
        partitions: int,
        format_name: str = "auto",
        options: FormatOptions = FormatOptions(),  # noqa: B008
        columns_from_bytes: int = COLUMNS_FROM_BYTES,
    ) -> None:
        for each in formats.FORMATS.values():
            try:
                each.make_parser((), options)
            except ValueError as error:
                raise SettingsError(f"the columns or fields of the log format {each.name} can not be read so: {error}") from None
        self._partitions = partitions
        self._format_name = format_name
        self._options = options
        self._columns_from_bytes = columns_from_bytes
        self._found: dict[str, str] = {}
        self._resting = 0
        self.clocks = Clocks()
        self.names: dict[int, str] = {}
        """Number of a clock -> name of its source, for people."""

    def tokenize(self, messages: Iterable[Lines]) -> Tokenized:
        """The hits and rejects of messages of one partition."""
        groups: dict[int, dict[str, Group]] = {}
        rejects: list[Reject] = []
        lines = hits = 0
        now = 0.0
        for message in map(_unwrapped, messages):
            now = max(now, message.timestamp)
            origin = _origin_of(message)
            read = self._read(message, origin)
            by_line = read if isinstance(read, ReadLines) else read.other
            lines, hits = lines + read.lines, hits + read.lines - by_line.heads - len(by_line.rejects)
            identify = raw_ids(origin.source)
            rejects += [
                Reject(bad.reason, bad.detail, _clean(bad.line), identify(bad.position), origin.source, bad.position, message.timestamp)
                for bad in by_line.rejects
            ]
            self._spread(message, origin, read, identify, groups)
        tokens = {partition: TokenMessage(now, list(found.values())) for partition, found in groups.items()}
        return Tokenized(tokens, rejects, lines, hits)

    def tick(self, now: float, forget_before: float) -> TokenMessage:
        """The time and the watermark of every source; sources not heard of since `forget_before` are forgotten."""
        for number in self.clocks.forget(forget_before):
            self.names.pop(number, None)
        groups = [
            Group.of(
                "", number, self.names.get(number, ""), Advance(math.inf, clock.highest, clock.disorder_s, clock.ended, clock.unordered), []
            )
            for number, clock in self.clocks.of.items()
        ]
        return TokenMessage(now, groups, tick=True)

    def _read(self, message: Lines, origin: _Origin) -> ReadLines | Columns:
        headers = message.headers
        if Headers.TOO_LONG in headers:
            return read_too_long(message.value, _number(headers, Headers.TOO_LONG, 0), origin.position)
        log_format = self._format_of(message, origin)
        header_row = log_format.header_row and _may_begin_with_header(message, origin)
        if log_format.name in kernels.FORMATS and origin.positions is None and len(message.value) >= self._columns_from_bytes:
            block = self._block(message, origin, log_format.name, header_row)
            if block is not None:
                return block
        head = decode(headers.get(Headers.HEAD, b"")).split("\n") if headers.get(Headers.HEAD) else []
        parse = log_format.make_parser(head, self._options)
        return read_lines(
            message.value,
            parse,
            message.timestamp,
            origin.position,
            origin.positions,
            header_row=header_row,
        )

    def _block(self, message: Lines, origin: _Origin, form: str, header_row: bool) -> Columns | None:
        """The lines as columns, where most of them are plain."""
        if self._resting:
            self._resting -= 1
            return None
        block = kernels.read_block(form, message.value, message.timestamp, origin.position, header_row, every_status=True)
        if block is None or 2 * block.other.lines > block.lines:
            self._resting = _REST_MESSAGES
        return block

    def _format_of(self, message: Lines, origin: _Origin) -> Format:
        named = decode(message.headers.get(Headers.FORMAT, b"")) or self._format_name
        if named in formats.FORMATS:
            return formats.FORMATS[named]
        known = self._found.get(origin.clock)
        if known is None:
            first = [decode(line).removesuffix("\r") for line in message.value[: 256 << 10].split(b"\n")[:DETECT_LINES]]
            found = formats.detect(first, self._options)
            if found is None:
                return formats.FORMATS["combined"]  # every line will be rejected, with its reason
            if len(self._found) > 10_000:
                self._found.clear()
            known = self._found[origin.clock] = found.name
        return formats.FORMATS[known]

    def _spread(
        self,
        message: Lines,
        origin: _Origin,
        read: ReadLines | Columns,
        identify: Callable[[int], str],
        groups: dict[int, dict[str, Group]],
    ) -> None:
        ended, unordered = Headers.END in message.headers, Headers.UNORDERED in message.headers
        number = source_number(origin.clock)
        advance = Advance(read.lowest, read.highest, read.disorder_s, ended, unordered)
        clock = self.clocks.observe(number, advance, message.timestamp)
        self.names[number] = origin.name
        known = Advance(read.lowest, clock.highest, clock.disorder_s, ended, unordered)

        def group_for(partition: int) -> Group:
            held = groups.setdefault(partition, {})
            group = held.get(origin.source)
            if group is None:
                group = held[origin.source] = Group.of(origin.source, number, origin.name, known, [])
            else:
                group.advance_to(known)
            return group

        rows: dict[int, list[tuple]] = {}
        partitions = self._partitions
        by_line = read if isinstance(read, ReadLines) else read.other
        for hit, position in zip(by_line.hits, by_line.positions, strict=True):
            raw_id = identify(position)
            partition = partition_of(hit[1], hit[2], hit[3], raw_id, partitions)
            row = (*hit, raw_id, position)
            if partition in rows:
                rows[partition].append(row)
            else:
                rows[partition] = [row]
        for partition, found in rows.items():
            group_for(partition).rows += found
        if not isinstance(read, ReadLines):
            from app.kernels.tokens import spread

            for partition, block in spread(read, lambda key: partition_of(*key, "", partitions)).items():
                group_for(partition).columns.append(block)
        if ended:
            for partition in range(partitions):
                group_for(partition)


def _unwrapped(message: Lines) -> Lines:
    """The line of a JSON envelope with its id as the header that other shippers set."""
    if message.value[:1] != b"{" or Headers.SOURCE in message.headers:
        return message
    envelope = unwrap(message.value)
    if envelope is None:
        return message
    given = {} if envelope.id is None else {Headers.ID: envelope.id.encode("utf-8", "surrogatepass")}
    return message._replace(value=envelope.line.encode("utf-8", "surrogatepass"), headers={**message.headers, **given})


def _origin_of(message: Lines) -> _Origin:
    headers = message.headers
    here = f"{message.topic}/{message.partition}"
    place = _place_of(message) if Headers.SOURCE in headers else None
    if place is not None:
        source = decode(headers[Headers.SOURCE])
        name = decode(headers.get(Headers.NAME, b""))
        # A source that names itself lives long enough to have a clock; one that is a single POST does not.
        return _Origin(source, source if name else here, name or here, *place)
    if Headers.ID in headers:
        return _Origin(f"id:{decode(headers[Headers.ID])}", here, here, 0, None)
    first = message.offset << LINES_A_MESSAGE_BITS
    return _Origin(here, here, here, first, range(first, first + _count_of_lines(message.value)))


def _place_of(message: Lines) -> tuple[int, Sequence[int] | None] | None:
    """The position of the first line and, where they are not in a row, of each line in the source that the headers name.

    None where they do not tell: ids made from a wrong place would be those of other lines, which then count as repeats.
    """
    headers = message.headers
    position = _number(headers, Headers.POSITION, -1 if message.value else 0)
    if Headers.POSITIONS not in headers:
        return (position, None) if position >= 0 else None
    try:
        positions = wire.unpack_positions(headers[Headers.POSITIONS])
    except ValueError:
        return None
    return (position, positions) if position >= 0 and len(positions) == _count_of_lines(message.value) else None


def _count_of_lines(value: bytes) -> int:
    return value.count(b"\n") + (value[-1:] not in (b"\n", b""))


def _may_begin_with_header(message: Lines, origin: _Origin) -> bool:
    """A source may at its beginning; a message without a source where its first line has no digit."""
    if origin.positions is None:
        return origin.position == 0
    if isinstance(origin.positions, range):
        return not any(48 <= byte <= 57 for byte in message.value.partition(b"\n")[0])
    return False


def _number(headers: Mapping[str, bytes], name: str, default: int) -> int:
    try:
        return int(headers[name])
    except (KeyError, ValueError):
        return default


def _clean(text: str) -> str:
    """Without lone surrogates, which no message can carry."""
    return text.encode("utf-8", "backslashreplace").decode()


def encode_tokens(message: TokenMessage, max_bytes: int = wire.MAX_MESSAGE_BYTES) -> list[bytes]:
    """As they stand in the topic, in order: one message, or several where one would be larger than `max_bytes`.

    Lone surrogates in fields (from JSON escapes) are written as escapes.
    """
    try:
        whole = wire.encode(message)
    except UnicodeEncodeError:
        for group in message.groups:
            group.rows = [tuple(_clean(field) if isinstance(field, str) else field for field in row) for row in group.rows]
        whole = wire.encode(message)
    if len(whole) <= max_bytes or sum(map(_weight, message.groups)) < 2:
        return [whole]
    return [piece for half in _halves(message) for piece in encode_tokens(half, max_bytes)]


def _weight(group: Group) -> int:
    return max(1, group.count)


def _halves(message: TokenMessage) -> tuple[TokenMessage, TokenMessage]:
    """The hits in two messages; what is said of a source's time goes with each."""
    left = sum(map(_weight, message.groups)) // 2
    first: list[Group] = []
    second: list[Group] = []
    for group in message.groups:
        if left >= _weight(group):
            first.append(group)
        elif left <= 0:
            second.append(group)
        else:
            head, tail = _cut(group, left)
            first.append(head)
            second.append(tail)
        left -= _weight(group)
    return TokenMessage(message.now, first, message.tick), TokenMessage(message.now, second, message.tick)


def _cut(group: Group, count: int) -> tuple[Group, Group]:
    """So many hits of a group, and the others."""
    head = msgspec.structs.replace(group, rows=group.rows[:count], columns=[])
    tail = msgspec.structs.replace(group, rows=group.rows[count:], columns=[])
    left = max(0, count - len(group.rows))
    for block in group.columns:
        for part, into in ((block.part(0, left), head), (block.part(left, len(block)), tail)):
            if len(part):
                into.columns.append(part)
        left = max(0, left - len(block))
    return head, tail


def headers_of(pairs: Any) -> dict[str, bytes]:
    """Headers as a message carries them, by name."""
    return {
        name: value if isinstance(value, bytes) else str(value).encode()
        for name, value in (pairs.items() if isinstance(pairs, Mapping) else pairs or ())
    }
