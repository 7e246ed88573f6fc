"""Votes on a worker of the embedded default: the examples by curl, and everything up to the store."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.__main__ import main
from app.errors import WorkerError
from app.settings import Settings
from app.transports.messages import Message
from app.transports.producers import open_producer
from simulator.commands.simulate import command as simulate_command
from tests import ROOT
from tests.flow.content import stored_raw
from tests.flow.running import Flow
from tests.flow.voting import assert_votes_are_true, call, get, post, simulate, stored_votes
from tests.ports import free_port


@pytest.fixture
def flow(tmp_path: Path) -> Iterator[Flow]:
    with Flow(tmp_path / "var", ADMIN_TOKEN="secret") as flow:
        flow.start_worker()
        flow.wait_started()
        yield flow
        if flow.worker is not None and flow.worker.poll() is None:
            flow.stop_worker()


def shown_calls() -> list[str]:
    """The curl calls of the how-to page, in order."""
    text = (ROOT / "docs" / "how-to" / "collect-votes.md").read_text()
    section = text.partition("## Vote, and see the result")[2].partition("\n## ")[0]
    return [line.removeprefix("$ ") for line in section.splitlines() if line.startswith("$ curl ")]


def test_the_calls_of_the_docs_give_their_answers_on_a_fresh_worker(flow: Flow) -> None:
    answers = []
    for shown in shown_calls():
        command = shown.replace("http://127.0.0.1:5000/", flow.url())
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=True)
        answers.append(json.loads(done.stdout))
    assert [answer.get("success") for answer in answers[:3]] == [True, True, False]
    assert answers[2] == {"success": False, "error_message": "candidate_id is required!"}
    assert answers[3] == [[{"candidate_id": 2, "num_vote": 2}], [{"total_vote_10_min": 2}]]


def test_votes_count_once_in_the_window_of_their_time_whatever_is_sent_again(flow: Flow) -> None:
    url, now = flow.url(), time.time()
    votes: list[dict[str, Any]] = [
        {"candidate_id": 1 + i % 3, "vote_id": f"v{i}", "kiosk_id": f"k{i % 7}", "vote_time": now - i * 60}
        for i in range(120)
    ]
    for _ in range(2):
        status, body = post(url, "/votes/", votes)
        assert (status, body["votes"]) == (200, 120)
    for vote in votes[:10]:
        assert post(url, "/vote/", vote | {"candidate_id": 3, "vote_time": now})[0] == 200
    flow.wait_drained()
    result = json.loads(call(url, "/result/", headers={"Cache-Control": "no-cache"})[2])
    assert result[0] == [{"candidate_id": candidate, "num_vote": 40} for candidate in (1, 2, 3)]
    shown = get(url, "/voting_distribution")
    assert (shown["total_vote"], shown["repeats"]) == (120, 130)
    expected: dict[tuple[int, int], int] = {}
    for vote in votes:
        at = (int(vote["vote_time"]) // 600 * 600, vote["candidate_id"])
        expected[at] = expected.get(at, 0) + 1
    windows = get(url, f"/voting_distribution?from={now - 9000}&to={now + 600}")["windows"]
    assert sorted(row["num_vote"] for row in windows) == sorted(expected.values())


@pytest.mark.long
def test_a_restart_keeps_every_count_and_knows_every_id(flow: Flow) -> None:
    votes = [{"candidate_id": 2, "vote_id": f"v{i}"} for i in range(50)]
    assert post(flow.url(), "/votes/", votes)[0] == 200
    flow.wait_drained()
    flow.kill_worker()
    (flow.folder / "worker.log").unlink()
    flow.start_worker()
    flow.wait_started()
    assert post(flow.url(), "/votes/", [*votes, {"candidate_id": 2, "vote_id": "new"}])[0] == 200
    assert get(flow.url(), "/result/")[0] == [{"candidate_id": 2, "num_vote": 51}]
    flow.kill_worker()
    worker = flow.start_worker(VOTE_WINDOW=300)
    assert post_one_and_wait(flow, worker) == 78
    assert "WEBLOGS_VOTE_WINDOW" in flow.log_text()


def post_one_and_wait(flow: Flow, worker: subprocess.Popen[bytes]) -> int:
    """A vote makes the worker look at the state."""
    deadline = time.monotonic() + 30
    while worker.poll() is None and time.monotonic() < deadline:
        try:
            post(flow.url(), "/vote/", {"candidate_id": 2})
        except OSError:
            pass
        time.sleep(0.2)
    return worker.wait(30)


@pytest.mark.long
def test_candidates_come_from_the_command_line_and_from_a_file(flow: Flow, tmp_path: Path) -> None:
    file = tmp_path / "candidates.csv"
    file.write_text('id,name\n10,"Ada, Countess"\n11,Grace\n')

    def candidates(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / ".venv/bin/python"), "-m", "app", "candidates", *map(str, arguments)]
        return subprocess.run(
            command, cwd=ROOT, env=flow.environment(), capture_output=True, text=True, timeout=60, check=False
        )

    assert "demo list 1 to 3" in candidates("list").stderr
    assert candidates("import", file).returncode == candidates("add", 12, "Linus").returncode == 0
    assert candidates("list").stdout == "10\tAda, Countess\n11\tGrace\n12\tLinus\n"
    assert candidates("add", "x", "Ada").returncode == 1
    file.write_text("10\n")
    assert "needs an id and a name" in candidates("import", file).stderr
    assert post(flow.url(), "/vote/", {"candidate_id": 12})[0] == 200
    time.sleep(5)
    assert post(flow.url(), "/vote/", {"candidate_id": 2})[0] == 400


@pytest.mark.long
def test_the_sample_clients_lose_no_vote_while_the_worker_is_away(tmp_path: Path) -> None:
    with Flow(tmp_path / "var", WEB_PORT=free_port()) as flow:
        url = f"http://127.0.0.1:{flow.options['WEB_PORT']}"
        shell = [str(ROOT / "samples/vote_client.sh")]
        python = [
            str(ROOT / ".venv/bin/python"),
            str(ROOT / "samples/vote_client.py"),
            "--url",
            url,
            "--spool",
            str(tmp_path / "py.spool"),
        ]

        def run(*command: str) -> subprocess.CompletedProcess[str]:
            environment = {
                "PATH": "/usr/bin:/bin",
                "VOTES_URL": url,
                "SPOOL": str(tmp_path / "sh.spool"),
                "KIOSK": "hall",
            }
            return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

        assert run(*shell, "2", "a & b").returncode == 1
        assert run(*python, "--candidate", "3", "--opinion", "ü", "--tries", "1").returncode == 1
        flow.start_worker()
        flow.wait_started()
        assert run(*shell, "2").returncode == 0
        assert run(*shell).returncode == 0
        assert run(*python, "--candidate", "3").returncode == 0
        flow.wait_drained()
        votes, counts = stored_votes(flow.folder)
    assert counts["total"] == {("2", 0): 2, ("3", 0): 2}
    assert sorted(vote.opinion or "" for vote in votes.values()) == ["", "", "a & b", "ü"]


@pytest.mark.long
def test_simulated_votes_come_out_as_their_truth_in_small_slices_and_bad_messages_are_rejected(tmp_path: Path) -> None:
    truth, journal = tmp_path / "truth.json", tmp_path / "journal"
    with Flow(tmp_path / "var", WEB_PORT=free_port(), CHANGELOG_BATCH_BYTES=4096) as flow:
        flow.start_worker()
        flow.wait_started()
        with closing(open_producer(Settings(data_dir=flow.folder))) as producer:
            values = (b"no JSON", b'[["good", 3, 1.0], ["bad"]]', b"", b"\xff")
            producer.append([Message("votes", at, None, value, {}, time.time()) for at, value in enumerate(values)])
        client = simulate(
            flow, "votes", "-n", 1500, "--truth", truth, "--journal", journal, "--batch", 100, "--seed", 5
        )
        assert client.wait(60) == 0, (flow.folder / "simulate.log").read_text()
        flow.wait_drained()
        votes, counts = stored_votes(flow.folder)
        rejects = stored_raw(flow.folder)[1]
        flow.stop_worker()
    good = votes.pop("good")
    assert good.candidate_id == 3 and good.time == 1.0
    counts["total"]["3", 0] -= 1
    del counts["window"]["3", 0], counts["kiosk"]["3/", 0], counts["second"]["", 1]
    assert_votes_are_true(votes, counts, json.loads(truth.read_text()))
    assert set(journal.read_text().split()) == set(votes)
    assert rejects.total() == 4


def test_simulated_votes_can_be_written_down_instead(tmp_path: Path) -> None:
    run = CliRunner().invoke
    out, truth = tmp_path / "votes.jsonl", tmp_path / "truth.json"
    asked = [
        "votes",
        "-n",
        "200",
        "--until",
        "2026-01-01T00:00:00Z",
        "-o",
        str(out),
        "--truth",
        str(truth),
        "--users",
        "20",
    ]
    done = run(main, ["simulate", *asked])
    assert done.exit_code == 0, done.output
    votes = [json.loads(line) for line in out.read_text().splitlines()]
    true = json.loads(truth.read_text())
    assert len(votes) == true["sent"] and len({vote["vote_id"] for vote in votes}) == true["votes"] == 200
    assert {vote["user_id"][0] for vote in votes} == {"u"}
    for wrong in (["--one-per-user"], ["--until", "x"], ["--candidates", "x"]):
        assert run(main, ["simulate", "votes", "-n", "1", "-o", str(out), *wrong]).exit_code == 2


@pytest.mark.long
def test_a_client_gives_up_a_worker_that_is_not_there_and_tells_what_a_worker_refuses(flow: Flow) -> None:
    run = CliRunner().invoke
    nobody = run(
        simulate_command,
        ["votes", "-n", "3", "--url", f"http://127.0.0.1:{free_port()}", "--patience", "0.2", "--batch", "1"],
    )
    assert isinstance(nobody.exception, WorkerError) and "took nothing for 0.2 s" in str(nobody.exception)
    refused = run(main, ["simulate", "votes", "-n", "3", "--url", flow.url(), "--candidates", "77"])
    assert refused.exit_code == 1 and "There is no candidate 77" in refused.output
