"""What messages of counted events look like: JSON.

votes, spend                  list of events, each a list in the order of its kind's fields; one message holds many
votes_reduced, spend_reduced  Counted: those events of one or more messages that count, and the sums that they changed
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import msgspec

from app.domain.counted import CountedKind, EventField, Sum
from app.errors import UnknownForm
from app.messages.forms import UNREADABLE, DamagedMessage, form_of
from app.messages.splitting import MAX_MESSAGE_BYTES

__all__ = ["CountedMessage", "Read", "decode_counted", "encode_counted", "encode_events", "gathered", "read_events"]

COUNTED_FORM = 1
"""Of what counts: a list of two lists, without a number. A later form begins with its number."""

Event = TypeVar("Event", bound=tuple[Any, ...])


class Read(NamedTuple, Generic[Event]):
    """What a message of events gave."""

    events: list[Event]
    bad: list[tuple[int, str, str]]
    """(index, why, text) of what is no event; 0 if the whole message is none."""


class CountedMessage(NamedTuple, Generic[Event]):
    """One message of what counts."""

    events: list[Event]
    sums: list[Sum]


_STORED_INTEGER = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
_encode = msgspec.json.Encoder().encode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _limited(field: EventField) -> Any:
    """The type of a field with its limits."""
    kind: Any
    if field.kind == "text":
        kind = Annotated[str, msgspec.Meta(min_length=int(field.lo), max_length=int(field.hi))]
    elif field.kind == "integer":
        kind = Annotated[int, msgspec.Meta(ge=int(field.lo), le=int(field.hi))]
    else:
        kind = Annotated[float, msgspec.Meta(ge=field.lo, le=field.hi)]
    return kind | None if field.optional else kind


class _Decoders(NamedTuple):
    many: msgspec.json.Decoder[Any]
    one: msgspec.json.Decoder[Any]
    counted: msgspec.json.Decoder[Any]


@cache
def _decoders(kind: CountedKind[Any]) -> _Decoders:
    optional = [field for field in kind.fields if field.optional]
    limited: Any = namedtuple(kind.one, [field.name for field in kind.fields], defaults=[None] * len(optional))  # type: ignore[misc]
    limited.__annotations__ = {field.name: _limited(field) for field in kind.fields}
    total: Any = namedtuple("Sum", Sum._fields)  # type: ignore[misc]
    total.__annotations__ = dict.fromkeys(Sum._fields, _STORED_INTEGER) | {
        "resolution": Literal[tuple(kind.resolution)],
        "group": str,
    }
    whole = tuple[list[limited], list[total]]
    return _Decoders(*(msgspec.json.Decoder(one) for one in (list[limited], limited, whole)))


def read_events(kind: CountedKind[Event], value: bytes) -> Read[Event]:
    """From a message of this kind's topic, whatever its bytes are.

    >>> from app.flows.votes import VOTES
    >>> read_events(VOTES, b'[["a", 2, 1600000000.0], ["b"]]').events
    [Vote(vote_id='a', candidate_id=2, time=1600000000.0, kiosk_id=None, user_id=None, opinion=None)]
    """
    decoders, make = _decoders(kind), kind.event._make  # type: ignore[attr-defined]
    try:
        return Read(list(map(make, decoders.many.decode(value))), [])
    except UNREADABLE:
        pass
    try:
        items = _decode_items(value)
    except UNREADABLE as error:
        return Read([], [(0, str(error), value.decode("utf-8", "backslashreplace"))])
    events, bad = [], []
    for index, item in enumerate(items):
        try:
            events.append(make(decoders.one.decode(item)))
        except UNREADABLE as error:
            bad.append((index, str(error), bytes(item).decode("utf-8", "backslashreplace")))
    return Read(events, bad)


def decode_counted(kind: CountedKind[Event], value: bytes, place: str | None = None) -> CountedMessage[Event]:
    """A message of what counts of this kind; errors name `place`. It has no form number: one that begins with one is of another form.

    Raises UnknownForm and DamagedMessage.
    """
    where = place or f"a message of {kind.reduced}"
    form = form_of(value)
    if form is not None:
        raise UnknownForm(where, form, COUNTED_FORM)
    try:
        events, sums = _decoders(kind).counted.decode(value)
    except UNREADABLE as error:
        raise DamagedMessage(where, COUNTED_FORM, error) from error
    return CountedMessage(list(map(kind.event._make, events)), list(map(Sum._make, sums)))  # type: ignore[attr-defined]


def encode_events(events: Sequence[tuple[Any, ...]]) -> bytes:
    """As one message of a kind's topic."""
    return _encode(events)


def encode_counted(
    events: Sequence[tuple[Any, ...]], sums: Sequence[Sum], max_bytes: int = MAX_MESSAGE_BYTES
) -> list[bytes]:
    """As one message, or several if one would be larger than `max_bytes`."""
    whole = _encode((events, sums))
    if len(whole) <= max_bytes or len(events) + len(sums) < 2:
        return [whole]
    if events and sums:
        halves: tuple[tuple[Sequence[tuple[Any, ...]], Sequence[Sum]], ...] = ((events, ()), ((), sums))
    elif events:
        halves = ((events[: len(events) // 2], ()), (events[len(events) // 2 :], ()))
    else:
        halves = (((), sums[: len(sums) // 2]), ((), sums[len(sums) // 2 :]))
    return [piece for half in halves for piece in encode_counted(*half, max_bytes)]


def gathered(messages: Iterable[CountedMessage[Event]]) -> tuple[list[Event], list[Sum]]:
    """All events of some messages, and the highest version of each sum."""
    events: list[Event] = []
    newest: dict[tuple[Any, ...], Sum] = {}
    for message in messages:
        events += message.events
        for each in message.sums:
            known = newest.get(each[:5])
            if known is None or known.version < each.version:
                newest[each[:5]] = each
    return events, list(newest.values())
