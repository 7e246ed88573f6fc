"""The embedded log as a TopicReader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from app.transports.embedded.reader import LogReader

__all__ = ["EmbeddedTopics"]


class EmbeddedTopics:
    """Reads beside a running worker; writes nothing. What is trimmed meanwhile is passed over."""

    def __init__(self, path: Path) -> None:
        self._log = LogReader(path)
        _ = self._log.topics  # a file that is no log says so here

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        return {partition: bounds for (name, partition), bounds in self._log.bounds().items() if name == topic}

    def read(
        self, topic: str, begin: Mapping[int, int] | None = None, end: Mapping[int, int] | None = None
    ) -> Iterator[tuple[int, int, bytes]]:
        for partition, (first, last) in sorted(self.bounds(topic).items()):
            offset = max(first, (begin or {}).get(partition, first))
            stop = min(last, (end or {}).get(partition, last))
            while offset < stop:
                records = self._log.read(topic, partition, offset)
                for record in records:
                    if record.offset < stop and record.packed is None:
                        yield partition, record.offset, record.value or b""
                offset = records[-1].offset + (records[-1].packed or 1) if records else stop

    def committed(self, group: str, topic: str) -> dict[int, int]:
        return {partition: offset for (name, partition), offset in self._log.committed(group).items() if name == topic}

    def lag(self) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        for (group, topic, _), waiting in self._log.lag().items():
            found[group, topic] = found.get((group, topic), 0) + waiting
        return found

    def close(self) -> None:
        self._log.close_readers()
