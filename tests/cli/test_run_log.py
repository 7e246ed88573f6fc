"""The log of the worker that `run` starts."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from app.cli.run import worker
from app.settings import Settings

_WRITES = "import time, sys\nfor n in range(4000): print(f'2026-01-01T00:00:00Z ERROR app: {n} ' + 80 * 'x', file=sys.stderr); time.sleep(0.0005)"


def test_the_log_rotates_while_the_worker_runs_and_problems_are_still_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_LOG_BYTES", 100_000)
    popen = subprocess.Popen

    def talkative(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return popen([sys.executable, "-c", _WRITES], **options)

    monkeypatch.setattr(subprocess, "Popen", talkative)
    said: list[str] = []
    one = worker.WorkerProcess(Settings(data_dir=tmp_path, web_port=0), said.append, Event())
    one._spawn()
    process = one._process
    assert process is not None
    longest = 0
    while process.poll() is None:
        one.show_problems()
        longest = max(longest, one.log_path.stat().st_size)
        time.sleep(0.05)
    one.show_problems()
    rotated = tmp_path / "worker.log.1"
    assert longest < 200_000 and 100_000 < rotated.stat().st_size < 200_000
    assert b"\0" not in one.log_path.read_bytes() + rotated.read_bytes()
    assert any("more problems" in text for text in said) and len(said) > 10
