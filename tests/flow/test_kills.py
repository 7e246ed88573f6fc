"""Killed at any moment and at every named point, nothing is lost and nothing counts twice. Lines: N (100,000)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.windows import Rules
from app.process.crash_points import REPLAY_POINTS, WORKER_POINTS
from tests.flow.content import TRUE_FIELDS, differences, reduced, stored, stored_raw, truth
from tests.flow.running import KILLED, Flow, kill_at_random
from tests.flow.test_flow import simulate

LINES = int(os.environ.get("N", "100000"))
BAD = b"no hit at all\n\n31.12.1999\tx\n"


@pytest.fixture(scope="module")
def log_and_truth(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A simulated log with some bad lines at its end."""
    log, answers = simulate(tmp_path_factory.mktemp("log"), LINES)
    with log.open("ab") as file:
        file.write(BAD)
    return log, answers


@pytest.fixture
def flow(tmp_path: Path) -> Iterator[Flow]:
    with Flow(tmp_path / "var", CHUNK_BYTES=64 << 10) as flow:
        yield flow


def assert_nothing_lost(flow: Flow, log: Path, answers: Path | None, rules: Rules = Rules()) -> None:
    flow.wait_drained(300)
    content, statistics = reduced(log, rules=rules)
    found = stored(flow.folder)
    assert differences(found, content) == ""
    if answers is not None:
        assert differences(stored(flow.folder, TRUE_FIELDS), truth(answers)) == ""
    hits, rejects = stored_raw(flow.folder)
    assert hits.total() == len(hits) == statistics.hits
    assert rejects.total() == len(rejects) == statistics.rejects.total() == 3
    assert statistics.lines == statistics.hits + statistics.rejects.total() + statistics.heads


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2])
def test_ten_kills_at_random_change_nothing(flow: Flow, log_and_truth: tuple[Path, Path], seed: int) -> None:
    log, answers = log_and_truth
    # one after another at a rate at which the kills fall into the run
    kill_at_random(flow, 10, seed, log, "--rate", LINES / 40, "--chunk-bytes", 16 << 10)
    assert_nothing_lost(flow, log, answers)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("point", WORKER_POINTS)
def test_a_worker_killed_at_a_named_point_loses_nothing(flow: Flow, tmp_path: Path, point: str) -> None:
    """Each point is passed at the first and at the third time; every kill is seen to happen."""
    log, answers = simulate(tmp_path, 20_000)
    with log.open("ab") as file:
        file.write(BAD)
    flow.start_worker()
    flow.wait_started()
    flow.kill_worker()
    replay = flow.replay("--rate", 5000, "--chunk-bytes", 32 << 10, log)
    if point == "recovery":  # there must be something to recover
        flow.start_worker()
        flow.wait_started()
        assert replay.wait(60) == 0
        flow.wait_drained()
        flow.kill_worker()
    for nth in (1, 3):
        worker = flow.start_worker(CRASH_AT=f"{point}:{nth}", CHANGELOG_BATCH_BYTES=8192)
        assert worker.wait(120) == KILLED, f"{point} was not reached:\n{flow.log_text()[-2000:]}"
    flow.start_worker(CHANGELOG_BATCH_BYTES=8192)
    assert replay.wait(120) == 0
    assert_nothing_lost(flow, log, answers)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", REPLAY_POINTS)
def test_a_replay_killed_at_a_named_point_goes_on_without_loss(flow: Flow, tmp_path: Path, point: str) -> None:
    log, answers = simulate(tmp_path, 20_000)
    with log.open("ab") as file:
        file.write(BAD)
    flow.start_worker()
    flow.wait_started()
    for nth in (1, 3):
        assert flow.replay("--chunk-bytes", 32 << 10, log, CRASH_AT=f"{point}:{nth}").wait(60) == KILLED
    flow.replay_all(log)
    assert_nothing_lost(flow, log, answers)
