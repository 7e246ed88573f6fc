"""On the embedded log: what was trimmed before a group read it is told until somebody acknowledges it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests import ROOT
from tests.flow.running import Flow
from tests.flow.test_flow import simulate

SENTENCE = "were not read by group weblogs-sqlite: they were deleted"


def app(flow: Flow, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app", *arguments]
    return subprocess.run(command, cwd=ROOT, env=flow.environment(), capture_output=True, text=True, check=False)


def problems(flow: Flow) -> list[str]:
    import json
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(flow.url() + "health/", timeout=10) as answer:
            return list(json.load(answer)["problems"])
    except urllib.error.HTTPError as error:
        return list(json.load(error)["problems"])


def wait_for(flow: Flow, told: bool) -> None:
    deadline = time.monotonic() + 30
    while any(SENTENCE in each for each in problems(flow)) is not told:
        assert time.monotonic() < deadline, flow.log_text()[-3000:]
        time.sleep(0.2)


@pytest.mark.long
def test_what_was_trimmed_before_a_store_read_it_is_told_until_it_is_acknowledged(tmp_path: Path) -> None:
    """A store that is added to a flow that has run for a while."""
    log, _ = simulate(tmp_path, 300)
    with Flow(tmp_path / "flow", LOG_KEEP=0) as flow:
        flow.start_worker()
        flow.wait_started()
        flow.replay_all(log)
        flow.wait_drained()
        flow.stop_worker()
        with closing(sqlite3.connect(flow.folder / "weblogs-log.db")) as db, db:
            # of this topic alone: a tick may wait unread in another
            db.execute("DELETE FROM records WHERE count IS NULL AND id >> 40 IN"
                       " (SELECT p.no FROM partitions p JOIN topics t ON t.no = topic_no WHERE name = 'weblogs_reduced')")  # fmt: skip
            db.execute("UPDATE partitions SET first_offset = next_offset WHERE topic_no IN"
                       " (SELECT no FROM topics WHERE name = 'weblogs_reduced')")  # fmt: skip
            db.execute("DELETE FROM committed WHERE consumer_group = 'weblogs-sqlite' AND partition_no IN"
                       " (SELECT p.no FROM partitions p JOIN topics t ON t.no = topic_no WHERE name = 'weblogs_reduced')")  # fmt: skip
        done = app(flow, "check", "--quiet")
        assert done.returncode == 1 and SENTENCE in done.stdout, done.stdout + done.stderr
        (flow.folder / "worker.log").unlink()
        flow.start_worker()
        flow.wait_started()
        wait_for(flow, True)
        assert SENTENCE in flow.log_text()
        assert SENTENCE in app(flow, "topics", "acknowledge").stdout
        wait_for(flow, False)
        flow.stop_worker()
        done = app(flow, "check", "--quiet")
        assert SENTENCE in done.stdout and "This was acknowledged." in done.stdout
        assert "message" not in "".join(line for line in done.stdout.splitlines() if line.endswith("missing"))
