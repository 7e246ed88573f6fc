"""What a process used: CPU seconds and memory, of one that runs and of one that has ended. Linux only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.failing import BenchError

__all__ = ["ROOT", "Run", "cpu_seconds", "peak_bytes", "pin", "resident_bytes", "run_to_end"]

ROOT = Path(__file__).resolve().parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")


_LAUNCHER = """
import os, sys, time
began = time.perf_counter()
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(process, 0)
took = os.waitstatus_to_exitcode(status), time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss
with open(sys.argv[1], "w") as out:
    print(*took, file=out)
"""
"""Starts a command from a small process: the peak of a process begins with that of the one which starts it, and ours holds logs."""


class Run(NamedTuple):
    """What one run took."""

    seconds: float
    cpu_seconds: float
    rss_bytes: int
    broker_seconds: float = 0.0
    """CPU seconds of the broker meanwhile."""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, all its threads, its children left out."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_bytes(pid: int) -> int:
    """Most memory that a running process has had resident."""
    return _status(pid, "VmHWM:")


def resident_bytes(pid: int) -> int:
    """Memory that a running process has resident now."""
    return _status(pid, "VmRSS:")


def _status(pid: int, name: str) -> int:
    words = Path(f"/proc/{pid}/status").read_text().partition(name)[2].split()
    if not words:
        raise ProcessLookupError(f"process {pid} has ended")
    return int(words[0]) * 1024


def pin(pid: int, cores: set[int]) -> None:
    """Let a process, threads that it has already included, run on these cores only, as `taskset -a` does."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def run_to_end(command: Sequence[str], log: Path) -> Run:
    """Run a command from its start to its end, what it prints into `log`.

    Raises BenchError with the end of what it printed where it fails.
    """
    used = log.with_suffix(".used")
    used.unlink(missing_ok=True)
    with log.open("ab") as told:
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(used.resolve()), *map(str, command)]
        subprocess.run(launcher, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=told, stderr=told, check=False)
    code, seconds, cpu, peak_kib = used.read_text().split() if used.exists() else ("127", "0", "0", "0")
    if code != "0":
        raise BenchError(f"{' '.join(command)} ended with exit code {code}:\n{log.read_text(errors='replace')[-2000:]}")
    return Run(float(seconds), float(cpu), int(peak_kib) * 1024)
