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
from faust.types import TP
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
    taking_over = 0
    """How many rebalances the tables are at work for."""
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
                await self.on_rebalance(self.app.consumer.assignment(), set(), set(), self.app.consumer_generation_id)
                looks = 0

    def _is_left(self) -> bool:
        """Whether partitions stand still, and nobody is about to change that."""
        consumer: Any = self.app.consumer
        if not self._idle or self.taking_over or consumer.flow_active:
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

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0) -> None:
        """Tables may read for minutes."""
        recovery = self.recovery
        assert isinstance(recovery, PatientRecovery)
        recovery.taking_over += 1
        try:
            await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)
        finally:
            recovery.taking_over -= 1
