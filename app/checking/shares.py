"""Comparing record by record with bounded memory: all at once, and in halves of halves where that is too much."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple, TypeVar

__all__ = ["WHOLE", "Share", "TooMany", "by_shares"]

T = TypeVar("T")


class TooMany(Exception):
    """A share holds more than may be kept at a time."""


class Share(NamedTuple):
    """Those numbers that leave `rest` when divided by `modulus`."""

    modulus: int = 1
    rest: int = 0

    def takes(self, number: int) -> bool:
        return number % self.modulus == self.rest

    def halves(self) -> tuple[Share, Share]:
        """>>> Share(2, 1).halves()
        (Share(modulus=4, rest=1), Share(modulus=4, rest=3))
        """
        return Share(2 * self.modulus, self.rest), Share(2 * self.modulus, self.rest + self.modulus)


WHOLE = Share()
_MOST_SHARES = 1 << 20


async def by_shares(work: Callable[[Share], Awaitable[T]]) -> AsyncIterator[T]:
    """What `work` gives for each share; one for which it raises TooMany is halved and tried again."""
    left = [WHOLE]
    while left:
        share = left.pop()
        try:
            found = await work(share)
        except TooMany:
            if share.modulus >= _MOST_SHARES:
                raise
            left += share.halves()
            continue
        yield found
        if share.modulus > 1 and left and left[-1].modulus < share.modulus:
            # the neighbour will not fit either
            left += left.pop().halves()
