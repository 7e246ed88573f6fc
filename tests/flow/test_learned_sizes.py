"""The worker learns sizes of files from its store, and judges by them at a delivery's next hit; `check` agrees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.flow.content import stored
from tests.flow.running import WAIT_S, Flow

FIELDS = ("verdict", "reason", "evidence", "total_bytes")
UNKNOWN = ("unknown", "size_unknown", "bytes", None)
WHOLE = ("complete", None, "learned", 1000)
A_SECOND = 0.0003
"""In hours, about."""


def line(client: int, hour: int, sent: int = 1000) -> str:
    return f'192.0.2.{client} - - [01/Nov/2020:{hour:02}:00:00 +0000] "GET /film.mp4 HTTP/1.1" 200 {sent} "-" "VLC"\n'


def app(flow: Flow, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app", *words]
    return subprocess.run(
        command, cwd=ROOT, env=flow.environment(), capture_output=True, text=True, check=False, timeout=WAIT_S
    )


def verdicts(flow: Flow) -> dict[str, tuple[object, ...]]:
    return {key[0].rpartition(".")[2]: row for key, row in stored(flow.folder, FIELDS).items()}


@pytest.mark.long
def test_plain_200s_are_complete_once_their_size_is_learned_and_check_names_no_difference(tmp_path: Path) -> None:
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    first.write_text(line(1, 10) + line(2, 10) + line(3, 10) + line(4, 10, sent=400))
    second.write_text(line(1, 11) + line(2, 11) + line(4, 11, sent=400))
    with Flow(tmp_path / "var", LEARN_SIZES=A_SECOND) as flow:
        flow.start_worker()
        flow.wait_started()
        flow.replay_all(first)
        flow.wait_drained()
        assert verdicts(flow) == dict.fromkeys("1234", UNKNOWN)
        learned = flow.folder / "learned-sizes.tsv"
        flow.wait_for(lambda: learned.exists() and "GET /film.mp4\t1000\t" in learned.read_text(), "a learned size")
        checked = app(flow, "check", "--quiet")
        assert (checked.returncode, checked.stdout.splitlines()[-1]) == (0, "no differences"), checked.stdout
        flow.replay_all(second)
        flow.wait_drained()
        found = verdicts(flow)
        assert (found["1"], found["2"], found["3"]) == (WHOLE, WHOLE, UNKNOWN)
        assert found["4"] == ("partial", "cut_off", "learned", 1000)
        checked = app(flow, "check", "--quiet")
        assert (checked.returncode, checked.stdout.splitlines()[-1]) == (0, "no differences"), checked.stdout
        assert app(flow, "repair", "--quiet").returncode == 0
        assert verdicts(flow)["3"] == WHOLE
        checked = app(flow, "check", "--quiet")
        assert (checked.returncode, checked.stdout.splitlines()[-1]) == (0, "no differences"), checked.stdout
        flow.stop_worker()
        flow.start_worker()  # what was learned outlives the worker
        flow.wait_for(lambda: flow.log_text().count("listening on") == 2, "the second start")
        second.write_text(line(5, 12))
        flow.replay_all("--again", second)
        flow.wait_drained()
        assert verdicts(flow)["5"] == WHOLE


@pytest.mark.long
def test_sizes_that_cannot_be_kept_stop_nothing_and_the_log_says_so(tmp_path: Path) -> None:
    log = tmp_path / "some.log"
    log.write_text(line(1, 10) + line(2, 10))
    with Flow(tmp_path / "var", LEARN_SIZES=A_SECOND) as flow:
        (flow.folder / "learned-sizes.tsv").mkdir()
        flow.start_worker()
        flow.wait_started()
        flow.replay_all(log)
        flow.wait_drained()
        flow.wait_for(lambda: flow.log_text().count("no sizes learned for now") > 1, "a second try")
        assert verdicts(flow) == dict.fromkeys("12", UNKNOWN)
        assert "the sizes known before stay" in flow.log_text()
        flow.stop_worker()
        assert flow.worker is not None and flow.worker.returncode == 0
