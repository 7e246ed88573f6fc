"""Looking at a broker, outside any consumer group: what topics hold, and how far the groups are. Changes nothing there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from app.errors import SettingsError

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = [
    "BrokerView",
    "GroupPositions",
    "GroupView",
    "StoredMessage",
    "is_empty",
    "open_view",
    "opened_view",
    "spans",
    "unknown_broker",
]


class GroupPositions(NamedTuple):
    """How far consumer groups are. Offsets are those of the next message to read."""

    lag: Mapping[tuple[str, str, int], int]
    """(group, topic, partition) -> messages not committed."""
    committed: Mapping[str, Mapping[tuple[str, int], int]]
    """group -> (topic, partition) -> offset; a partition of which it has read nothing is absent."""


class GroupView(Protocol):
    """What tells whether consumer groups have read everything. Every call may raise LogError."""

    def groups(self) -> Mapping[str, Sequence[str]]:
        """Group -> the topics that it reads."""

    def ends(self) -> Mapping[tuple[str, int], int]:
        """(topic, partition) -> end offset."""

    def committed(self, group: str) -> Mapping[tuple[str, int], int]:
        """(topic, partition) -> offset of the next message."""


class StoredMessage(NamedTuple):
    """A message as it is in a topic."""

    partition: int
    offset: int
    timestamp: float
    """When the log took it, UTC seconds."""
    value: bytes
    headers: Any
    """As the transport carries them."""


class BrokerView(GroupView, Protocol):
    """One broker. Blocking; one caller at a time. Every call may raise LogError."""

    def positions(self, groups: Sequence[str]) -> GroupPositions:
        """How far these groups are."""

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """(earliest, end) by partition; empty if there is no such topic."""

    def problems(self) -> list[str]:
        """What is wrong with the topics, a sentence each."""

    def incarnation(self, topic: str) -> str:
        """What tells a topic from an earlier one of the same name."""

    def messages(
        self, topic: str, begin: Mapping[int, int] | None = None, end: Mapping[int, int] | None = None
    ) -> Iterator[StoredMessage]:
        """From the earliest, or `begin`, to the end as it is now, or `end` if that comes first.

        A partition that `begin` or `end` does not name is read from its earliest message, or to its end. A few MB are held at a time.
        """

    def read(
        self, topic: str, begin: Mapping[int, int] | None = None, end: Mapping[int, int] | None = None
    ) -> Iterator[tuple[int, int, bytes]]:
        """As `messages`: (partition, offset, value)."""

    def close(self) -> None: ...


def spans(
    view: BrokerView, topic: str, begin: Mapping[int, int] | None, end: Mapping[int, int] | None
) -> Iterator[tuple[int, int, int]]:
    """(partition, offset, end) of what `messages` gives, partitions without any left out."""
    for partition, (first, last) in sorted(view.bounds(topic).items()):
        offset, stop = max(first, (begin or {}).get(partition, first)), min(last, (end or {}).get(partition, last))
        if offset < stop:
            yield partition, offset, stop


def is_empty(view: BrokerView, topic: str, partition: int, begin: int, end: int) -> bool:
    """Whether no message stands from `begin` (inclusive) to `end`: Kafka keeps marks of transactions there that no reader is given."""
    others = {each: last for each, (_, last) in view.bounds(topic).items()}
    return next(view.messages(topic, others | {partition: begin}, {partition: end}), None) is None


def open_view(settings: Settings) -> BrokerView | None:
    """A view of WEBLOGS_BROKER; None if the embedded log has no file yet.

    Raises SettingsError for a broker that is not supported, LogError for one that cannot be read or reached.
    """
    scheme = settings.broker.partition(":")[0]
    if scheme == "sqlite":
        from app.transports.embedded.file import log_path
        from app.transports.embedded.view import EmbeddedView

        path = log_path(settings.broker)
        return EmbeddedView(path) if path.exists() else None
    if scheme == "kafka":
        from app.transports.kafka.view import KafkaView

        return KafkaView(settings)
    raise unknown_broker(settings)


@contextmanager
def opened_view(settings: Settings) -> Iterator[BrokerView | None]:
    """The view of `open_view`, closed in the end."""
    view = open_view(settings)
    with nullcontext() if view is None else closing(view):
        yield view


def unknown_broker(settings: Settings) -> SettingsError:
    """The error for a WEBLOGS_BROKER that is none."""
    scheme = settings.broker.partition(":")[0]
    return SettingsError(
        f"WEBLOGS_BROKER={settings.broker!r}: no broker {scheme!r} is known; write sqlite:///FILE or kafka://HOST:PORT"
    )
