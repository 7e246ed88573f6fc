"""Waiting longer and longer between tries."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

__all__ = ["pauses"]

_SPREAD = (0.8, 1.2)
"""So that many who failed together do not come back together."""


async def pauses(first_s: float, longest_s: float) -> AsyncIterator[float]:
    """Gives the pause that follows, at once, then waits for it and gives the next, twice as long up to `longest_s`; without end.

    `async for pause_s in pauses(...)`: try, leave the loop at success, and name `pause_s` in what is logged of a failure.
    """
    pause_s = first_s
    while True:
        yield pause_s
        await asyncio.sleep(pause_s * random.uniform(*_SPREAD))
        pause_s = min(pause_s * 2, longest_s)
