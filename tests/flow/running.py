"""A worker and its replay as processes of their own, in a data folder of their own."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any

from app.transports.drain import Drain
from app.transports.embedded.log import EmbeddedLog
from tests import ROOT
from tests.called import call_app

KILLED = -signal.SIGKILL
WAIT_S = 100.0
WORKER = [sys.executable, "-m", "faust", "-A", "app", "worker"]


def run_to_its_end(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A worker that ends by itself, with what it said."""
    return subprocess.run(WORKER, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


class Flow:
    """One data folder and the processes on it."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.folder = folder
        self.options = {"TICK_INTERVAL": 0.5, "WEB_PORT": 0, "PARTITIONS": 4} | options
        self.worker: subprocess.Popen[bytes] | None = None
        self._replays: list[subprocess.Popen[bytes]] = []

    def environment(self, **more: object) -> dict[str, str]:
        own = {"DATA_DIR": self.folder, **self.options, **more}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WEBLOGS_")}
        return inherited | {f"WEBLOGS_{name}": str(value) for name, value in own.items()}

    # -- processes

    def start_worker(self, **more: object) -> subprocess.Popen[bytes]:
        with (self.folder / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(WORKER, cwd=ROOT, env=self.environment(**more), stdout=log, stderr=log)
        return self.worker

    def refused_worker(self) -> subprocess.CompletedProcess[str]:
        """A worker that ends by itself."""
        return run_to_its_end(self.environment())

    def replay(self, *arguments: object, **more: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "app", "replay", "--quiet", *map(str, arguments)]
        with (self.folder / "replay.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=self.environment(**more), stdout=log, stderr=log)
        self._replays.append(process)
        return process

    def replay_all(self, *arguments: object) -> None:
        """In this process: nothing ends it."""
        done = call_app(["replay", "--quiet", *arguments], ROOT, {"DATA_DIR": self.folder, **self.options})
        assert done.returncode == 0, done.stderr

    def kill_worker(self) -> None:
        assert self.worker is not None
        self.worker.kill()
        self.worker.wait()

    def stop_worker(self) -> None:
        """As an operator does it."""
        assert self.worker is not None
        self.worker.send_signal(signal.SIGTERM)
        self.worker.wait(WAIT_S)

    # -- waiting

    def wait_started(self) -> None:
        self.wait_for(lambda: self.log_text().count("listening on") > 0, "the worker to start")

    def wait_drained(self, patience_s: float = WAIT_S) -> None:
        """Until every group has committed what its topics hold now (a replay by the worker itself included), and what comes of it."""
        if "REPLAY" in self.options:
            self.wait_for(lambda: " files sent in " in self.log_text(), "the worker's replay", patience_s)
        with closing(EmbeddedLog(self.folder / "weblogs-log.db")) as log:
            drain = Drain(log)
            self.wait_for(lambda: drain.waiting() == 0, "all groups to read everything", patience_s)

    def wait_for(self, condition: Callable[[], bool], what: str, patience_s: float = WAIT_S) -> None:
        deadline = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}:\n{self.log_text()[-3000:]}"
            assert self.worker is None or self.worker.poll() is None, f"the worker ended:\n{self.log_text()[-3000:]}"
            time.sleep(0.1)

    def log_text(self) -> str:
        path = self.folder / "worker.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def url(self) -> str:
        return self.log_text().rpartition("listening on ")[2].split()[0]

    def get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.url() + path, timeout=10) as answer:
            return json.load(answer)

    # -- context

    def __enter__(self) -> Flow:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (self.worker, *self._replays):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()


def kill_at_random(flow: Flow, kills: int, seed: int, log: Path, *arguments: object, within_s: float = 8.0) -> None:
    """Kill worker and replay at random moments while the log goes through; start them again each time."""
    rng = random.Random(seed)
    flow.start_worker()
    replay = flow.replay(*arguments, log)
    for _ in range(kills):
        time.sleep(rng.uniform(0.2, within_s))
        if rng.random() < 0.4 and replay.poll() is None:
            replay.kill()
            replay.wait()
        else:
            flow.kill_worker()
            flow.start_worker()
        if replay.poll() is not None and replay.returncode != 0:
            replay = flow.replay(*arguments, log)
    while replay.wait() != 0:
        assert replay.returncode == KILLED, (flow.folder / "replay.log").read_text()
        replay = flow.replay(*arguments, log)
