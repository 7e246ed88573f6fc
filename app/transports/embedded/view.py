"""The embedded log as a BrokerView."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from app.transports.broker_view import GroupPositions, StoredMessage, spans
from app.transports.embedded.reader import LogReader
from app.transports.messages import unpack_headers

__all__ = ["EmbeddedView", "positions_in"]


def positions_in(log: LogReader, groups: Sequence[str]) -> GroupPositions:
    """How far these groups are in a log."""
    lag = {key: waiting for key, waiting in log.lag().items() if key[0] in groups}
    return GroupPositions(lag, {group: log.committed(group) for group in groups})


class EmbeddedView:
    """Reads beside a running worker; writes nothing. What is trimmed meanwhile is passed over."""

    def __init__(self, path: Path) -> None:
        self._log = LogReader(path)
        self.groups, self.ends, self.committed = self._log.groups, self._log.ends, self._log.committed
        self.incarnation = self._log.incarnation
        _ = self._log.topics  # a file that is no log says so here

    def problems(self) -> list[str]:
        """None: nobody else changes the topics of this file."""
        return []

    def positions(self, groups: Sequence[str]) -> GroupPositions:
        return positions_in(self._log, groups)

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        return {partition: bounds for (name, partition), bounds in self._log.bounds().items() if name == topic}

    def read(
        self, topic: str, begin: Mapping[int, int] | None = None, end: Mapping[int, int] | None = None
    ) -> Iterator[tuple[int, int, bytes]]:
        for each in self.messages(topic, begin, end):
            yield each.partition, each.offset, each.value

    def messages(
        self, topic: str, begin: Mapping[int, int] | None = None, end: Mapping[int, int] | None = None
    ) -> Iterator[StoredMessage]:
        for partition, offset, stop in spans(self, topic, begin, end):
            while offset < stop:
                records = self._log.read(topic, partition, offset)
                for record in records:
                    if record.offset < stop and record.packed is None:
                        headers = unpack_headers(record.headers)
                        yield StoredMessage(partition, record.offset, record.timestamp, record.value or b"", headers)
                offset = records[-1].offset + (records[-1].packed or 1) if records else stop

    def close(self) -> None:
        self._log.close_readers()
