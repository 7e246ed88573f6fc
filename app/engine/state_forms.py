"""The form number of every value in a state: its first byte, in the changelog, in memory and on disk alike.

A change of form gives the table the next number, and a function that makes of a value of the last form one of the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from app.engine.partition import StatePart
from app.errors import UnknownForm
from app.messages.forms import UNREADABLE
from app.steps.ledger import RULES
from app.transports.messages import Pair

__all__ = ["DAMAGED", "NumberedState", "StateForms"]

DAMAGED = b""
"""What a damaged value is read as: no table writes it, and every reader of values refuses it."""

_LARGEST = 31
"""A form number; a larger first byte is text or MessagePack that has none."""


class StateForms(NamedTuple):
    """The forms that one table knows."""

    newest: int = 1
    """1 to 31: what is written."""
    upgrades: Mapping[int, Callable[[bytes, bytes], bytes]] = {}
    """Older form -> from key and value, without numbers, to the value in the newest form."""

    def numbered(self, changes: Mapping[bytes, bytes | None]) -> list[Pair]:
        """As the changelog and the state take them."""
        number = bytes((self.newest,))
        # what is joined here has no room to spare, whatever the values were made in
        return [(key, None if value is None else number + value) for key, value in changes.items()]

    def read(self, key: bytes, value: bytes, where: str) -> bytes:
        """The value without its number, in the newest form; DAMAGED if it has no form that was ever written.

        Raises UnknownForm that names `where` for the number of another form.
        """
        if value[:1] and value[0] == self.newest:
            return value[1:]
        if not self._is_known(value, where):
            return DAMAGED
        try:
            return self.upgrades[value[0]](key, value[1:])
        except UNREADABLE:
            return DAMAGED

    def check(self, pairs: Iterable[Pair], where: str) -> None:
        """Raises UnknownForm that names `where` for a value with the number of another form, and for rules of no known form: another program's state.

        A single other value without a known form is damaged; `read` says so.
        """
        newest = self.newest
        for key, value in pairs:
            if value is None or (value[:1] and value[0] == newest):
                continue
            if not self._is_known(value, where) and key == RULES:
                raise UnknownForm(f"{where}, by its rules,", None, newest)

    def _is_known(self, value: bytes, where: str) -> bool:
        found = value[0] if value else _LARGEST + 1
        if found == self.newest or found in self.upgrades:
            return True
        if found <= _LARGEST:
            raise UnknownForm(where, found, self.newest)
        return False


class NumberedState:
    """A part as the steps see it: values without their numbers."""

    def __init__(self, part: StatePart, forms: StateForms, where: str) -> None:
        """`where`: what to name where a value has an unknown form."""
        self._part, self._forms, self._where = part, forms, where

    def get(self, key: bytes) -> bytes | None:
        """The value of a key. Raises UnknownForm."""
        value = self._part.get(key)
        return None if value is None else self._forms.read(key, value, self._where)

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The value of each key, None if it has none. Raises UnknownForm."""
        newest, read, where = bytes((self._forms.newest,)), self._forms.read, self._where
        return [
            value[1:] if value and value[:1] == newest else None if value is None else read(key, value, where)
            for key, value in zip(keys, self._part.get_many(keys), strict=True)
        ]

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """What changes meanwhile may be seen or not. Raises UnknownForm."""
        part = self._part
        # a dict must not change while it is gone through
        for key, value in list(part.items()) if isinstance(part, dict) else part.items():
            yield key, self._forms.read(key, value, self._where)
