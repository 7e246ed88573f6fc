"""On real Kafka: where nothing is wrong, the log says nothing above info."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.flow.test_flow import simulate
from tests.live.running import Live
from tests.services.server import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


def test_a_start_on_a_fresh_kafka_and_ordinary_load_log_nothing_above_info(tmp_path: Path, broker: Server) -> None:
    log, _ = simulate(tmp_path, 20_000)
    with Live(tmp_path / "live", broker) as live:
        for _ in range(2):  # the second start reads the state
            worker = live.start_worker()
            live.wait_started()
            live.replay(log).wait()
            live.wait_drained()
            worker.stop()
        told = worker.text()
    assert re.findall(r"^\S+Z (?:WARNING|ERROR|CRITICAL) .*", told, re.MULTILINE) == []
    assert "Traceback" not in told and "\x1b" not in told
    assert set(worker.exits) <= {0}
