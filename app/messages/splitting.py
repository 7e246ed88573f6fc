"""Messages of hits as they stand in the topic: in pieces where one would be too large, and without what no message can carry."""

from __future__ import annotations

import msgspec

from app.messages import hits as wire
from app.messages.hits import Group, TokenMessage

__all__ = ["clean", "encode_tokens"]


def clean(text: str) -> str:
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
            group.rows = [
                tuple(clean(field) if isinstance(field, str) else field for field in row) for row in group.rows
            ]
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
