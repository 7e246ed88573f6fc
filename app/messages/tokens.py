"""Messages of `weblogs_tokens`: the hits of one or more batches of lines for one partition, or a tick.

JSON, because it holds integers of any size and people can read it; hits that are alike stand in it as packed columns.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, repeat
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from zlib import crc32

import msgspec

from app.domain.fields import HIT
from app.domain.key_hits import KEY_FIELDS
from app.domain.records import Hit, all_raw_ids
from app.domain.watermarks import Advance
from app.flows.deliveries import TOKENS
from app.messages.field_types import check_raw_ids, row_type
from app.messages.forms import FormDecoders
from app.messages.origins import Origin
from app.messages.packed_hits import PackedHits
from app.messages.splitting import MAX_MESSAGE_BYTES, clean, split

__all__ = [
    "POSITION",
    "RAW_ID",
    "ROW_FIELDS",
    "TIME",
    "HitGroup",
    "SourceGroups",
    "TokenMessage",
    "decode_tokens",
    "encode_tokens",
    "hits_of",
    "partition_of",
]

TOKENS_FORM = 3
ROW_FIELDS = tuple(name for name in Hit._fields if name != "source")
"""Of a row of a group: all hits of a group are of one source."""
TIME, RAW_ID, POSITION, _EXTRAS = map(ROW_FIELDS.index, ("time", "raw_id", "position", "extras"))
if TYPE_CHECKING:
    Row = tuple[Any, ...]
else:
    Row = row_type(HIT.without("source"), digits_later=True)


class HitGroup(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
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
    rows: list[Row] = []
    """Tuples in the order of ROW_FIELDS."""
    columns: list[PackedHits] = []
    """More hits."""

    @property
    def count(self) -> int:
        """Of hits."""
        return len(self.rows) + sum(map(len, self.columns))

    def hits(self) -> list[tuple[Any, ...]]:
        """All of them as tuples in the order of Hit."""
        source = self.source
        found: list[tuple[Any, ...]] = [(*row[:POSITION], source, *row[POSITION:]) for row in self.rows]
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
    def of(cls, source: str, clock: int, name: str, advance: Advance, rows: list[tuple[Any, ...]]) -> HitGroup:
        lowest = None if math.isinf(advance.lowest) else advance.lowest
        highest = None if math.isinf(advance.highest) else advance.highest
        return cls(source, clock, name, lowest, highest, advance.disorder_s, advance.ended, advance.unordered, rows)


def partition_of(
    ip_address: str | None, user_agent: str | None, request: str | None, raw_id: str, partitions: int
) -> int:
    """Where the hits of a key meet; hits without a key go anywhere, always the same way."""
    if ip_address is None or user_agent is None or request is None:
        return crc32(raw_id.encode()) % partitions
    return crc32(f"{ip_address}\t{user_agent}\t{request}".encode("utf-8", "surrogatepass")) % partitions


class SourceGroups(NamedTuple):
    """The groups that one source has in the messages of each partition."""

    origin: Origin
    clock: int
    advance: Advance
    partitions: int
    """Of weblogs_tokens."""
    groups: dict[int, dict[tuple[str, int], HitGroup]]
    """By partition, and by source and clock: a source that has no name may stand in several partitions of `weblogs`."""

    def group(self, partition: int) -> HitGroup:
        """Made if there is none; what is said of the source's time is taken in."""
        known = self.groups.setdefault(partition, {})
        source, _, name, _, _ = self.origin
        group = known.get((source, self.clock))
        if group is None:
            group = known[source, self.clock] = HitGroup.of(source, self.clock, name, self.advance, [])
        else:
            group.advance_to(self.advance)
        return group

    def add_rows(
        self,
        hits: Sequence[tuple[Any, ...]],
        positions: Sequence[int],
        logged_requests: Mapping[int, str],
    ) -> None:
        """Hits that were read line by line, to the groups of their partitions; `logged_requests` by the index of a hit."""
        rows: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
        partitions = self.partitions
        ids = all_raw_ids(self.origin.source, positions)
        logged: Iterable[str | None] = repeat(None, len(ids))
        if logged_requests:
            logged = map(logged_requests.get, range(len(ids)))
        for hit, ends in zip(hits, zip(ids, positions, logged, strict=True), strict=True):
            ip_address, user_agent, request = hit[KEY_FIELDS]
            rows[partition_of(ip_address, user_agent, request, ends[0], partitions)].append(hit + ends)
        for partition, some in rows.items():
            self.group(partition).rows += some


