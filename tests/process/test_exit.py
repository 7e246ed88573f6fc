"""How the worker ends: the code says what to do next."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from threading import Event

import pytest

from app.cli.run.worker import Worker
from app.errors import LogError, WorkerError
from app.process.exit import EXIT_CANNOT_GO_ON, EXIT_REFUSED, code_of
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


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


def test_a_run_that_promised_to_store_all_does_not_end_with_0_when_it_is_asked_to_end(tmp_path: Path) -> None:
    _asks_at_import(tmp_path, "click", signal.SIGTERM)
    assert _ended(tmp_path, ["-m", "app", "run", "--once"]) == -signal.SIGTERM


def _asks_at_import(folder: Path, module: str, asked: signal.Signals) -> None:
    """A module of this name that asks the process to end."""
    (folder / f"{module}.py").write_text(f"import os, time\nos.kill(os.getpid(), {int(asked)})\ntime.sleep(60)\n")


def _ended(folder: Path, command: list[str]) -> int:
    environment = {**os.environ, "PYTHONPATH": str(folder), "WEBLOGS_DATA_DIR": str(folder)}
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=False, timeout=60).returncode


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


def test_a_data_folder_that_is_removed_under_a_worker_is_said(tmp_path: Path) -> None:
    worker = Worker(Settings(data_dir=tmp_path / "var", web_port=0), lambda text: None, Event())
    with pytest.raises(WorkerError, match=r"somebody removed .*var while the worker ran"):
        worker.watch()
