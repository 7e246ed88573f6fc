"""What may grow and what may not. Lines: N, 100,000 at least: the log must be larger than its bound."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.flow.content import differences, reduced, stored, stored_raw
from tests.flow.running import Flow
from tests.flow.test_flow import simulate

LINES = max(100_000, int(os.environ.get("N", "100000")))
LOG_MAX_BYTES = 8 << 20
MIB = 1 << 20


def log_file_bytes(flow: Flow) -> int:
    return sum(path.stat().st_size for path in flow.folder.glob("weblogs-log.db*"))


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_without_a_worker_the_log_fills_up_to_its_bound_and_a_worker_then_counts_everything(tmp_path: Path) -> None:
    log, _ = simulate(tmp_path, LINES)
    assert log.stat().st_size > LOG_MAX_BYTES * 1.5
    with Flow(tmp_path / "var", LOG_MAX_BYTES=LOG_MAX_BYTES, LOG_KEEP=1) as flow:
        flow.start_worker()
        flow.wait_started()
        flow.kill_worker()
        replay = flow.replay(log)
        deadline = time.monotonic() + 60
        while log_file_bytes(flow) < LOG_MAX_BYTES and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(2)
        assert replay.poll() is None  # it waits
        assert log_file_bytes(flow) < 3 * LOG_MAX_BYTES
        worker = flow.start_worker()
        assert replay.wait(1200) == 0
        flow.wait_drained(1200)
        status = Path(f"/proc/{worker.pid}/status").read_text()
        peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
        flow.stop_worker()
        content, statistics = reduced(log)
        assert differences(stored(flow.folder), content) == ""
        hits, _ = stored_raw(flow.folder)
        assert hits.total() == statistics.hits
        # messages are trimmed, the changelog is compacted: neither grows with the lines
        assert log_file_bytes(flow) < 400 * MIB
        assert peak < 700 * MIB
