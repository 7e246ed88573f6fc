"""Reading topics as they stand, outside any consumer group: what `check` and `repair` compare the stores with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from app.errors import SettingsError

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["TopicReader", "open_reader"]


class TopicReader(Protocol):
    """What a broker still holds. Blocking; one call at a time. Every call may raise LogError."""

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """(earliest, end) by partition; empty where there is no such topic."""

    def read(
        self, topic: str, begin: Mapping[int, int] | None = None, end: Mapping[int, int] | None = None
    ) -> Iterator[tuple[int, int, bytes]]:
        """(partition, offset, value) from the earliest, or `begin`, to the end as it is now, or `end` if that comes first.

        A partition that `begin` or `end` does not name is read from its earliest message, or to its end. A few MB are held at a time.
        """

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """The offset that a group reads next, by partition; a partition of which it has read nothing is absent."""

    def lag(self) -> dict[tuple[str, str], int]:
        """Messages that wait, by (group, topic): of the flow's group and those of the stores."""

    def close(self) -> None: ...


def open_reader(settings: Settings) -> TopicReader | None:
    """A reader of WEBLOGS_BROKER; None where the embedded log has no file yet.

    Raises SettingsError for a broker that is not supported, LogError for one that can not be read or reached.
    """
    scheme = settings.broker.partition(":")[0]
    if scheme == "sqlite":
        from app.transports.embedded.file import log_path
        from app.transports.embedded.reading import EmbeddedTopics

        path = log_path(settings.broker)
        return EmbeddedTopics(path) if path.exists() else None
    if scheme == "kafka":
        from app.transports.kafka.reading import KafkaTopics

        return KafkaTopics(settings)
    raise SettingsError(
        f"WEBLOGS_BROKER={settings.broker!r}: no broker {scheme!r} is known; write sqlite:///FILE or kafka://HOST:PORT"
    )
