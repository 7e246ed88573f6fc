"""How the worker ends: the code says what to do next."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from threading import Event

import pytest

from app.cli.run.worker import WorkerProcess
from app.errors import LogError, WorkerError
from app.process.exit import EXIT_CANNOT_GO_ON, EXIT_REFUSED, code_of
from app.settings import Settings
from tests import ROOT
from tests.flow.running import Flow


def test_a_full_disk_asks_for_another_start() -> None:
    error = LogError("the log cannot be opened")
    assert code_of(error, EXIT_REFUSED) == EXIT_REFUSED
    for number in (errno.ENOSPC, errno.EDQUOT):
        error.__cause__ = OSError(number, "no space")
        assert code_of(error, EXIT_REFUSED) == EXIT_CANNOT_GO_ON
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError) as full:
        connection.execute("CREATE TABLE t AS SELECT randomblob(100000)")
    error.__cause__ = full.value
    assert code_of(error, EXIT_REFUSED) == EXIT_CANNOT_GO_ON
    connection.close()


@pytest.mark.long
@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGHUP])
def test_a_worker_that_is_asked_to_end_at_any_moment_ends_with_0(tmp_path: Path, asked: signal.Signals) -> None:
    """From the moment on at which its code is loaded: asked again and again at other moments of its start."""
    for wait_s in (0.0, 0.5, 2.0):
        environment = {**os.environ, "WEBLOGS_DATA_DIR": str(tmp_path), "WEBLOGS_WEB_PORT": "0"}
        code = (
            "import sys, app; sys.stdout.write('x'); sys.stdout.flush();"
            "from app.process.exit import end_when_asked; end_when_asked(); print('here', flush=True);"
            "sys.argv = ['faust', '-A', 'app', 'worker']; from faust.cli.faust import cli; cli()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None and process.stdout.readline() == b"xhere\n"
        drained = threading.Thread(target=process.stdout.read)
        drained.start()
        time.sleep(wait_s)
        process.send_signal(asked)
        assert process.wait(60) == 0, process.stderr and process.stderr.read()[-3000:]
        drained.join()
        process.stdout.close()
        if process.stderr is not None:
            process.stderr.close()


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("command", "first"),
    [
        (["-m", "faust", "-A", "app", "worker"], "faust"),
        ([str(Path(sys.executable).with_name("faust")), "-A", "app", "worker"], "faust"),
        (["-m", "app", "run"], "click"),
    ],
)
def test_a_worker_that_is_asked_to_end_before_its_first_import_ends_with_0(
    tmp_path: Path, command: list[str], first: str, asked: signal.Signals
) -> None:
    _asks_at_import(tmp_path, first, asked)
    assert _ended(tmp_path, command) == 0


@pytest.mark.long
def test_a_run_that_promised_to_store_all_does_not_end_with_0_when_it_is_asked_to_end(tmp_path: Path) -> None:
    _asks_at_import(tmp_path, "click", signal.SIGTERM)
    assert _ended(tmp_path, ["-m", "app", "run", "--once"]) == -signal.SIGTERM


def _asks_at_import(folder: Path, module: str, asked: signal.Signals) -> None:
    """A module of this name that asks the process to end."""
    (folder / f"{module}.py").write_text(f"import os, time\nos.kill(os.getpid(), {int(asked)})\ntime.sleep(60)\n")


def _ended(folder: Path, command: list[str]) -> int:
    environment = {**os.environ, "PYTHONPATH": str(folder), "WEBLOGS_DATA_DIR": str(folder)}
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=False, timeout=60).returncode


@pytest.mark.long
def test_a_worker_that_is_asked_to_end_while_it_reads_its_state_ends_with_0(tmp_path: Path) -> None:
    (tmp_path / "asks.py").write_text(
        "import os, signal, sys\n"
        "import app.engine.table as table\n"
        "def asks(name):\n"
        "    if name == 'recovery':\n"
        "        print('half is read', flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "table.crash_point = asks\n"
        "sys.argv = ['faust', '-A', 'app', 'worker']\n"
        "from faust.cli.faust import cli\n"
        "cli()\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "WEBLOGS_DATA_DIR": str(tmp_path / "var"),
        "WEBLOGS_WEB_PORT": "0",
    }
    sample = [sys.executable, "-m", "app", "run", "--once", "samples/nine-lines.tsv"]
    subprocess.run(sample, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=120)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "asks.py")],
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, "half is read" in done.stderr, "Traceback" in done.stderr) == (0, True, False), done.stderr


def test_health_says_until_the_end_of_an_ordered_stop_that_the_worker_is_stopping(tmp_path: Path) -> None:
    (tmp_path / "held.py").write_text(
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from app.stores.sqlite.thread import SqliteThread as Held\n"
        "close = Held.close\n"
        "async def held(self):\n"
        "    while not Path(sys.path[0], 'seen').exists():\n"
        "        await asyncio.sleep(0.02)\n"
        "    await close(self)\n"
        "Held.close = held\n"
        "sys.argv = ['faust', '-A', 'app', 'worker']\n"
        "from faust.cli.faust import cli\n"
        "cli()\n"
    )
    with Flow(tmp_path / "var") as flow:
        with (tmp_path / "var" / "worker.log").open("wb") as log:
            flow.worker = subprocess.Popen(
                [sys.executable, str(tmp_path / "held.py")],
                cwd=ROOT,
                env=flow.environment() | {"PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )
        flow.wait_started()
        assert flow.get("health/")["healthy"]
        flow.worker.send_signal(signal.SIGTERM)
        told = ""
        while "stopping" not in told:
            try:
                with urllib.request.urlopen(flow.url() + "health/", timeout=10) as answer:
                    assert answer.status == 200  # the signal is on its way
            except urllib.error.HTTPError as error:
                with error:
                    told, code = error.read().decode(), error.code
        (tmp_path / "seen").touch()
        assert flow.worker.wait(60) == 0
        assert code == 503 and json.loads(told) == {"healthy": False, "problems": ["The worker is stopping."]}
        assert "Traceback" not in flow.log_text()


@pytest.mark.long
def test_a_log_that_is_a_file_holds_no_terminal_codes_and_the_banner_tells_the_level(tmp_path: Path) -> None:
    for level in ("info", "debug"):
        with Flow(tmp_path / level, LOG_LEVEL=level) as flow:
            flow.start_worker()
            flow.wait_started()
            flow.stop_worker()
            told = flow.log_text()
        assert f"-stderr- ({level})" in told
        assert "\x1b" not in told and "OK ^" not in told and "WARNING" not in told, told


def test_a_data_folder_that_is_removed_under_a_worker_is_said(tmp_path: Path) -> None:
    worker = WorkerProcess(Settings(data_dir=tmp_path / "var", web_port=0), lambda text: None, Event())
    with pytest.raises(WorkerError, match=r"var.worker\.log is gone: somebody removed it while the worker ran"):
        worker.watch()


@pytest.mark.long
def test_a_worker_whose_data_folder_is_removed_ends_with_78_and_one_sentence(tmp_path: Path) -> None:
    with Flow(tmp_path / "var") as flow:
        worker = flow.start_worker()
        flow.wait_started()
        (tmp_path / "var" / "worker.log").rename(tmp_path / "worker.log")
        shutil.rmtree(tmp_path / "var", ignore_errors=True)
        assert worker.wait(60) == EXIT_REFUSED
        told = (tmp_path / "worker.log").read_text()
        assert "weblogs-log.db is gone: somebody removed it while the worker ran" in told.splitlines()[-1], told[-3000:]
        assert "Traceback" not in told
