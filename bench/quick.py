"""`python -m bench.quick`: every part small, for the equality of results alone. What `make bench QUICK=1` runs.

Times do not count here, so parts that wait for different things run side by side: for Kafka, for Elasticsearch and Cassandra, for the
peers to be installed, for a worker's clock. Each lane is a row of processes of its own, and starts its own servers.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from bench.__main__ import PARTS, WITH_PEERS
from bench.processes import ROOT

__all__ = ["lanes", "main"]

_ON_KAFKA = ("limits", "cores", "recovery", "growth")
_ON_STORES = ("stores",)
_STOPPING_S = 30.0
"""A signal can get lost in what a library does with exceptions, and a second one too soon would cut the stopping of servers short."""


def _parts(parts: Sequence[str]) -> list[str]:
    return ["bench", "--quick", *(word for part in parts for word in ("--part", part))]


def lanes() -> list[list[list[str]]]:
    """Modules with their options, row by row: every part in one of them."""
    peers = [part for part in PARTS if part in WITH_PEERS]
    rest = [part for part in PARTS if part not in (*peers, *_ON_KAFKA, *_ON_STORES)]
    return [
        [["bench.needs"], _parts(peers)],
        [_parts(_ON_KAFKA)],
        [_parts(rest), ["bench.votes", "--quick"]],
        [_parts(_ON_STORES)],
    ]


class Lane(threading.Thread):
    """Runs its modules one after the other, those after one that fails, too."""

    def __init__(self, modules: list[list[str]]) -> None:
        super().__init__(daemon=True)
        self._modules = modules
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = True
        self.failed: list[str] = []

    def run(self) -> None:
        for words in self._modules:
            if self._wanted:
                # in a session of its own: Ctrl-C would reach it beside our SIGTERM, and cut the stopping of its servers short
                self._process = subprocess.Popen(
                    [sys.executable, "-m", *words], cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True
                )
                if (code := self._process.wait()) != 0:
                    self.failed.append(f"python -m {' '.join(words)} ended with exit code {code}")

    def end(self) -> None:
        """Its process stops the servers that it started."""
        self._wanted = False
        while self.is_alive():
            if self._process is not None:
                self._process.terminate()
            self.join(_STOPPING_S)


def main() -> None:
    """Ends with exit code 1 and a sentence for each module that failed; the others run to their ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    running = [Lane(modules) for modules in lanes()]
    try:
        for lane in running:
            lane.start()
        while any(lane.is_alive() for lane in running):
            time.sleep(0.2)  # Python 3.11 takes a thread for ended when a signal interrupts its join
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # once is enough
        for lane in running:
            lane.end()
    if failed := [sentence for lane in running for sentence in lane.failed]:
        sys.exit("\n".join(f"bench: {sentence}: see above" for sentence in failed))
    print(f"bench: every result equals its oracle; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
