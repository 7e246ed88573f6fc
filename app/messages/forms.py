"""The number of the form in which a message is written, and what reads each form.

A message is a JSON array that begins with the number: `[1, …]`. When a form changes, the next number gets a decoder of its own,
and the decoder of the last one stays beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

import msgspec

from app.errors import UnknownForm, WeblogsError

__all__ = ["UNREADABLE", "DamagedMessage", "FormDecoders", "MessageAt", "form_of", "place_of", "read_at"]

Message = TypeVar("Message")
Read = TypeVar("Read", covariant=True)
UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, LookupError, OverflowError, RecursionError)
"""What a decoder raises for bytes that are no message of its form, whatever they are."""
_FORM = re.compile(rb"\[ *([0-9]{1,9}) *[,\]]")


class DamagedMessage(WeblogsError):
    """A message names a known form, but is not written in it."""

    def __init__(self, where: str, form: int, why: object) -> None:
        super().__init__(f"{where} is damaged: it names form {form}, but cannot be read as such: {why!s:.200}")


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

    def decode(self, value: bytes, place: str | None = None) -> Message:
        """What a message says; errors name `place`.

        Raises UnknownForm for a form without a decoder, and DamagedMessage for what the decoder of its form cannot read.
        """
        where = place or f"a message of {self._topic}"
        form = form_of(value)
        decoder = None if form is None else self._decoders.get(form)
        if form is None or decoder is None:
            raise UnknownForm(where, form, self.newest)
        try:
            return decoder(value)
        except UNREADABLE as error:
            raise DamagedMessage(where, form, error) from error


class MessageAt(Protocol):
    """A message and its place in its partition."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def value(self) -> bytes: ...


class Decode(Protocol[Read]):
    """What FormDecoders.decode is."""

    def __call__(self, value: bytes, place: str | None = None) -> Read: ...


def place_of(topic: str, partition: int, offset: int) -> str:
    """As errors name it.

    >>> place_of("weblogs_tokens", 0, 12)
    'message 12 of weblogs_tokens/0'
    """
    return f"message {offset} of {topic}/{partition}"


def read_at(topic: str, message: MessageAt, decode: Decode[Message]) -> Message:
    """What a message says; errors name its place."""
    return decode(message.value, place_of(topic, message.partition, message.offset))
