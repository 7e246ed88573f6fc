"""A Faust transport on the embedded log: broker URLs `sqlite:///relative.db` and `sqlite:////absolute.db`.

Call register() before a faust.App is made. All apps of one process share one log; each is a consumer group of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import closing
from typing import Any

import faust
from faust.transport import base
from faust.transport.drivers import TRANSPORTS

from app.flows.registry import progress_topic
from app.messages.progress import GroupProgress
from app.settings import settings
from app.transports.broker_view import GroupPositions, is_empty
from app.transports.changelog import Changelog, SqliteChangelog
from app.transports.embedded.consumer import EmbeddedConsumer
from app.transports.embedded.file import log_path
from app.transports.embedded.producer import EmbeddedProducer
from app.transports.embedded.shared_log import SharedLog, shared_log
from app.transports.embedded.view import EmbeddedView, positions_in
from app.transports.progress_reader import ProgressReader

__all__ = ["EmbeddedTransport", "register"]

log = logging.getLogger(__name__)


class EmbeddedTransport(base.Transport):
    """Transport to the embedded log."""

    Consumer = EmbeddedConsumer
    Producer = EmbeddedProducer
    default_port = 0
    _progress: ProgressReader | None = None
    driver_version = f"sqlite faust={faust.__version__}"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._incarnations: dict[str, str] = {}

    def open_log(self) -> SharedLog:
        """The log of this process; who opens it releases it."""
        bounds = settings()
        # from its path: as text, a URL object loses the two slashes before an empty host
        return shared_log(log_path(f"sqlite://{self.url[0].raw_path}"), bounds.log_max_bytes, bounds.log_keep)

    def prepare(self, topics: Iterable[str], groups: Iterable[str]) -> None:
        """Before the worker starts: it is the only one on this log, the topics are there, and nobody waits for groups that are gone.

        `groups`: those of this worker's apps, the flow's first. Raises LogLocked, LogError.
        """
        log_of_all = self.open_log().log
        log_of_all.lock_worker()
        for topic in (
            topics
        ):  # before anybody reads or sends: an agent may send on before the store that reads it has subscribed
            log_of_all.create_topic(topic, settings().partitions)
        log_of_all.create_topic(progress_topic(settings().flow_id), settings().partitions)
        flow, *stores = groups
        for group in log_of_all.groups():
            if group.startswith(f"{flow}-") and group not in stores:
                log_of_all.forget_group(group)
                log.warning("the log waits no longer for %s: that store is not among WEBLOGS_STORES any more", group)

    def open_changelog(self, topic: str, partitions: int) -> Changelog:
        """A table's changelog; take() creates its topic where it lacks."""
        return SqliteChangelog(self.open_log(), topic, partitions)

    async def progress(self) -> GroupProgress:
        """What the groups could not read."""
        log = self.open_log()
        try:
            if self._progress is None:
                self._progress = ProgressReader(EmbeddedView(log.log.path), progress_topic(settings().flow_id))
            return await log.run(self._progress.refresh)
        finally:
            await log.release()

    async def topic_problems(self) -> list[str]:
        """None: nobody else changes the topics of this file."""
        return []

    async def made_anew(self) -> list[str]:
        """None: a file that was removed ends the worker."""
        return []

    async def is_anew(self, topic: str) -> bool:
        """Never: as above."""
        return False

    def clock(self) -> None:
        """The log goes by this machine's clock."""

    async def incarnation(self, topic: str) -> str:
        """What tells a topic from an earlier one of the same name: its offsets begin anew."""
        if topic not in self._incarnations:
            log = self.open_log()
            try:
                self._incarnations[topic] = await log.run(log.log.incarnation, topic)
            finally:
                await log.release()
        return self._incarnations[topic]

    async def is_empty(self, topic: str, partition: int, begin: int, end: int) -> bool:
        """See app.transports.broker_view."""
        log = self.open_log()
        try:
            with closing(EmbeddedView(log.log.path)) as view:
                return await log.run(is_empty, view, topic, partition, begin, end)
        finally:
            await log.release()

    async def standing(self, groups: Iterable[str]) -> GroupPositions:
        """Where these consumer groups stand."""
        log = self.open_log()
        try:
            return await log.run(positions_in, log.log, list(groups))
        finally:
            await log.release()


def register() -> None:
    """Teach Faust the scheme `sqlite`."""
    TRANSPORTS.aliases["sqlite"] = "app.transports.embedded.transport:EmbeddedTransport"
