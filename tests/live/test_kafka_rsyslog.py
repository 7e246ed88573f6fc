"""rsyslog feeds the flow, line by line: every line is counted, and once, though rsyslog is killed on the way, or Kafka is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.domain.windows import Rules
from tests.flow.content import differences, reduced
from tests.flow.test_flow import simulate
from tests.live.rsyslog import Rsyslog, feed, read_until, reader
from tests.live.running import Live
from tests.services.server import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
LINES = 10_000
FIELDS = ("first", "last", "ranges", "missing", "covered_bytes", "verdict", "reason", "hits", "bytes_sent")


def test_ten_thousand_lines_from_rsyslog_are_counted_each_once(tmp_path: Path, broker: Server) -> None:
    log, _ = simulate(tmp_path, LINES)
    lines = log.read_bytes().splitlines()[1:]
    shipped = tmp_path / "access.log"
    shipped.touch()
    with Live(tmp_path / "live", broker, FORMAT="weblog_tsv", WINDOW="all") as live:
        live.start_worker()
        live.wait_started()
        with Rsyslog(tmp_path / "rsyslog", f"127.0.0.1:{broker.port}", shipped) as rsyslog:
            rsyslog.check()
            feed(shipped, lines[:4000])
            time.sleep(1)
            rsyslog.kill()
            feed(shipped, lines[4000:6000])
            rsyslog.start()
            feed(shipped, lines[6000:])
            live.wait_until(lambda: len(live.raw_ids()[0]) >= len(lines), "all lines to be tokenized", 120)
        live.wait_drained()
        hits, rejects = live.raw_ids()
        assert len(hits) == len(lines) == LINES
        assert not rejects
        # one window a key: the partitions of a shipper that sends days of old lines at once are no watermark for one another
        content, _ = reduced(log, rules=Rules("all"), fields=FIELDS)
        assert differences(live.deliveries(FIELDS), content) == ""


@pytest.mark.parametrize("ending", [Rsyslog.stop, Rsyslog.kill], ids=["stopped", "killed"])
def test_lines_that_come_while_kafka_is_away_are_all_sent_though_rsyslog_ends_meanwhile(
    tmp_path: Path, broker: Server, ending: Callable[[Rsyslog], None]
) -> None:
    log, _ = simulate(tmp_path, 16 * LINES)
    lines = log.read_bytes().splitlines()[1:]
    shipped = tmp_path / "access.log"
    shipped.touch()
    address = f"127.0.0.1:{broker.port}"
    found: dict[str, bytes] = {}
    with reader(address) as consumer, Rsyslog(tmp_path / "rsyslog", address, shipped) as rsyslog:
        feed(shipped, lines[:LINES])
        read_until(consumer, 1, found)
        broker.kill()
        feed(shipped, lines[LINES : 15 * LINES])  # more than rsyslog and its Kafka client hold in memory
        time.sleep(5)
        ending(rsyslog)
        feed(shipped, lines[15 * LINES :])
        rsyslog.start()
        time.sleep(5)
        broker.start()
        broker.wait_ready()
        read_until(consumer, len(lines), found)
    assert sorted(found.values()) == sorted(lines)
