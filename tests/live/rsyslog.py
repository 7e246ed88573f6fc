"""rsyslogd with the configuration of its how-to page, as a process that can be killed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from tests.live.shipper import Shipper, of_page

__all__ = ["Rsyslog", "feed", "read_until", "reader"]

WAIT_S = 120.0


class Rsyslog(Shipper):
    """One rsyslogd that ships one file."""

    program = "rsyslogd"
    packages = "rsyslog rsyslog-kafka"

    def __init__(self, folder: Path, broker: str, log: Path) -> None:
        """`broker`: HOST:PORT."""
        places = {
            "/var/lib/weblogs-rsyslog": str(folder / "state"),
            "/var/log/nginx/access.log": str(log),
            "127.0.0.1:9092": broker,
        }
        super().__init__(folder, of_page("ship-with-rsyslog.md", "rsyslog", places))

    def checking(self) -> list[str]:
        return [self.place(), "-N1", "-f", str(self.configuration)]

    def command(self) -> list[str]:
        return [self.place(), "-n", "-f", str(self.configuration), "-i", str(self._folder / "rsyslogd.pid")]

    def prepare(self) -> None:
        (self._folder / "rsyslogd.pid").unlink(missing_ok=True)
        for state in (self._folder / "state").glob("imfile-state:*"):
            state.unlink()


@contextmanager
def reader(broker: str) -> Iterator[KafkaConsumer]:
    """Reads the topic of the lines from its present end on; the topic is made where there is none. `broker`: HOST:PORT."""
    with closing(KafkaAdminClient(bootstrap_servers=broker)) as admin:
        if "weblogs" not in admin.list_topics():
            admin.create_topics([NewTopic("weblogs", 4, 1)])
            admin.wait_for_topics(["weblogs"], timeout_ms=30_000)
    with closing(KafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False)) as made:
        places = [TopicPartition("weblogs", partition) for partition in sorted(made.partitions_for_topic("weblogs"))]
        made.assign(places)
        for place, end in made.end_offsets(places).items():
            made.seek(place, end)
        yield made


def read_until(consumer: KafkaConsumer, wanted: int, found: dict[str, bytes]) -> int:
    """Add id -> line of the messages until there are so many ids; how many messages it took."""
    messages = 0
    deadline = time.monotonic() + WAIT_S
    while len(found) < wanted:
        assert time.monotonic() < deadline, f"{len(found)} of {wanted} lines arrived in {messages} messages"
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                envelope: dict[str, Any] = json.loads(record.value)
                assert set(envelope) == {"id", "line"}
                messages += 1
                assert found.setdefault(envelope["id"], envelope["line"].encode()) == envelope["line"].encode()
    return messages


def feed(log: Path, lines: list[bytes], pause_s: float = 0.0) -> None:
    """Append lines to a file one by one, each at once on its way, as a web server does."""
    with log.open("ab", buffering=0) as out:
        for line in lines:
            out.write(line + b"\n")
            if pause_s:
                time.sleep(pause_s)
