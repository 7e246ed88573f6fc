"""What the messages between the agents look like: JSON, because it holds integers of any size and people can read it. Hits that
are alike stand in it as packed columns (class Columns): they are most of all hits, and most of the work.

weblogs          lines as they are; headers say where they come from (class Headers)
weblogs_tokens   TokenMessage: the hits of one or more batches of lines for one partition, or a tick
weblogs_rejects  list of Reject
weblogs_reduced  list of Delivery
changelog        key: JSON list of the three key fields, or a name that begins with NUL; value: pack_entry, the one place with MessagePack:
                 the state holds it for each open delivery, and it is half as large as JSON
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import cast

import msgspec

from app.domain.entries import Entry
from app.domain.records import Delivery, Hit, Reject, raw_ids
from app.domain.tallies import Part, Tally
from app.domain.watermarks import Advance, Clock
from app.domain.windows import Rules

__all__ = [
    "MAX_MESSAGE_BYTES",
    "Columns",
    "Group",
    "Headers",
    "TokenMessage",
    "decode_deliveries",
    "decode_rejects",
    "decode_tokens",
    "encode",
    "encode_in_pieces",
    "hits_of",
    "key_bytes",
    "pack_clock",
    "pack_entry",
    "pack_positions",
    "unpack_clock",
    "unpack_entry",
    "unpack_positions",
]


class Headers:
    """Names of the headers of `weblogs`; every one may be absent."""

    SOURCE = "source"
    """Id of the source the lines come from, 32 hex digits."""
    NAME = "name"
    """The source for people: a file name, or POSTED and the key of a request."""
    POSTED = b"post:"
    POSITION = "position"
    """Byte offset of the first line, decimal."""
    POSITIONS = "positions"
    """Byte offset of each line, packed little-endian 64 bits, where they are not in a row."""
    FORMAT = "format"
    HEAD = "head"
    """Head lines in force, joined by newlines."""
    UNORDERED = "unordered"
    """1: the lines come in an order of somebody's choice; no watermark."""
    TOO_LONG = "too_long"
    """The value is the beginning of one line of so many bytes."""
    END = "end"
    """1: the source is read to its end."""
    ID = "id"
    """An id that the shipper gave the message: sent again it counts once."""


class Columns(msgspec.Struct, array_like=True):
    """Hits that are alike, as columns: none has a flag. A message of them is a third as large, and needs no work for each line.

    Each column holds a value a hit, little-endian, in the order of the source; the raw ids are those of their positions.
    """

    keys: list[tuple[str, str, str]]
    methods: list[str | None]
    """By key."""
    key: bytes
    """Number of the key, 32 bits."""
    times: bytes
    """UTC seconds, as 64-bit floats."""
    positions: bytes
    """64 bits, unsigned."""
    statuses: bytes
    """16 bits."""
    lo: bytes
    """64 bits; lo 0 and hi -1 are no range."""
    hi: bytes
    sent: bytes = b""
    """Bytes of the body, 64 bits, -1 where a hit names none; nothing at all where none of them does. So is the next."""
    total: bytes = b""
    """Size of the whole file."""

    def __len__(self) -> int:
        return len(self.key) // 4

    def hits(self, source: str) -> Iterator[tuple]:
        """In the order of Hit."""
        identify = raw_ids(source)
        keys = [(*key, method) for key, method in zip(self.keys, self.methods, strict=True)]
        columns = map(_numbers, "IdQHqq", (self.key, self.times, self.positions, self.statuses, self.lo, self.hi))
        told = (
            zip(_numbers("q", self.sent), _numbers("q", self.total), strict=True)
            if self.sent
            else repeat((-1, -1), len(self))
        )
        for (number, time, position, status, lo, hi), (sent, total) in zip(
            zip(*columns, strict=True), told, strict=True
        ):
            sizes = None if sent < 0 else sent, None if total < 0 else total
            yield (
                time,
                *keys[number],
                status,
                *((lo, hi) if lo <= hi else (None, None)),
                *sizes,
                0,
                identify(position),
                source,
                position,
            )

    def part(self, begin: int, end: int) -> Columns:
        """The hits from `begin` up to, not including, `end`."""
        numbers = _numbers("I", self.key)[begin:end]
        used = {number: place for place, number in enumerate(sorted(set(numbers)))}
        return Columns(
            [self.keys[number] for number in used],
            [self.methods[number] for number in used],
            _packed("I", [used[number] for number in numbers]),
            self.times[8 * begin : 8 * end],
            self.positions[8 * begin : 8 * end],
            self.statuses[2 * begin : 2 * end],
            self.lo[8 * begin : 8 * end],
            self.hi[8 * begin : 8 * end],
            self.sent[8 * begin : 8 * end],
            self.total[8 * begin : 8 * end],
        )


