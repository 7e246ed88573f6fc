"""Killed at any moment and at every named point, no vote is lost and none counts twice. Votes: N (100,000)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.process.crash_points import COUNT_POINTS
from tests.flow.running import KILLED, Flow
from tests.flow.voting import assert_votes_are_true, kill_while, simulate, stored_votes
from tests.ports import free_port

VOTES = int(os.environ.get("N", "100000"))


@pytest.fixture
def flow(tmp_path: Path) -> Iterator[Flow]:
    with Flow(tmp_path / "var", WEB_PORT=free_port(), PARTITIONS=8) as flow:
        yield flow


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("rule", ["one a vote id", "one a user"])
def test_ten_kills_at_random_change_no_count(flow: Flow, tmp_path: Path, rule: str) -> None:
    truth, options = tmp_path / "truth.json", []
    if rule == "one a user":
        flow.options["VOTE_ONE_PER_USER"] = "true"
        options = ["--users", VOTES // 3, "--one-per-user"]
    flow.start_worker()
    flow.wait_started()
    client = simulate(flow, "votes", "-n", VOTES, "--seed", 3, "--truth", truth, "--rate", VOTES / 60, *options)
    assert kill_while(flow, client, 10, 5, 4.0) == 10
    assert client.wait(600) == 0, (flow.folder / "simulate.log").read_text()
    flow.wait_drained(300)
    assert_votes_are_true(*stored_votes(flow.folder), json.loads(truth.read_text()))


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", [*COUNT_POINTS, "changelog", "applied", "recovery", "store_written"])
def test_a_worker_killed_at_a_named_point_counts_every_vote_once(flow: Flow, tmp_path: Path, point: str) -> None:
    """Each point is passed at the first and at the third time; every kill is seen to happen."""
    truth = tmp_path / "truth.json"
    flow.start_worker(CHANGELOG_BATCH_BYTES=8192)
    flow.wait_started()
    if point == "recovery":  # there must be something that is not on disk beside the log
        flow.options["TABLE_STORE"] = "memory"
    client = simulate(flow, "votes", "-n", 10_000, "--seed", 4, "--rate", 2000, "--batch", 200, "--truth", truth)
    if point == "recovery":
        assert client.wait(120) == 0
        flow.wait_drained()
    flow.kill_worker()
    for nth in (1, 3):
        worker = flow.start_worker(CRASH_AT=f"{point}:{nth}", CHANGELOG_BATCH_BYTES=8192)
        assert worker.wait(120) == KILLED, f"{point} was not reached:\n{flow.log_text()[-2000:]}"
    flow.start_worker(CHANGELOG_BATCH_BYTES=8192)
    assert client.wait(240) == 0, (flow.folder / "simulate.log").read_text()
    flow.wait_drained(120)
    assert_votes_are_true(*stored_votes(flow.folder), json.loads(truth.read_text()))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_vote_that_was_answered_with_success_is_counted_though_the_worker_is_killed_at_full_load(
    flow: Flow, tmp_path: Path
) -> None:
    """One by one from 100 connections, the client's own journal compared."""
    journal, truth = tmp_path / "journal", tmp_path / "truth.json"
    flow.start_worker()
    flow.wait_started()
    client = simulate(
        flow,
        "votes",
        "-n",
        VOTES // 2,
        "--batch",
        1,
        "--connections",
        100,
        "--journal",
        journal,
        "--truth",
        truth,
        "--seed",
        6,
    )
    assert kill_while(flow, client, 10, 8, 2.0) == 10
    assert client.wait(500) == 0, (flow.folder / "simulate.log").read_text()
    flow.wait_drained(300)
    votes, counts = stored_votes(flow.folder)
    answered = set(journal.read_text().split())
    assert answered == set(votes)
    assert_votes_are_true(votes, counts, json.loads(truth.read_text()))
