"""Messages of the topic of progress: how far each group has read, and what it could never read.

The topic is compacted: the newest message of a key counts. A mark is durable before its offset is committed, so a committed offset
beyond the mark was set by somebody else.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from app.errors import UnknownForm
from app.messages.forms import DamagedMessage, FormDecoders
from app.words import lost_text

__all__ = ["GroupMark", "GroupProgress", "Loss", "Place", "progress_message"]

_FORM = 1
Place = tuple[str, str, int]
"""(group, topic, partition)"""


class GroupMark(NamedTuple):
    """What the workers of a group have read of a partition."""

    group: str
    topic: str
    partition: int
    offset: int
    """Of the message that they read next."""


class Loss(NamedTuple):
    """Messages that a group can never read, or was made to pass over. Offsets are inclusive, times UTC seconds."""

    group: str
    topic: str
    partition: int
    first: int
    last: int
    found: float
    acknowledged: float | None = None

    @property
    def name(self) -> tuple[str, str, int, int]:
        """Found again it is the same loss."""
        return self[:4]

    @property
    def messages(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        return lost_text(*self[:5])


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[int, GroupMark | None, Loss | None]).decode
_decoders: FormDecoders[tuple[int, GroupMark | None, Loss | None]] = FormDecoders("progress", {_FORM: _decode})


def progress_message(told: GroupMark | Loss) -> tuple[bytes, bytes]:
    """Key and value."""
    if isinstance(told, GroupMark):
        return "\t".join(map(str, told[:3])).encode(), _encode((_FORM, told, None))
    return "\t".join(map(str, told.name)).encode(), _encode((_FORM, None, told))


class GroupProgress:
    """What the messages of the topic say so far."""

    def __init__(self) -> None:
        self.marks: dict[Place, int] = {}
        self.losses: dict[tuple[str, str, int, int], Loss] = {}

    def take(self, value: bytes, place: str) -> None:
        """Take in one message; what is no message of ours is passed over. Raises UnknownForm for a newer version's."""
        try:
            _, mark, loss = _decoders.decode(value, place)
        except DamagedMessage:
            return
        except UnknownForm as error:
            if not error.is_newer:
                return
            raise
        if mark is not None:
            self.marks[mark[:3]] = mark.offset
        if loss is not None:
            self.losses[loss.name] = loss

    @property
    def unacknowledged(self) -> list[Loss]:
        return [loss for _, loss in sorted(self.losses.items()) if loss.acknowledged is None]
