"""A Faust transport on the embedded log: broker URLs `sqlite:///relative.db` and `sqlite:////absolute.db`.

Call register() before a faust.App is made. All apps of one process share one log; each is a consumer group of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import faust
from faust.transport import base
from faust.transport.drivers import TRANSPORTS

from app.settings import settings
from app.transports.log_file import log_path
from app.transports.shared_log import SharedLog, shared_log
from app.transports.sqlite_consumer import Consumer
from app.transports.sqlite_producer import Producer

__all__ = ["Consumer", "Producer", "Standing", "Transport", "register"]


class Standing(NamedTuple):
    """How far consumer groups are. Offsets are those of the next message to read."""

    lag: dict[tuple[str, str, int], int]
    """(group, topic, partition) -> messages not committed"""
    committed: dict[str, dict[tuple[str, int], int]]
    """group -> (topic, partition) -> offset"""


class Transport(base.Transport):
    """Transport to the embedded log."""

    Consumer = Consumer
    Producer = Producer
    default_port = 0
    driver_version = f"sqlite faust={faust.__version__}"

    def open_log(self) -> SharedLog:
        """The log of this process; who opens it releases it."""
        bounds = settings()
        # from its path: as text, a URL object loses the two slashes before an empty host
        return shared_log(log_path(f"sqlite://{self.url[0].raw_path}"), bounds.log_max_bytes, bounds.log_keep)

    async def incarnation(self, topic: str) -> str:
        """What tells a topic from an earlier one of the same name: its offsets begin anew."""
        log = self.open_log()
        try:
            return await log.run(log.log.incarnation, topic)
        finally:
            await log.release()

    async def standing(self, groups: Iterable[str]) -> Standing:
        """Where these consumer groups stand."""
        log = self.open_log()
        try:
            lag = await log.run(log.log.lag)
            committed = {group: await log.run(log.log.committed, group) for group in groups}
        finally:
            await log.release()
        return Standing(lag, committed)


def register() -> None:
    """Teach Faust the scheme `sqlite`."""
    TRANSPORTS.aliases["sqlite"] = "app.transports.sqlite:Transport"
