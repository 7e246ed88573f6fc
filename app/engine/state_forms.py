"""The form number of every value in a state: its first byte, in the changelog, in memory and on disk alike.

A change of form gives the table the next number, and a function that makes of a value of the last form one of the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from app.engine.partition import Part
from app.errors import UnknownForm
from app.transports.messages import Pair

__all__ = ["NumberedState", "StateForms"]

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
        return [(key, None if value is None else number + value) for key, value in changes.items()]

    def read(self, key: bytes, value: bytes, where: str) -> bytes:
        """The value without its number, in the newest form. Raises UnknownForm that names `where`."""
        if value[:1] and value[0] == self.newest:
            return value[1:]
        self._check(value, where)
        return self.upgrades[value[0]](key, value[1:])

    def check(self, pairs: Iterable[Pair], where: str) -> None:
        """Raises UnknownForm that names `where` if a value has a form that is neither the newest nor among the upgrades."""
        newest = self.newest
        for _, value in pairs:
            if value is not None and (not value or value[0] != newest):
                self._check(value, where)

    def _check(self, value: bytes, where: str) -> None:
        found = value[0] if value else None
        if found not in self.upgrades:
            raise UnknownForm(where, found if found is not None and found <= _LARGEST else None, self.newest)


class NumberedState:
    """A part as the steps see it: values without their numbers."""

    def __init__(self, part: Part, forms: StateForms, where: str) -> None:
        """`where`: what to name where a value has an unknown form."""
        self._part, self._forms, self._where = part, forms, where

    def get(self, key: bytes) -> bytes | None:
        """The value of a key. Raises UnknownForm."""
        value = self._part.get(key)
        return None if value is None else self._forms.read(key, value, self._where)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """What changes meanwhile may be seen or not. Raises UnknownForm."""
        part = self._part
        # a dict must not change while it is gone through
        for key, value in list(part.items()) if isinstance(part, dict) else part.items():
            yield key, self._forms.read(key, value, self._where)
