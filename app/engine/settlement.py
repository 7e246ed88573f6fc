"""When what was accepted can be seen: everything that stands in some topics has passed through the flow to a store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from app.transports.broker_view import GroupPositions

__all__ = ["Settling"]

LOOK_EVERY_S = 0.05
PATIENCE_S = 2.0
"""Where messages never stop coming, or the flow is behind, nobody waits for longer."""


class Settling:
    """Waits until the groups have committed all of some topics."""

    def __init__(self, standing: Callable[[Sequence[str]], Awaitable[GroupPositions]], groups: Sequence[str]) -> None:
        self._standing, self._groups = standing, groups
        self._lock = asyncio.Lock()
        self._settled_at = float("-inf")

    async def __call__(self, topics: Sequence[str]) -> None:
        """Returns when they have, or after PATIENCE_S. Who asks while another waits shares the looking."""
        asked = time.monotonic()
        async with self._lock:
            if self._settled_at >= asked:
                return
            quiet = 0
            while time.monotonic() < asked + PATIENCE_S:
                began = time.monotonic()
                if await self._waiting(topics):
                    quiet = 0
                else:
                    quiet += 1
                    if quiet == 2:  # what one topic fills was perhaps looked at before: twice is true of both
                        self._settled_at = began
                        return
                await asyncio.sleep(LOOK_EVERY_S)

    async def _waiting(self, topics: Sequence[str]) -> int:
        try:
            lag = (await self._standing(self._groups)).lag
        except Exception:  # the log may fail for a while; nobody waits for that
            return 0
        return sum(messages for (_, topic, _), messages in lag.items() if topic in topics)
