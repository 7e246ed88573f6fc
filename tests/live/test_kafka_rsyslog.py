"""rsyslog feeds the flow, line by line: every line is counted, and once, though rsyslog is killed on the way."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from app.domain.windows import Rules
from tests.flow.content import differences, reduced
from tests.flow.test_flow import simulate
from tests.live.rsyslog import Rsyslog, feed
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
