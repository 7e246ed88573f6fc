"""rsyslog ships a growing log, line by line, through its own death and a rotation."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer

from tests import ROOT
from tests.live.rsyslog import Rsyslog, feed, read_until, reader

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
BROKER = os.environ.get("WEBLOGS_BROKER", "kafka://127.0.0.1:9092").removeprefix("kafka://")
LINES = 10_000


@pytest.fixture
def lines(tmp_path: Path) -> list[bytes]:
    """Simulated, without the head line."""
    out = tmp_path / "simulated.log"
    subprocess.run(
        [sys.executable, "-m", "app", "simulate", "weblogs", "-q", "-n", str(LINES), "-o", str(out)],
        cwd=ROOT,
        check=True,
        timeout=100,
    )
    return out.read_bytes().splitlines()[1:]


@pytest.fixture
def consumer() -> Iterator[KafkaConsumer]:
    with reader(BROKER) as made:
        yield made


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
