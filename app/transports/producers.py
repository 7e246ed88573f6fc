"""Producers outside the worker: replay, POST and tests. Blocking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from app.transports.broker_view import unknown_broker
from app.transports.embedded.file import log_path
from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["LogProducer", "MessageProducer", "open_producer"]


class MessageProducer(Protocol):
    """Sends messages to a broker."""

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has; it is created where it lacks."""

    def append(self, messages: Sequence[Message]) -> None:
        """Returns when all are durable: one transaction.

        Raises LogFull, before anything was written, while the log holds as much as it may; LogError otherwise.
        """

    def close(self) -> None: ...


class LogProducer(MessageProducer, Protocol):
    """One that knows which log it sends to."""

    def incarnation(self, topic: str) -> str:
        """What tells this topic from any other one of the name, on another broker or deleted and made again."""


class SqliteProducer:
    """Producer to the embedded log; any number of processes may have one."""

    def __init__(self, log: EmbeddedLog, partitions: int) -> None:
        self._log = log
        self._partitions = partitions

    def partitions(self, topic: str) -> int:
        if not self._log.has_topic(topic):
            self._log.create_topic(topic, self._partitions)
        return self._log.partitions(topic)

    def incarnation(self, topic: str) -> str:
        self.partitions(topic)
        return self._log.incarnation(topic)

    def append(self, messages: Sequence[Message]) -> None:
        self._log.append(messages, external=True)

    def close(self) -> None:
        self._log.close()


def open_producer(settings: Settings) -> LogProducer:
    """A producer to WEBLOGS_BROKER. Raises SettingsError for a broker that is not supported, LogError for a broken log."""
    scheme = settings.broker.partition(":")[0]
    if scheme == "sqlite":
        return SqliteProducer(
            EmbeddedLog(log_path(settings.broker), settings.log_max_bytes, settings.log_keep), settings.partitions
        )
    if scheme == "kafka":
        from app.transports.kafka.producer import KafkaProducer

        return KafkaProducer(settings)
    raise unknown_broker(settings)
