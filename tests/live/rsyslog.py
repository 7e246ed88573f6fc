"""rsyslogd with the configuration of its how-to page, as a process that can be killed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

__all__ = ["Rsyslog", "feed", "read_until", "reader"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "ship-with-rsyslog.md"
WAIT_S = 120.0
INSTALL = "rsyslogd is not there: apt-get install rsyslog rsyslog-kafka"


class Rsyslog:
    """One rsyslogd that ships one file. `folder` holds its state; it is killed when the context ends."""

    def __init__(self, folder: Path, broker: str, log: Path) -> None:
        """`broker`: HOST:PORT."""
        found = shutil.which("rsyslogd") or shutil.which("rsyslogd", path="/usr/sbin:/sbin")
        assert found, INSTALL
        self._program, self._folder, self.log = found, folder, log
        (folder / "state").mkdir(parents=True, exist_ok=True)
        shown = re.search(r"^```rsyslog\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        assert shown
        text = shown[1]
        for place, here in (
            ("/var/lib/weblogs-rsyslog", str(folder / "state")),
            ("/var/log/nginx/access.log", str(log)),
            ("127.0.0.1:9092", broker),
        ):
            assert place in text, f"{PAGE.name} does not name {place}"
            text = text.replace(place, here)
        self.configuration = folder / "rsyslog.conf"
        self.configuration.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def check(self) -> str:
        """What rsyslogd says of the configuration; raises AssertionError where it finds it wrong."""
        done = subprocess.run(
            [self._program, "-N1", "-f", str(self.configuration)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def start(self) -> None:
        pid_file = self._folder / "rsyslogd.pid"
        pid_file.unlink(missing_ok=True)
        for state in (self._folder / "state").glob("imfile-state:*"):  # as the page does it
            state.unlink()
        with (self._folder / "rsyslogd.log").open("ab") as printed:
            command = [self._program, "-n", "-f", str(self.configuration), "-i", str(pid_file)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """As a service manager does it."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(90)

    def text(self) -> str:
        """What it printed."""
        return (self._folder / "rsyslogd.log").read_text(errors="replace")

    def __enter__(self) -> Rsyslog:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


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
