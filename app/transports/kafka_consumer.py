"""Faust's consumer of Kafka, which forgets what it fetched from before a seek.

After a rebalance Faust seeks to the committed offsets and sets its flow going again, while a fetch from the positions
before may still be under way. What that fetch brings would be taken for what follows the committed offset, and the
messages between the two would be passed by.
"""

from __future__ import annotations

import logging
from typing import Any

from faust.transport.drivers import aiokafka as driver

__all__ = ["Consumer"]

log = logging.getLogger(__name__)


class Consumer(driver.Consumer):
    """A fetch counts only if no seek went on meanwhile."""

    def __post_init__(self) -> None:
        self._seeks_ended = 0
        self._seeks_under_way = 0

    async def perform_seek(self) -> None:
        self._seeks_under_way += 1
        try:
            await super().perform_seek()
        finally:
            self._seeks_under_way -= 1
            self._seeks_ended += 1

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        ended = self._seeks_ended
        records = await super()._getmany(active_partitions, timeout)
        if self._seeks_ended == ended and not self._seeks_under_way:
            return records
        if records:
            # Nobody knows whether they are from before the seek or after it, and the next fetch goes on behind them.
            try:
                await self.perform_seek()
            except Exception as error:  # a rebalance: its end seeks once more; if not, the agents see the hole
                log.warning("the consumer could not seek back: %s", error)
        return {}
