"""Keys of deliveries as memory holds them: without the user agent, which is most of a key and the same in many of them."""

from __future__ import annotations

__all__ = ["ShortKeys"]

_BETWEEN = b'","'
"""No text in JSON holds it: its quotation marks are escaped."""
_SEPARATOR = b"\n"
"""Nor this."""


class ShortKeys:
    """Numbers for the user agents of the keys that are held, each as long as a key needs it.

    A key is the JSON list of address, agent and request as wire.key_bytes makes it. Its short form is unique among the
    keys that are held, and keeps from a key that is no such list (a name that begins with NUL) nothing out.
    """

    def __init__(self) -> None:
        self._numbers: dict[bytes, bytes] = {}
        """Agent -> its number in decimal."""
        self._agents: dict[bytes, bytes] = {}
        self._uses: dict[bytes, int] = {}
        """By number: keys that are held."""
        self._next = 0

    def __len__(self) -> int:
        """Of agents."""
        return len(self._numbers)

    def find(self, key: bytes) -> bytes | None:
        """The short form of a key that may be held; None where it surely is not."""
        if key[0] == 0:
            return key
        address, agent, request = key.split(_BETWEEN)
        number = self._numbers.get(agent)
        return None if number is None else _SEPARATOR.join((number, address[2:], request[:-2]))

    def hold(self, key: bytes) -> bytes:
        """The short form of a key that is held from now on, and was not before."""
        if key[0] == 0:
            return key
        address, agent, request = key.split(_BETWEEN)
        number = self._numbers.get(agent)
        if number is None:
            number = self._numbers[agent] = b"%d" % self._next
            self._agents[number], self._uses[number] = agent, 0
            self._next += 1
        self._uses[number] += 1
        return _SEPARATOR.join((number, address[2:], request[:-2]))

    def release(self, short: bytes) -> None:
        """The key with this short form is held no more; an agent that no key has is forgotten."""
        if short[0] == 0:
            return
        number = short.partition(_SEPARATOR)[0]
        self._uses[number] -= 1
        if not self._uses[number]:
            del self._uses[number], self._numbers[self._agents.pop(number)]

    def whole(self, short: bytes) -> bytes:
        """The key that `hold` gave this short form."""
        if short[0] == 0:
            return short
        number, address, request = short.split(_SEPARATOR)
        return b'["%b","%b","%b"]' % (address, self._agents[number], request)
