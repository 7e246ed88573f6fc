"""Takes partitions over with patience.

Faust's recovery takes a broker that did not answer in time for its own end: the task that takes partitions over is gone
then, and at the next rebalance the worker keeps its partitions and reads nothing of them. And where partitions change while
it sets them going, it gives up and waits for a rebalance that need not come: the worker reads nothing then, either.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from mode import Service

from app.ending import die

__all__ = ["PATIENCE_S", "PatientRecovery", "Tables"]

log = logging.getLogger(__name__)

PATIENCE_S = 120.0
"""A broker that is started again needs some seconds; after so long a fresh process is as good."""
_LOOK_EVERY_S = 1.0
_LEFT_LOOKS = 8
"""Seen so often in a row, a flow that stands still was left behind, and is not about to be set going."""


class PatientRecovery(Recovery):
    """Waits through an outage of the broker, and ends the process where that takes too long."""

    logger = logging.getLogger("faust.tables.recovery.patient")
    _idle = False

    async def wait_for_stopped(self, *coros: Any, timeout: Any = None) -> bool:
        """Notes while the task that takes partitions over waits for the next rebalance."""
        self._idle = bool(coros) and coros[0] is self.signal_recovery_start
        try:
            return await super().wait_for_stopped(*coros, timeout=timeout)
        finally:
            self._idle = False

    @Service.task
    async def _take_up_again(self) -> None:
        """Takes the partitions over once more where that was given up without a new rebalance."""
        looks = 0
        while not self.should_stop:
            await self.sleep(_LOOK_EVERY_S)
            looks = looks + 1 if self._is_left() else 0
            if looks == _LEFT_LOOKS:
                log.warning("%s holds partitions and reads none of them: they are taken over once more", self.app.conf.id)
                self.signal_recovery_start.set()
                looks = 0

    def _is_left(self) -> bool:
        """Whether this generation's partitions stand still, and nobody is about to change that."""
        consumer: Any = self.app.consumer
        if not self._idle or consumer.flow_active or self._generation_id != self.app.consumer_generation_id:
            return False
        return not getattr(consumer, "is_rejoining", False) and bool(consumer.assignment())

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
                die(f"the broker did not answer for {PATIENCE_S:.0f} s while partitions were taken over")
            raise


class Tables(TableManager):
    """Faust's, with the recovery above."""

    logger = logging.getLogger("faust.tables.manager.patient")

    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = PatientRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
