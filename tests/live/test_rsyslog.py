"""rsyslog ships a growing log, line by line, through its own death and a rotation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from tests.live.rsyslog import Rsyslog, feed

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
ROOT = Path(__file__).resolve().parents[2]
BROKER = os.environ.get("WEBLOGS_BROKER", "kafka://127.0.0.1:9092").removeprefix("kafka://")
LINES = 10_000
WAIT_S = 120.0


@pytest.fixture
def lines(tmp_path: Path) -> list[bytes]:
    """Simulated, without the head line."""
    out = tmp_path / "simulated.log"
    subprocess.run(
        [sys.executable, "-m", "app", "simulate", "weblogs", "-q", "-n", str(LINES), "-o", str(out)], cwd=ROOT, check=True, timeout=100
    )
    return out.read_bytes().splitlines()[1:]


@pytest.fixture
def consumer() -> Iterator[KafkaConsumer]:
    """Reads the topic from its present end on; the topic is made where there is none."""
    with closing(KafkaAdminClient(bootstrap_servers=BROKER)) as admin:
        if "weblogs" not in admin.list_topics():
            admin.create_topics([NewTopic("weblogs", 4, 1)])
            admin.wait_for_topics(["weblogs"], timeout_ms=30_000)
    with closing(KafkaConsumer(bootstrap_servers=BROKER, enable_auto_commit=False)) as made:
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


def test_rsyslog_finds_nothing_wrong_with_the_configuration_of_the_page(tmp_path: Path) -> None:
    said = Rsyslog(tmp_path, BROKER, tmp_path / "access.log").check()
    assert "error" not in said.lower() and "warning" not in said.lower()


def test_every_line_arrives_under_one_id_though_rsyslogd_is_killed_and_the_log_rotates(
    tmp_path: Path, lines: list[bytes], consumer: KafkaConsumer
) -> None:
    log = tmp_path / "access.log"
    log.touch()
    found: dict[str, bytes] = {}
    with Rsyslog(tmp_path / "rsyslog", BROKER, log) as rsyslog:
        feed(log, lines[: LINES // 2], pause_s=0.0002)
        messages = read_until(consumer, 1, found)
        rsyslog.kill()
        feed(log, lines[LINES // 2 : LINES * 3 // 4])
        rsyslog.start()
        messages += read_until(consumer, LINES * 3 // 4, found)
        log.rename(tmp_path / "access.log.1")
        feed(log, lines[LINES * 3 // 4 :], pause_s=0.0002)
        messages += read_until(consumer, LINES, found)
    assert messages > LINES, "nothing was sent twice: the kill came too late to show anything"
    assert sorted(found.values()) == sorted(lines)