class Group(msgspec.Struct, array_like=True):
    """The hits of one source in one message."""

    source: str
    """What the raw ids were made from."""
    clock: int
    """Number of the source whose time they advance."""
    name: str
    lowest: float | None
    highest: float | None
    disorder_s: float
    ended: bool
    unordered: bool
    rows: list[tuple] = []
    """Tuples in the order of Hit, without source: position comes right after raw_id."""
    columns: list[Columns] = []
    """More hits."""

    @property
    def count(self) -> int:
        """Of hits."""
        return len(self.rows) + sum(map(len, self.columns))

    def hits(self) -> list[tuple]:
        """All of them as tuples in the order of Hit."""
        source = self.source
        found = [(*row[:12], source, row[12]) for row in self.rows]
        for block in self.columns:
            found += block.hits(source)
        return found

    @property
    def advance(self) -> Advance:
        return Advance(
            math.inf if self.lowest is None else self.lowest,
            -math.inf if self.highest is None else self.highest,
            self.disorder_s,
            self.ended,
            self.unordered,
        )

    def advance_to(self, later: Advance) -> None:
        """Take in what the next lines of the same source tell of its time."""
        both = self.advance
        lowest, highest = min(both.lowest, later.lowest), max(both.highest, later.highest)
        self.lowest = None if math.isinf(lowest) else lowest
        self.highest = None if math.isinf(highest) else highest
        self.disorder_s = max(self.disorder_s, later.disorder_s)
        self.ended, self.unordered = later.ended, self.unordered or later.unordered

    @classmethod
    def of(cls, source: str, clock: int, name: str, advance: Advance, rows: list[tuple]) -> Group:
        lowest = None if math.isinf(advance.lowest) else advance.lowest
        highest = None if math.isinf(advance.highest) else advance.highest
        return cls(source, clock, name, lowest, highest, advance.disorder_s, advance.ended, advance.unordered, rows)


class TokenMessage(msgspec.Struct, array_like=True):
    """One message of `weblogs_tokens`."""

    now: float
    """Wall clock of the worker that sent it, UTC seconds: the only clock that the agents behind it know."""
    groups: list[Group]
    tick: bool = False
    """Nothing but the time and the watermarks: the moment to sweep the state."""


MAX_MESSAGE_BYTES = 4 << 20
"""What the agents send is cut to messages of this size: a broker takes no batch above 8 MiB."""

encode = msgspec.json.Encoder().encode


def encode_in_pieces(records: Sequence[object], max_bytes: int = MAX_MESSAGE_BYTES) -> list[bytes]:
    """A list as the values of one message, or of several in order where one would be larger than `max_bytes`."""
    whole = encode(records)
    if len(whole) <= max_bytes or len(records) < 2:
        return [whole]
    middle = len(records) // 2
    return [piece for half in (records[:middle], records[middle:]) for piece in encode_in_pieces(half, max_bytes)]


decode_tokens = msgspec.json.Decoder(TokenMessage).decode
_decode_rows = msgspec.json.Decoder(list[tuple]).decode


def hits_of(message: TokenMessage) -> list[Hit]:
    """All hits of a message, as plain tuples in the order of Hit: thousands a message."""
    return cast(list[Hit], [hit for group in message.groups for hit in group.hits()])


def decode_rejects(value: bytes) -> list[Reject]:
    """From a message of `weblogs_rejects`."""
    return list(map(Reject._make, _decode_rows(value)))


