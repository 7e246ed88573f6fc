"""The worker on the embedded default gives the answers of `reduce` and of the examples."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

from app.client.__main__ import main
from app.domain.windows import Rules
from tests import ROOT
from tests.called import call_app, called
from tests.flow.content import differences, reduced, stored, stored_raw, truth
from tests.flow.running import Flow

NINE = ROOT / "samples" / "nine-lines.tsv"
FIREFOX = "63.110.194.22"
CHROME = "120.250.243.111"


def simulate(folder: Path, lines: int, *options: str, seed: int = 7) -> tuple[Path, Path]:
    log, answers = folder / f"sim-{seed}.tsv", folder / f"sim-{seed}.truth"
    command = [
        "simulate",
        "weblogs",
        "--lines",
        lines,
        "--seed",
        seed,
        "-o",
        log,
        "--truth",
        answers,
        "--quiet",
        *options,
    ]
    assert call_app(command, folder, {}).returncode == 0
    return log, answers


def ask(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The client."""
    return called(main, arguments, folder, {"DATA_DIR": folder})


@pytest.fixture(scope="module")
def nine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder into which a worker has brought the nine lines, then once more in other ways."""
    folder = tmp_path_factory.mktemp("nine")
    again = folder / "copy.gz"
    again.write_bytes(gzip.compress(NINE.read_bytes()))
    other_name = folder / "other name.log"
    shutil.copy(NINE, other_name)
    with Flow(folder / "var") as flow:
        flow.start_worker()
        flow.wait_started()
        flow.replay_all(NINE)
        flow.wait_drained()
        flow.replay_all("--again", "--line-by-line", NINE)
        flow.replay_all("--again", again)
        flow.replay_all("--again", "--chunk-bytes", 1024, other_name)
        flow.replay_all("--order", "reverse", NINE)
        flow.wait_drained()
        flow.stop_worker()
    return folder / "var"


def test_nine_lines_give_two_deliveries_and_nothing_is_added_by_sending_them_again(nine: Path) -> None:
    content, statistics = reduced(NINE)
    assert statistics.lines == 10
    assert differences(stored(nine), content) == ""
    assert sorted((key[0], row[2]) for key, row in stored(nine).items()) == [
        (CHROME, [[718, 1795]]),
        (FIREFOX, [[0, 1156]]),
    ]
    hits, rejects = stored_raw(nine)
    assert len(hits) == hits.total() == 9
    assert not rejects


@pytest.mark.parametrize(
    ("ip_address", "part", "code"),
    [
        (FIREFOX, (0, 1156), 0),
        (FIREFOX, (0, 1157), 1),
        (FIREFOX, (), 0),
        (CHROME, (0, 1795), 1),
        (CHROME, (718, 1795), 0),
        (CHROME, (), 1),
    ],
)
def test_the_client_answers_for_the_nine_lines(nine: Path, ip_address: str, part: tuple[int, ...], code: int) -> None:
    key = next(key for key in stored(nine) if key[0] == ip_address)
    bounds = ("-l", part[0], "-h", part[1]) if part else ()
    answer = ask(nine, "-i", key[0], "-u", key[1], "-r", key[2], *bounds)
    assert answer.returncode == code, answer.stdout + answer.stderr
    assert ask(nine, "-k", "_".join(key[:3]), *bounds).returncode == code


def test_the_client_knows_nothing_of_an_unknown_address(nine: Path) -> None:
    assert ask(nine, "-i", "192.0.2.1", "-u", "x", "-r", "/y").returncode == 3


@pytest.mark.long
def test_a_size_given_clips_the_ranges_and_flags_them(tmp_path: Path) -> None:
    sizes = tmp_path / "sizes.tsv"
    sizes.write_text("/6d8a9754-e8c7-4193-8491-58b2122c1c10\t1156\n")
    with Flow(tmp_path / "var", SIZES=sizes, WINDOW="all", REPLAY=NINE) as flow:
        flow.start_worker()
        flow.wait_started()
        flow.wait_drained()
        found = {key[0]: row for key, row in stored(flow.folder, ("ranges", "verdict", "flags", "size_known")).items()}
    assert found[FIREFOX] == ([[0, 1155]], "complete", ["beyond_size"], True)


@pytest.mark.long
def test_a_restart_goes_on_with_the_table_and_another_window_mode_is_refused(tmp_path: Path) -> None:
    lines = NINE.read_bytes().splitlines(keepends=True)
    first, second = tmp_path / "first.tsv", tmp_path / "second.tsv"
    first.write_bytes(b"".join(lines[:4]))
    second.write_bytes(lines[0] + b"".join(lines[4:]))
    with Flow(tmp_path / "var") as flow:
        flow.start_worker()
        flow.wait_started()
        flow.replay_all(first)
        flow.wait_drained()
        flow.kill_worker()
        flow.start_worker()
        flow.replay_all(second)
        flow.wait_drained()
        assert differences(stored(flow.folder, ("ranges", "hits")), reduced(NINE, fields=("ranges", "hits"))[0]) == ""
        flow.kill_worker()
        worker = flow.start_worker(WINDOW="day", REPLAY=NINE)
        assert worker.wait(60) == 78
        assert "WEBLOGS_WINDOW=last_touch" in flow.log_text()


@pytest.mark.long
def test_worker_reduce_and_simulator_agree(tmp_path: Path) -> None:
    """In one mode; tests/flow/test_large.py has them all."""
    window = "first_touch"
    log, answers = simulate(tmp_path, 4000, "--window", window)
    with Flow(tmp_path / "var", WINDOW=window) as flow:
        flow.start_worker()
        flow.wait_started()
        flow.replay_all(log)
        flow.wait_drained()
        found = stored(flow.folder)
        raw, rejects = stored_raw(flow.folder)
    content, statistics = reduced(log, rules=Rules(window))
    assert differences(found, content) == ""
    assert differences({key: tuple(row[i] for i in range(12)) for key, row in content.items()}, truth(answers)) == ""
    assert raw.total() == len(raw) == statistics.hits
    assert statistics.lines == raw.total() + rejects.total() + statistics.heads
