"""Worker, `reduce` and simulator agree on a large log, in each window mode. Lines: N (100,000)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.domain.windows import Rules
from tests.flow.content import TRUE_FIELDS, differences, reduced, stored, stored_raw, truth
from tests.flow.running import Flow
from tests.flow.test_flow import simulate

LINES = int(os.environ.get("N", "100000"))


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("window", ["last_touch", "first_touch", "day", "all"])
def test_worker_reduce_and_simulator_agree_on_a_large_log(tmp_path: Path, window: str) -> None:
    log, answers = simulate(tmp_path, LINES, "--window", window)
    with Flow(tmp_path / "var", WINDOW=window) as flow:
        flow.start_worker()
        flow.wait_started()
        flow.replay_all(log)
        flow.wait_drained(1200)
        flow.kill_worker()
        found = stored(flow.folder)
        assert differences(stored(flow.folder, TRUE_FIELDS), truth(answers)) == ""
        raw, rejects = stored_raw(flow.folder)
        # the table is there again after a restart: all of it once more changes nothing
        flow.start_worker()
        flow.wait_started()
        flow.replay_all("--again", log)
        flow.wait_drained(1200)
        assert differences(stored(flow.folder), found) == ""
        assert stored_raw(flow.folder) == (raw, rejects)
    content, statistics = reduced(log, rules=Rules(window))
    assert differences(found, content) == ""
    assert raw.total() == len(raw) == statistics.hits
    assert statistics.lines == raw.total() + rejects.total() + statistics.heads
