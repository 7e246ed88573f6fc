"""`python -m app run`, as a process in a folder of its own, with all defaults but the port."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from tests import ROOT

NINE_LINES = ROOT / "samples" / "nine-lines.tsv"
WAIT_S = 60.0


class Run:
    """One folder; every command in it is one process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("WEBLOGS_")}
        self.environment |= {"PYTHONPATH": str(ROOT), "WEBLOGS_WEB_PORT": "0"}
        self.started: list[subprocess.Popen[str]] = []

    def __call__(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """To its end."""
        return subprocess.run(
            self._command(arguments),
            cwd=self.folder,
            env=self.environment | settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        """In the background, standard output and error in one file."""
        with (self.folder / "told").open("w") as told:
            process = subprocess.Popen(
                self._command(arguments),
                cwd=self.folder,
                env=self.environment | settings,
                stdout=told,
                stderr=told,
                text=True,
            )
        self.started.append(process)
        return process

    def told(self, text: str) -> str:
        """What the one in the background has told, once `text` is in it."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            told = (self.folder / "told").read_text()
            if text in told:
                return told
            assert self.started[-1].poll() is None, told
            time.sleep(0.05)
        raise AssertionError(f"{text!r} was not told within {WAIT_S} s: {told}")

    def worker_pid(self) -> int:
        """The process that holds the log; a worker that has just started may not have written its number yet."""
        place = self.folder / "var" / "weblogs-log.db.worker"
        deadline = time.monotonic() + WAIT_S
        while not (text := place.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return int(text)

    @staticmethod
    def _command(arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "app", "run", *arguments]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path)
    yield run
    for process in run.started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(WAIT_S)


def numbers(told: str) -> dict[str, str]:
    return dict(re.findall(r"^ *([a-z][a-z ()]*?)  +([0-9,]+)$", told, re.MULTILINE))


def test_once_ends_when_the_store_holds_all_and_what_it_tells_is_true(run: Run) -> None:
    first = run("--once", str(NINE_LINES))
    assert (first.returncode, "10 lines read, parsed, merged and stored" in first.stdout) == (0, True), first.stderr
    expected = {"hits": "9", "rejects": "0", "deliveries": "2", "complete": "1", "partial": "1", "start missing": "1"}
    assert expected.items() <= numbers(first.stdout).items()
    assert "bytes 718-1795; missing 0-717; 1,078 bytes covered by 3 hits" in first.stdout
    asked = re.search(r"^client +(.*)$", first.stdout, re.MULTILINE)
    assert asked
    answered = subprocess.run(
        asked[1], shell=True, cwd=run.folder, env=run.environment, capture_output=True, text=True, check=False
    )
    assert (answered.returncode, "718-1795" in answered.stdout) == (1, True), answered.stderr


@pytest.mark.long
def test_a_log_that_was_sent_is_told_again_as_at_first(run: Run) -> None:
    first, second = (run("--once", str(NINE_LINES)) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert "was already sent: 10 lines" in second.stderr
    assert numbers(second.stdout) == numbers(first.stdout)


@pytest.mark.long
def test_it_serves_the_page_until_ctrl_c_goes_on_after_a_killed_worker_and_ends_well(run: Run) -> None:
    process = run.start(str(NINE_LINES))
    told = run.told("Serving until Ctrl-C")
    found = re.search(r"^page +(\S+)$", told, re.MULTILINE)
    assert found
    page = build_opener(ProxyHandler({}))
    with page.open(found[1], timeout=10) as answer:
        assert b"63.110.194.22" in answer.read()
    killed = run.worker_pid()
    os.kill(killed, signal.SIGKILL)
    run.told("it is started again (1 of 5)")
    deadline = time.monotonic() + WAIT_S
    while run.worker_pid() == killed and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_S) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(run.worker_pid(), 0)


@pytest.mark.parametrize(("asked", "code"), [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130)])
def test_a_run_that_is_asked_to_end_before_all_is_stored_says_so(run: Run, asked: signal.Signals, code: int) -> None:
    process = run.start(str(NINE_LINES), WEBLOGS_RATE="0.01")
    run.told("Starting a worker")
    process.send_signal(asked)
    assert process.wait(WAIT_S) == code
    assert "the same command goes on from there" in (run.folder / "told").read_text()


@pytest.mark.long
@pytest.mark.parametrize("rate", ["0", "300"])
def test_a_data_folder_that_is_removed_while_it_runs_is_said_in_one_sentence(run: Run, rate: str) -> None:
    """While it serves, and while lines go in."""
    process = run.start("--once" if rate != "0" else str(NINE_LINES), WEBLOGS_RATE=rate)
    run.told("Serving until" if rate == "0" else "lines sent")
    deadline = time.monotonic() + WAIT_S
    while not (run.folder / "var" / "sources").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    while (run.folder / "var").exists() and process.poll() is None:
        shutil.rmtree(run.folder / "var", ignore_errors=True)
    assert process.wait(WAIT_S) == 1
    told = (run.folder / "told").read_text()
    assert "worker.log is gone: somebody removed it while the worker ran" in told.splitlines()[-1]
    assert "Traceback" not in told


def test_a_busy_port_is_said_with_the_setting_to_change(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--once", str(NINE_LINES), WEBLOGS_WEB_PORT=str(port))
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr and "WEBLOGS_WEB_PORT=" in done.stderr


@pytest.mark.long
def test_a_second_worker_on_the_same_data_is_refused(run: Run) -> None:
    from app.transports.embedded.log import EmbeddedLog

    log = EmbeddedLog(run.folder / "var" / "weblogs-log.db")
    try:
        log.lock_worker()
        done = run("--once", str(NINE_LINES))
    finally:
        log.close()
    assert done.returncode == 4
    assert f"another worker (process {os.getpid()})" in done.stderr and "WEBLOGS_DATA_DIR" in done.stderr


def test_a_worker_that_does_not_start_is_told_with_the_end_of_its_log(run: Run) -> None:
    done = run("--once", str(NINE_LINES), WEBLOGS_STORES="nosuch")
    assert done.returncode != 0
    assert "nosuch" in done.stderr and "Traceback" not in done.stderr.partition("worker.log")[0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nosuch.log",), "nosuch.log: there is no such file"),
        ((".",), ". is a directory"),
        (("nosuch.log", "--once"), "no such file"),
    ],
)
def test_a_file_that_can_not_be_read_is_said_before_a_worker_is_started(
    run: Run, arguments: tuple[str, ...], sentence: str
) -> None:
    done = run(*arguments)
    assert (done.returncode, sentence in done.stderr) == (1, True), done.stderr
    assert not (run.folder / "var").exists()


def test_another_broker_is_refused_in_words(run: Run) -> None:
    done = run("--once", WEBLOGS_BROKER="kafka://localhost:9092")
    assert done.returncode == 2
    assert "kafka://localhost:9092" in done.stderr and "faust -A app worker" in done.stderr


@pytest.mark.long
def test_workers_killed_in_the_middle_are_started_again_and_the_numbers_are_those_of_reduce(run: Run) -> None:
    log = run.folder / "log.tsv"
    app = [sys.executable, "-m", "app"]
    made = [*app, "simulate", "weblogs", "--lines", "100000", "--seed", "3", "--quiet", "-o", str(log)]
    subprocess.run(made, cwd=run.folder, env=run.environment, check=True)
    reduced = subprocess.run(
        [*app, "reduce", str(log)], cwd=run.folder, env=run.environment, capture_output=True, text=True, check=True
    )
    process = run.start("--once", str(log), WEBLOGS_CHUNK_BYTES="16384", WEBLOGS_RATE="8000")
    killed = 0
    for turn in (1, 2):
        if turn == 2:
            run.told("(1 of 5)")
        deadline = time.monotonic() + WAIT_S
        while (
            not (run.folder / "var" / "weblogs-log.db.worker").exists() or run.worker_pid() in (killed, process.pid)
        ) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(4)  # it reads the log by now
        killed = run.worker_pid()
        os.kill(killed, signal.SIGKILL)
    assert process.wait(WAIT_S) == 0, (run.folder / "told").read_text()
    told = (run.folder / "told").read_text()
    assert "(2 of 5)" in told
    same = (
        "hits",
        "rejects",
        "deliveries",
        "complete",
        "partial",
        "start missing",
        "middle missing (gap)",
        "covered bytes",
        "sent bytes",
    )
    found, wanted = numbers(told), numbers(reduced.stdout)
    assert [found.get(name) for name in same] == [wanted.get(name) for name in same]
