"""Killed at any moment and at every named point, each hit counts once, in the sums and in what is told of them. Lines: N (100,000)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.process.crash_points import COUNT_POINTS
from app.settings import Settings
from tests.flow.running import KILLED, Flow, kill_at_random
from tests.flow.test_flow import simulate
from tests.reports.faces import assert_one_answer, assert_served

LINES = int(os.environ.get("N", "100000"))


@pytest.fixture
def flow(tmp_path: Path) -> Iterator[Flow]:
    with Flow(tmp_path / "var", COUNT_REQUESTS="true", CHUNK_BYTES=64 << 10) as flow:
        yield flow


def assert_counted_once(flow: Flow, log: Path) -> None:
    flow.wait_drained(300)
    answers = assert_one_answer(log, "sqlite", Settings(data_dir=flow.folder, count_requests=True))
    assert_served(flow.url(), answers)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_ten_kills_at_random_change_no_answer(flow: Flow, tmp_path: Path) -> None:
    log, _ = simulate(tmp_path, LINES)
    kill_at_random(flow, 10, 5, log, "--rate", LINES / 40, "--chunk-bytes", 16 << 10)
    assert_counted_once(flow, log)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("point", [*COUNT_POINTS, "tokens_sent", "changelog", "applied", "store_written"])
def test_a_worker_killed_at_a_named_point_counts_every_hit_once(flow: Flow, tmp_path: Path, point: str) -> None:
    """Each point is passed at the first and at the third time; every kill is seen to happen."""
    log, _ = simulate(tmp_path, 20_000)
    replay = flow.replay("--rate", 5000, "--chunk-bytes", 32 << 10, log)
    for nth in (1, 3):
        worker = flow.start_worker(CRASH_AT=f"{point}:{nth}", CHANGELOG_BATCH_BYTES=8192)
        assert worker.wait(240) == KILLED, f"{point} was not reached:\n{flow.log_text()[-2000:]}"
    flow.start_worker(CHANGELOG_BATCH_BYTES=8192)
    assert replay.wait(240) == 0
    assert_counted_once(flow, log)
