"""Takes partitions over with patience.

Faust's recovery takes a broker that did not answer in time for its own end: the task that takes partitions over is gone
then, and at the next rebalance the worker keeps its partitions and reads nothing of them.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery

__all__ = ["PATIENCE_S", "PatientRecovery", "Tables"]

PATIENCE_S = 120.0
"""A broker that is started again needs some seconds; after this long a fresh process is as good."""


class PatientRecovery(Recovery):
    """Waits through an outage of the broker, and ends the process where that takes too long."""

    app: Any
    """An app.engine.faust_app.App."""
    logger = logging.getLogger("faust.tables.recovery.patient")

    async def _wait(self, coro: Any, timeout: Any = None) -> None:
        """`timeout`: Faust gives one with all that asks the broker; a rebalance ends the waiting in any case."""
        if timeout is None:
            await super()._wait(coro)
            return
        limit = asyncio.timeout(PATIENCE_S)
        try:
            async with limit:
                await super()._wait(coro)
        except TimeoutError:
            if limit.expired():
                self.app.outside.die(
                    f"the broker did not answer for {PATIENCE_S:.0f} s while partitions were taken over"
                )
            raise


class Tables(TableManager):
    """Faust's, with the recovery above."""

    logger = logging.getLogger("faust.tables.manager.patient")

    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = PatientRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
