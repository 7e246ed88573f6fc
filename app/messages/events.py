"""What messages of votes and spending look like: JSON.

votes, spend                  list of Vote or Transaction, each a list in the order of its fields; one message holds many
votes_reduced, spend_reduced  Counted: those events of one or more messages that count, and the sums that they changed
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import msgspec

from app.domain.events import Sum, Transaction, Vote

__all__ = [
    "MAX_CENTS",
    "MAX_ID",
    "MAX_NAME_CHARS",
    "MAX_OPINION_CHARS",
    "Counted",
    "Read",
    "decode_counted_transactions",
    "decode_counted_votes",
    "encode_counted",
    "gathered",
    "read_transactions",
    "read_votes",
]

MAX_NAME_CHARS = 256
"""Of the id or name of a vote, user, kiosk, candidate, transaction."""
MAX_OPINION_CHARS = 4096
MAX_ID = (1 << 53) - 1
"""Largest candidate id: every JSON reader knows it exactly."""
MAX_CENTS = 10**12
MAX_MESSAGE_BYTES = 4 << 20
_MAX_TIME = 1e11

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS)]
_Text = Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS)]
_Time = Annotated[float, msgspec.Meta(ge=-_MAX_TIME, le=_MAX_TIME)]


class _Vote(NamedTuple):
    vote_id: _Name
    candidate_id: Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)]
    time: _Time
    kiosk_id: _Text | None = None
    user_id: _Text | None = None
    opinion: Annotated[str, msgspec.Meta(max_length=MAX_OPINION_CHARS)] | None = None


class _Transaction(NamedTuple):
    transaction_id: _Name
    user_id: _Name
    time: _Time
    cents: Annotated[int, msgspec.Meta(ge=-MAX_CENTS, le=MAX_CENTS)]


Event = TypeVar("Event")


class Read(NamedTuple, Generic[Event]):
    """What a message of events gave."""

    events: list[Event]
    bad: list[tuple[int, str, str]]
    """(index, why, text) of what is no event; 0 where the whole message is none."""


class Counted(msgspec.Struct, Generic[Event], array_like=True):
    """One message of `votes_reduced` or `spend_reduced`."""

    events: list[Event]
    sums: list[Sum]


_encode = msgspec.json.Encoder().encode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_votes = msgspec.json.Decoder(list[_Vote])
_decode_transactions = msgspec.json.Decoder(list[_Transaction])
_decode_vote = msgspec.json.Decoder(_Vote)
_decode_transaction = msgspec.json.Decoder(_Transaction)
decode_counted_votes: Callable[[bytes], Counted[Vote]] = msgspec.json.Decoder(Counted[Vote]).decode
decode_counted_transactions: Callable[[bytes], Counted[Transaction]] = msgspec.json.Decoder(Counted[Transaction]).decode


def _read(value: bytes, many: msgspec.json.Decoder, one: msgspec.json.Decoder) -> Read[Any]:
    try:
        return Read(many.decode(value), [])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    try:
        items = _decode_items(value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Read([], [(0, str(error), value.decode("utf-8", "backslashreplace"))])
    events, bad = [], []
    for index, item in enumerate(items):
        try:
            events.append(one.decode(item))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            bad.append((index, str(error), bytes(item).decode("utf-8", "backslashreplace")))
    return Read(events, bad)


def read_votes(value: bytes) -> Read[Vote]:
    """From a message of `votes`, whatever its bytes are.

    >>> read_votes(b'[["a", 2, 1600000000.0], ["b"]]').events
    [Vote(vote_id='a', candidate_id=2, time=1600000000.0, kiosk_id=None, user_id=None, opinion=None)]
    """
    found = _read(value, _decode_votes, _decode_vote)
    return Read(list(map(Vote._make, found.events)), found.bad)


def read_transactions(value: bytes) -> Read[Transaction]:
    """From a message of `spend`, whatever its bytes are."""
    found = _read(value, _decode_transactions, _decode_transaction)
    return Read(list(map(Transaction._make, found.events)), found.bad)


def encode_counted(events: Sequence[tuple], sums: Sequence[Sum], max_bytes: int = MAX_MESSAGE_BYTES) -> list[bytes]:
    """As one message, or several where one would be larger than `max_bytes`."""
    whole = _encode((events, sums))
    if len(whole) <= max_bytes or len(events) + len(sums) < 2:
        return [whole]
    if events and sums:
        halves: tuple[tuple[Sequence[tuple], Sequence[Sum]], ...] = ((events, ()), ((), sums))
    elif events:
        halves = ((events[: len(events) // 2], ()), (events[len(events) // 2 :], ()))
    else:
        halves = (((), sums[: len(sums) // 2]), ((), sums[len(sums) // 2 :]))
    return [piece for half in halves for piece in encode_counted(*half, max_bytes)]


def gathered(messages: Iterable[Counted[Event]]) -> tuple[list[Event], list[Sum]]:
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
