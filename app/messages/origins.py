"""Where the lines of a message come from: its source, its clock, and the position of each line, by its headers and its envelope.

Plain shippers send one line a message. `runs` puts neighbours that are to be read alike together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from app.domain.formats import FORMATS
from app.domain.formats.base import AUTO
from app.domain.lines import decode
from app.errors import UnknownForm
from app.messages.forms import place_of
from app.messages.headers import HEADERS_FORM, Headers, unpack_positions

__all__ = [
    "LINES_A_MESSAGE_BITS",
    "Envelope",
    "Lines",
    "Origin",
    "Run",
    "check_form",
    "headers_of",
    "may_begin_with_header",
    "names_line",
    "number_in",
    "origin_of",
    "runs",
    "unwrap",
    "unwrapped",
]

_FORM_DIGITS = 10
_NOTHING = {"null", "undefined", "none", "nil", "<nil>", "nan"}
LINES_A_MESSAGE_BITS = 24
"""A line of a message without a source has the position (offset of the message, number of the line) in one number."""


_decode = msgspec.json.Decoder().decode
_LINE = ("line", "message")
_ALONE = frozenset((Headers.END, Headers.TOO_LONG, Headers.UNORDERED, Headers.POSITIONS))
_TOLD = (Headers.FORMAT, Headers.BYTES, Headers.HEADS, Headers.DOUBTED, Headers.HEAD)
"""Headers that say how the lines are to be read."""
_FORMS = (None, b"%d" % HEADERS_FORM)


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


class Origin(NamedTuple):
    """Where lines come from."""

    source: str
    clock: str
    name: str
    position: int
    positions: Sequence[int] | None


def headers_of(pairs: Any) -> dict[str, bytes]:
    """Headers as a message carries them, by name."""
    return {
        name: value if isinstance(value, bytes) else str(value).encode()
        for name, value in (pairs.items() if isinstance(pairs, Mapping) else pairs or ())
    }


class Envelope(NamedTuple):
    """What a message of a shipper that can set no header holds: one JSON object with the line and an id of it."""

    line: str
    id: str | None
    """Sent again under the same id, a line counts once; empty if the shipper wrote null."""


def unwrap(value: bytes) -> Envelope | None:
    """`{"id": …, "line": …}` or `{"id": …, "message": …}`, the id absent or not; None for anything else, JSON logs included.

    >>> unwrap(b'{"id": "7", "line": "a\\\\tb"}')
    Envelope(line='a\\tb', id='7')
    >>> unwrap(b'{"line": "x", "status": 200}'), unwrap(b'10.0.0.1 - -')
    (None, None)
    """
    if not value.startswith(b"{") or b"\n" in value.rstrip():
        return None
    try:
        found = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    names = set(found)
    line = found.get("line", found.get("message"))
    given = found.get("id")
    if (
        len(names & set(_LINE)) != 1
        or not names <= {*_LINE, "id"}
        or not isinstance(line, str)
        or not isinstance(given, str | None)
    ):
        return None
    return Envelope(line, "" if given is None and "id" in found else given)


def unwrapped(message: Lines) -> Lines:
    """The line of a JSON envelope with its id as the header that other shippers set."""
    if message.value[:1] != b"{" or Headers.SOURCE in message.headers:
        return message
    envelope = unwrap(message.value)
    if envelope is None:
        return message
    given = {} if envelope.id is None else {Headers.ID: envelope.id.encode("utf-8", "surrogatepass")}
    return message._replace(value=envelope.line.encode("utf-8", "surrogatepass"), headers={**message.headers, **given})


def check_form(message: Lines) -> None:
    """Raises UnknownForm if the headers are in another form; lines from shippers name none."""
    form = message.headers.get(Headers.FORM)
    if form is not None and form != b"%d" % HEADERS_FORM:
        topic, _, _ = message.topic.partition("@")
        place = place_of(topic, message.partition, message.offset)
        found = int(form) if form.isdigit() and len(form) < _FORM_DIGITS else decode(form)
        raise UnknownForm(f"{place}, by its headers,", found, HEADERS_FORM)


def names_line(given: str) -> bool:
    """Whether an id can be one. Shippers that do not know a field write its emptiness into the id.

    >>> names_line("d41d8:0"), names_line("web-1:/var/log/a.log:0:7f")
    (True, True)
    >>> [names_line(given) for given in ("", " ", "null:120", "undefined:0", "web-1:null:7", "%{[log][file]}:3", ":")]
    [False, False, False, False, False, False, False]
    """
    parts = given.strip().split(":")
    return any(parts) and not any(part.strip().lower() in _NOTHING for part in parts) and "%{" not in given


def origin_of(message: Lines) -> Origin:
    headers = message.headers
    here = f"{message.topic}/{message.partition}"
    place = _place_of(message) if Headers.SOURCE in headers else None
    if place is not None:
        source = decode(headers[Headers.SOURCE])
        name = decode(headers.get(Headers.NAME, b""))
        # A source that names itself lives long enough to have a clock; one that is a single POST does not.
        return Origin(source, source if name else here, name or here, *place)
    given = decode(headers.get(Headers.ID, b""))
    if names_line(given):
        # With its content: a shipper whose ids name no file gives the same one to lines of different files.
        content = blake2b(message.value, digest_size=8).hexdigest()
        return Origin(f"id:{given}:{content}", here, here, 0, None)
    first = message.offset << LINES_A_MESSAGE_BITS
    return Origin(here, here, here, first, range(first, first + _count_of_lines(message.value)))


def _place_of(message: Lines) -> tuple[int, Sequence[int] | None] | None:
    """The position of the first line and, where they are not in a row, of each line in the source that the headers name.

    None where they do not tell: ids made from a wrong place would be those of other lines, which then count as repeats.
    """
    headers = message.headers
    position = number_in(headers, Headers.POSITION, -1 if message.value else 0)
    if Headers.POSITIONS not in headers:
        return (position, None) if position >= 0 else None
    try:
        positions = unpack_positions(headers[Headers.POSITIONS])
    except ValueError:
        return None
    return (position, positions) if position >= 0 and len(positions) == _count_of_lines(message.value) else None


def _count_of_lines(value: bytes) -> int:
    return value.count(b"\n") + (value[-1:] not in (b"\n", b""))


def may_begin_with_header(message: Lines, origin: Origin) -> bool:
    """A source may at its beginning; a message without a source where its first line has no digit."""
    if origin.positions is None:
        return origin.position == 0
    if isinstance(origin.positions, range):
        return not any(48 <= byte <= 57 for byte in message.value.partition(b"\n")[0])
    return False


def number_in(headers: Mapping[str, bytes], name: str, default: int) -> int:
    try:
        return int(headers[name])
    except (KeyError, ValueError):
        return default


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


def runs(messages: Iterable[Lines], max_line_bytes: int) -> Iterator[Run]:
    """All messages in their order, out of their envelopes. One with a longer line than `max_line_bytes` stands alone."""
    run, kind = Run([], []), None
    for message in map(unwrapped, messages):
        origin = origin_of(message)
        own = _kind(message, origin, max_line_bytes)
        if run.messages and (own is None or own != kind):
            yield run
            run = Run([], [])
        kind = own
        run.messages.append(message)
        run.origins.append(origin)
    if run.messages:
        yield run


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