class TokenMessage(msgspec.Struct, array_like=True, tag=TOKENS_FORM, forbid_unknown_fields=True):
    """One message of `weblogs_tokens`."""

    now: float
    """Wall clock of the worker that sent it, UTC seconds: the only clock that the agents behind it know."""
    groups: list[HitGroup]
    tick: bool = False
    """Nothing but the time and the watermarks: the moment to sweep the state."""


_encode = msgspec.json.Encoder().encode
_ROWS = HitGroup.__struct_fields__.index("rows")
_decode_json = msgspec.json.Decoder().decode
_decode = msgspec.json.Decoder(TokenMessage).decode
_raw_id = itemgetter(RAW_ID)


def _checked(value: bytes) -> TokenMessage:
    message = _decode(value)
    for group in message.groups:
        check_raw_ids(map(_raw_id, group.rows))
        for block in group.columns:
            block.check()
    return message


def _of_form(ends_of_rows: list[None]) -> Callable[[bytes], TokenMessage]:
    """Of forms whose rows lack the extras, and these fields at their end; packed hits may lack their last columns."""

    def decode(value: bytes) -> TokenMessage:
        message = _decode_json(value)
        message[0] = TOKENS_FORM
        for group in message[2]:
            group[_ROWS : _ROWS + 1] = [
                [[*row[:_EXTRAS], {}, *row[_EXTRAS:], *ends_of_rows] for row in rows]
                for rows in group[_ROWS : _ROWS + 1]
            ]
        return _checked(_encode(message))

    return decode


decode_tokens = FormDecoders(TOKENS, {1: _of_form([None]), 2: _of_form([]), TOKENS_FORM: _checked}).decode
"""From a message of `weblogs_tokens`. Raises UnknownForm and DamagedMessage."""


def hits_of(message: TokenMessage) -> list[Hit]:
    """All hits of a message, as plain tuples in the order of Hit: thousands a message."""
    return cast(list[Hit], [hit for group in message.groups for hit in group.hits()])


def encode_tokens(message: TokenMessage, max_bytes: int = MAX_MESSAGE_BYTES) -> list[bytes]:
    """As they stand in the topic, in order: one message, or several if one would be larger than `max_bytes`.

    Lone surrogates in fields (from JSON escapes) are written as escapes.
    """
    try:
        whole = _encode(message)
    except UnicodeEncodeError:
        for group in message.groups:
            group.rows = [
                (
                    *(clean(field) if isinstance(field, str) else field for field in row[:_EXTRAS]),
                    {name: clean(text) for name, text in row[_EXTRAS].items()},
                    *(clean(field) if isinstance(field, str) else field for field in row[_EXTRAS + 1 :]),
                )
                for row in group.rows
            ]
        whole = _encode(message)
    if len(whole) <= max_bytes or not message.groups:
        return [whole]
    room = max_bytes - len(_encode(TokenMessage(message.now, [], message.tick)))
    pieces = split(_pieces(message.groups), attrgetter("weight"), room)
    return [_encode(TokenMessage(message.now, list(_joined(piece)), message.tick)) for piece in pieces]


class _Piece(NamedTuple):
    """The least that can stand in a message: one hit, or a group that has none."""

    group: int
    """Number of its group."""
    head: HitGroup
    """The group without hits: what is said of a source's time goes with each message."""
    row: tuple[Any, ...] | None
    block: PackedHits | None
    at: int
    """Of the hit in the block."""
    weight: int
    """Bytes in a message of its own, at most."""


def _pieces(groups: Iterable[HitGroup]) -> Iterator[_Piece]:
    for number, group in enumerate(groups):
        head = msgspec.structs.replace(group, rows=[], columns=[])
        alone = len(_encode(head)) + 1
        if not group.count:
            yield _Piece(number, head, None, None, 0, alone)
        for row in group.rows:
            yield _Piece(number, head, row, None, 0, alone + len(_encode(row)) + 1)
        for block in group.columns:
            for index, key_bytes in enumerate(block.bytes_alone(lambda one: len(_encode(one)))):
                yield _Piece(number, head, None, block, index, alone + key_bytes)


def _joined(pieces: Iterable[_Piece]) -> Iterator[HitGroup]:
    """The groups of one message."""
    for _, its in groupby(pieces, attrgetter("group")):
        some = list(its)
        group = msgspec.structs.replace(some[0].head, rows=[one.row for one in some if one.row is not None], columns=[])
        for _, alike in groupby((one for one in some if one.block is not None), lambda one: id(one.block)):
            hits = list(alike)
            block, begin, end = hits[0].block, hits[0].at, hits[-1].at + 1
            assert block is not None
            group.columns.append(block.part(begin, end))
        yield group
