"""One run of one thing: seconds, CPU seconds and the most memory of the process that does the work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tests.flow.content import TRUE_FIELDS, Content, differences, stored, stored_raw
from tests.flow.running import ROOT, Flow

__all__ = ["Run", "flow_run", "reduce_run", "simulate"]


class Run(NamedTuple):
    """What one run took."""

    seconds: float
    cpu_seconds: float
    rss_bytes: int


def simulate(folder: Path, lines: int) -> tuple[Path, Path]:
    """A log and its truth."""
    log, answers = folder / f"{lines}.tsv", folder / f"{lines}.truth"
    command = [
        sys.executable,
        "-m",
        "app",
        "simulate",
        "weblogs",
        "-n",
        str(lines),
        "-s",
        "1",
        "-o",
        str(log),
        "--truth",
        str(answers),
        "-q",
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    return log, answers


def reduce_run(log: Path, out: Path) -> Run:
    """`python -m app reduce`, start of Python and writing the result included, on one core."""
    command = [sys.executable, "-m", "app", "reduce", "--quiet", "-o", str(out), str(log)]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, preexec_fn=_one_core)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"reduce failed with exit code {process.returncode}")
    return Run(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def _one_core() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def flow_run(log: Path, folder: Path, wanted: Content) -> Run:
    """A running worker with the SQLite store, raw hits kept: from the start of the replay until the store holds all.

    Ends the benchmark where the store does not hold what it should.
    """
    with Flow(folder, TICK_INTERVAL=10) as flow:
        worker = flow.start_worker()
        flow.wait_started()
        before = _cpu_seconds(worker.pid)
        began = time.perf_counter()
        flow.replay_all(log)
        flow.wait_drained(600)
        seconds = time.perf_counter() - began
        run = Run(seconds, _cpu_seconds(worker.pid) - before, _peak_bytes(worker.pid))
        flow.stop_worker()
        wrong = differences(stored(folder, TRUE_FIELDS), wanted)
        hits, _ = stored_raw(folder)
    if wrong or hits.total() != len(hits):
        raise SystemExit(f"the store is wrong after the flow: {wrong or 'raw hits stand twice'}")
    return run


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
