"""What the parts of a benchmark share: a folder, the logs, the servers, the number of runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from bench.failing import BenchError
from bench.logs import Log, simulated, sparse
from bench.processes import Run
from tests.services.errors import ServiceError
from tests.services.server import KINDS, START_FAST, Server

__all__ = ["PARTITIONS", "Context"]

PARTITIONS = 8
_PORTS_FROM = 20_400
"""Above the standard ports: neither a server in use nor one of the tests is met."""
T = TypeVar("T")


class Context:
    """One benchmark. A context manager: at its end the servers that it started are stopped and their data deleted."""

    def __init__(self, folder: Path, quick: bool, runs: int | None = None, lines: int | None = None) -> None:
        self.folder, self.quick = folder, quick
        self.runs = runs or (1 if quick else 2)
        self.lines = lines or (10_000 if quick else 1_000_000)
        self.tick_s = 1 if quick else 10
        """WEBLOGS_TICK_INTERVAL: the product's own, but a quick benchmark has no time to wait for it."""
        self._servers: dict[str, Server] = {}
        self._ready: set[str] = set()
        self._began = time.monotonic()
        if quick:
            os.environ.setdefault("SERVICES_JVM", START_FAST)

    def say(self, text: str) -> None:
        """A line about the present step, with the seconds since the start."""
        print(f"[{time.monotonic() - self._began:5.0f} s] {text}", flush=True)

    def pick(self, full: T, quick: T) -> T:
        """The size of something in a full and in a quick benchmark."""
        return quick if self.quick else full

    def repeat(self, work: Sequence[tuple[str, Callable[[], T]]], runs: int | None = None) -> list[list[T]]:
        """Each work `runs` times, in turn, so that a slow minute of the machine hits all; the results work by work."""
        found: list[list[T]] = [[] for _ in work]
        runs = runs or self.runs
        for number in range(runs):
            for (name, run), results in zip(work, found, strict=True):
                self.say(f"{name}, run {number + 1} of {runs}")
                results.append(run())
                if isinstance(results[-1], Run):
                    self.say(f"  {results[-1].seconds:.2f} s, {results[-1].cpu_seconds:.2f} s of CPU")
        return found

    @cached_property
    def log(self) -> Log:
        """The main log: 1,000,000 lines and more than 125,000 keys, or a small one."""
        self.say(f"simulating {self.lines:,} lines")
        return simulated(self.folder, self.lines)

    @cached_property
    def half(self) -> Log:
        """Half of the lines, for what would take long with all of them."""
        if self.quick:
            return self.log
        lines = self.lines // 2
        self.say(f"simulating {lines:,} lines")
        return simulated(self.folder, lines)

    @cached_property
    def sparse(self) -> Log:
        """More than 125,000 keys in fewer lines, for peers that are slow."""
        keys, lines = self.pick((130_000, 156_000), (1_000, 1_200))
        self.say(f"choosing {lines:,} lines of {keys:,} keys")
        return sparse(self.log, self.folder, keys, lines)

    def server(self, kind: str) -> Server:
        """A server of this kind that answers, started for this benchmark alone."""
        self.begin(kind)
        if kind not in self._ready:
            try:
                self._servers[kind].wait_ready()
            except ServiceError as error:
                raise BenchError(f"{kind} cannot be had: {error}") from error
            self._ready.add(kind)
        return self._servers[kind]

    def begin(self, *kinds: str) -> None:
        """Start servers that are needed soon, side by side, and wait for none."""
        for kind in kinds:
            if kind not in self._servers:
                self.say(f"starting {kind}")
                self._servers[kind] = self._started(kind)

    def _started(self, kind: str) -> Server:
        first = (
            KINDS[kind] + _PORTS_FROM + os.getpid() % 40 * 20
        )  # two that look for a port at the same moment find different ones
        for port in range(first, first + 1000, 10):
            made = Server(kind, self.folder / "servers", port)
            try:
                made.start()
                return made
            except ServiceError as error:
                if "is taken by another program" not in str(error):
                    raise BenchError(f"{kind} cannot be had: {error}") from error
        raise BenchError(f"{kind}: no free port from {first} on")

    def stop(self, kind: str) -> None:
        """Stop a server that is needed no more: two cores are all there is."""
        if kind in self._servers:
            self._ready.discard(kind)
            self._servers.pop(kind).remove()

    def fresh(self, name: str) -> Path:
        """A new folder."""
        for number in range(10_000):
            path = self.folder / f"{name}-{number}"
            if not path.exists():
                path.mkdir(parents=True)
                return path
        raise AssertionError

    def __enter__(self) -> Context:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._servers):
            self.stop(name)
