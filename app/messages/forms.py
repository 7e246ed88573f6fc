"""The number of the form in which a message is written, and what reads each form.

A message is a JSON array that begins with the number: `[1, …]`. When a form changes, the next number gets a decoder of its own,
and the decoder of the last one stays beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

import msgspec

from app.errors import WeblogsError

__all__ = ["FormDecoders", "MessageAt", "UnreadableMessage", "form_of", "read_at"]

Message = TypeVar("Message")
_FORM = re.compile(rb"\[ *([0-9]{1,9}) *[,\]]")
_UPDATE = "read it with the version that wrote it, or a newer one, or send the logs again into fresh topics"


class UnreadableMessage(WeblogsError):
    """A message in a form that this version does not read: a person has to change something."""

    def __init__(self, what: str, form: int | None, known: int, place: str = "a message") -> None:
        """`what` is the topic that has such messages, `known` the newest form; `form` is None if the message names none."""
        self.what, self.form, self.known = what, form, known
        if form is None:
            fault = f"is not in form {known} of {what} and names no other form"
        elif form == known:
            fault = f"is in form {form} of {what}, but damaged"
        else:
            fault = f"is in form {form} of {what}; this version reads forms up to {known}"
        super().__init__(f"{place} {fault}: {_UPDATE}")

    def at(self, topic: str, partition: int, offset: int) -> UnreadableMessage:
        """The same with its place."""
        return UnreadableMessage(self.what, self.form, self.known, f"message {offset} of {topic}/{partition}")


def form_of(value: bytes) -> int | None:
    """The number that a message begins with.

    >>> form_of(b"[1,[]]"), form_of(b'[["a", 2]]'), form_of(b"")
    (1, None, None)
    """
    found = _FORM.match(value)
    return None if found is None else int(found[1])


class FormDecoders(Generic[Message]):
    """What reads the messages of one topic: a decoder for each form."""

    def __init__(self, topic: str, decoders: Mapping[int, Callable[[bytes], Message]]) -> None:
        self._topic, self._decoders = topic, decoders
        self.newest = max(decoders)

    def decode(self, value: bytes) -> Message:
        """Raises UnreadableMessage for a form without a decoder, and for what the decoder of its form cannot read."""
        form = form_of(value)
        decoder = None if form is None else self._decoders.get(form)
        if decoder is None:
            raise UnreadableMessage(self._topic, form, self.newest)
        try:
            return decoder(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, TypeError) as error:
            raise UnreadableMessage(self._topic, form, form or self.newest) from error


class MessageAt(Protocol):
    """A message and its place in its partition."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def value(self) -> bytes: ...


def read_at(topic: str, message: MessageAt, decode: Callable[[bytes], Message]) -> Message:
    """What a message says; an UnreadableMessage names its place."""
    try:
        return decode(message.value)
    except UnreadableMessage as error:
        raise error.at(topic, message.partition, message.offset) from error