def decode_deliveries(value: bytes) -> list[Delivery]:
    """From a message of `weblogs_reduced`."""
    return list(map(Delivery._make, _decode_rows(value)))


def key_bytes(key: Sequence[str]) -> bytes:
    """The changelog key of a delivery key; no two keys share one."""
    return encode(tuple(key))


def _finite(time: float) -> float | None:
    """JSON has no infinity."""
    return None if math.isinf(time) else time


def _or_before_all(time: float | None) -> float:
    return -math.inf if time is None else time


_PackedTally = tuple[float, float | None, float | None, list[int], bytes, int, int, int, int, int]
_PackedCut = tuple[float | None, int, float | None, float | None]
_PackedEntry = tuple[float, list[int] | None, list[_PackedTally], _PackedCut | None, list[Part]]
_pack = msgspec.msgpack.Encoder().encode
_decode_entry = msgspec.msgpack.Decoder(_PackedEntry).decode
_decode_large_entry = msgspec.json.Decoder(_PackedEntry).decode
_JSON = b"["[0]
"""No MessagePack array begins with it."""


def pack_entry(entry: Entry) -> bytes:
    """An entry as the changelog and the state hold it: MessagePack, or JSON where an integer has more than 64 bits."""
    cut: _PackedCut | None = None
    if entry.evicted_hits or not entry.floor == entry.evicted_last == entry.lost == -math.inf:
        cut = (_finite(entry.floor), entry.evicted_hits, _finite(entry.evicted_last), _finite(entry.lost))
    tallies = [tally.pack() for tally in entry.tallies] if not entry.parts else ()
    packed = (entry.touched, entry.sources, tallies, cut, entry.parts)
    try:
        value = _pack(packed)
    except OverflowError:
        value = encode(packed)
    # a copy: msgspec's own keeps the rest of the buffer that it was made in, a quarter more than it shows
    return bytes(memoryview(value))


def unpack_entry(value: bytes, rules: Rules) -> Entry:
    """From what pack_entry gave, under the same rules."""
    entry = Entry()
    decode = _decode_large_entry if value[0] == _JSON else _decode_entry
    entry.touched, sources, tallies, cut, parts = decode(value)
    entry.sources = None if sources is None else tuple(sources)
    if cut is not None:
        floor, entry.evicted_hits, evicted_last, lost = cut
        entry.floor, entry.evicted_last, entry.lost = (
            _or_before_all(floor),
            _or_before_all(evicted_last),
            _or_before_all(lost),
        )
    if parts:
        entry.parts = parts
        entry.recut(rules)
    else:
        entry.tallies = [Tally.unpack(tally) for tally in tallies]
    return entry


_PackedClock = tuple[float | None, float, bool, bool, float, int, float | None]
_decode_clock = msgspec.json.Decoder(_PackedClock).decode


def pack_clock(clock: Clock) -> bytes:
    """A source's clock as the changelog holds it."""
    times = _finite(clock.highest), clock.disorder_s, clock.ended, clock.unordered, clock.touched
    return encode((*times, clock.position, _finite(clock.closed)))


def unpack_clock(value: bytes) -> Clock:
    """From what pack_clock gave."""
    clock = Clock()
    highest, clock.disorder_s, clock.ended, clock.unordered, clock.touched, clock.position, closed = _decode_clock(
        value
    )
    clock.highest, clock.closed = _or_before_all(highest), _or_before_all(closed)
    return clock


def unpack_positions(packed: bytes) -> array:
    """From the header `positions`.

    Raises ValueError where its length is no multiple of eight bytes.
    """
    return _numbers("Q", packed)


def pack_positions(positions: Iterable[int]) -> bytes:
    """For the header `positions`."""
    return _packed("Q", positions)


def _numbers(code: str, packed: bytes) -> array:
    """From little-endian; `code` as the module array has it."""
    numbers = array(code)
    numbers.frombytes(packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _packed(code: str, numbers: Iterable[int]) -> bytes:
    """The other way round."""
    packed = array(code, numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()
