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

__all__ = ["main"]

_ON_KAFKA = ("limits", "cores", "recovery", "growth")
_ON_STORES = ("stores",)


def _parts(parts: Sequence[str]) -> list[str]:
    return ["bench", "--quick", *(word for part in parts for word in ("--part", part))]


def _lanes() -> list[list[list[str]]]:
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
    """Runs its modules one after the other, to the first that fails."""

    def __init__(self, modules: list[list[str]]) -> None:
        super().__init__(daemon=True)
        self._modules = modules
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False
        self.failed = ""

    def run(self) -> None:
        for words in self._modules:
            if self._ended:
                return
            self._process = subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, stdin=subprocess.DEVNULL)
            if (code := self._process.wait()) != 0:
                self.failed = f"python -m {' '.join(words)} ended with exit code {code}"
                return

    def end(self) -> None:
        """Its process stops the servers that it started."""
        self._ended = True
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
        self.join()


def main() -> None:
    """Ends with exit code 1 and a sentence for each module that failed; the others run to their ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    lanes = [Lane(modules) for modules in _lanes()]
    try:
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
    finally:
        for lane in lanes:
            lane.end()
    if failed := [lane.failed for lane in lanes if lane.failed]:
        sys.exit("\n".join(f"bench: {sentence}: see above" for sentence in failed))
    print(f"bench: every result equals its oracle; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
