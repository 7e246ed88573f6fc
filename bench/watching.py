"""The time and the CPU that a worker needs from its first to its last record, by looking at the broker meanwhile.

The start of the process is left out by the same rule for everybody: the clock runs from the last look at which nothing was written to
the first at which everything was.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.failing import BenchError
from bench.processes import Run, cpu_seconds, peak_bytes

__all__ = ["Moment", "Watch", "Watched"]

_LOOK_S = 0.05


class Watched(NamedTuple):
    """A process that works, and where it says what it does."""

    process: subprocess.Popen[bytes]
    log: Path

    def end_of_log(self) -> str:
        return f"--- {self.log.name}\n" + (self.log.read_text(errors="replace")[-3000:] if self.log.exists() else "")


def _check_running(workers: Sequence[Watched]) -> None:
    """Raises BenchError with the log of one that has ended."""
    for worker in workers:
        if (code := worker.process.poll()) is not None:
            raise BenchError(
                f"a worker ended with code {code} before its work was done; the end of its log:\n{worker.end_of_log()}"
            )


class Moment(NamedTuple):
    """One moment."""

    at: float
    cpu_seconds: float
    broker_seconds: float
    begun: int
    """Messages in the topics that show that work has begun."""
    written: int
    """Messages in the topic of the results."""


class Watch:
    """Looks at workers and broker until the work is done. `workers`: asked anew at each look."""

    def __init__(
        self,
        workers: Callable[[], list[Watched]],
        broker_pid: int | None,
        begun: Callable[[], int],
        written: Callable[[], int],
    ) -> None:
        self._workers, self._broker_pid, self._begun, self._written = workers, broker_pid, begun, written
        self.looks: list[Moment] = []
        self.peak_bytes = 0

    def until(self, done: Callable[[], bool], patience_s: float, slow_s: float = 0.5) -> Run:
        """Until `done`, asked each `slow_s`.

        Raises BenchError where a worker ends before, or patience does.
        """
        deadline, asked = time.monotonic() + patience_s, 0.0
        while True:
            self._look()
            if time.monotonic() > asked + slow_s:
                asked = time.monotonic()
                if done():
                    self._look()
                    return self._run()
            if asked > deadline:
                logs = "\n".join(worker.end_of_log() for worker in self._workers())
                raise BenchError(f"not done after {patience_s:.0f} s; {self.looks[-1]}; the end of each log:\n{logs}")
            time.sleep(_LOOK_S)

    def _look(self) -> None:
        workers = self._workers()
        _check_running(workers)
        processes = [worker.process for worker in workers]
        # counts first: a look must not know less CPU than the counts in it took
        begun, written = self._begun(), self._written()
        try:
            cpu = sum(cpu_seconds(process.pid) for process in processes)
            self.peak_bytes = sum(peak_bytes(process.pid) for process in processes)
        except OSError:  # one has just ended
            _check_running(workers)
            raise
        broker = cpu_seconds(self._broker_pid) if self._broker_pid else 0.0
        self.looks.append(Moment(time.perf_counter(), cpu, broker, begun, written))

    def _run(self) -> Run:
        first = next((number for number, look in enumerate(self.looks) if look.begun), 0)
        begin = self.looks[max(0, first - 1)]
        end = next(look for look in self.looks if look.written == self.looks[-1].written)
        return Run(
            end.at - begin.at,
            end.cpu_seconds - begin.cpu_seconds,
            self.peak_bytes,
            end.broker_seconds - begin.broker_seconds,
        )
