"""Keys of deliveries as memory holds them: without the user agent, which is most of a key and the same in many of them."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["ShortKeys"]

_BETWEEN = b'","'
"""No text in JSON holds it: its quotation marks are escaped."""
_SEPARATOR = b"\n"
"""Nor this."""


class ShortKeys:
    """Numbers for user agents, and keys with the number in the agent's place.

    A key is the JSON list of address, agent and request as key_bytes makes it; another key, which begins with NUL, is its own
    short form. No two keys share one.
    """

    def __init__(self) -> None:
        self._numbers: dict[bytes, bytes] = {}
        """Agent -> its number in decimal."""
        self._agents: dict[bytes, bytes] = {}
        self._next = 0

    def __len__(self) -> int:
        """Of agents."""
        return len(self._numbers)

    def find(self, key: bytes) -> bytes | None:
        """The short form of a key; None where its agent was never numbered."""
        if key[0] == 0:
            return key
        address, agent, request = key.split(_BETWEEN)
        number = self._numbers.get(agent)
        return None if number is None else _SEPARATOR.join((number, address[2:], request[:-2]))

    def make(self, key: bytes) -> bytes:
        """The short form of a key, its agent numbered where it is new."""
        if key[0] == 0:
            return key
        address, agent, request = key.split(_BETWEEN)
        number = self._numbers.get(agent)
        if number is None:
            number = self._numbers[agent] = b"%d" % self._next
            self._agents[number] = agent
            self._next += 1
        return _SEPARATOR.join((number, address[2:], request[:-2]))

    def whole(self, short: bytes) -> bytes:
        """The key with this short form."""
        if short[0] == 0:
            return short
        number, address, request = short.split(_SEPARATOR)
        return b'["%b","%b","%b"]' % (address, self._agents[number], request)

    def keep_only(self, shorts: Iterable[bytes]) -> None:
        """Forget the agents that none of these short forms has. No number is given again."""
        used = {short.partition(_SEPARATOR)[0] for short in shorts}
        self._agents = {number: agent for number, agent in self._agents.items() if number in used}
        self._numbers = {agent: number for number, agent in self._agents.items()}
