"""`make run-usage`: a real service, its records in the archive, nothing missing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import child_environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.long
def test_a_service_is_called_and_every_record_is_archived_and_none_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app", "usage", "run", "--once", "--port", "0"]
    done = subprocess.run(
        command, cwd=ROOT, env=child_environment(data_dir=tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    held = re.search(r"archive: shop@\S+ (\d+) of (\d+)$", done.stdout, re.MULTILINE)
    # start and stop; the call that waited for the service, and 300 calls; a heartbeat if it took long
    assert held and int(held[1]) == int(held[2]) >= 604 and "no differences" in done.stdout
    assert done.stdout.startswith("300 calls by 5 users")
    assert "usage alerts --rules samples/alerts.toml --once" in done.stdout


@pytest.mark.long
def test_a_port_that_is_taken_is_named_in_one_sentence(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "app", "usage", "run", "--once", "--port", port]
        done = subprocess.run(
            command, cwd=ROOT, env=child_environment(data_dir=tmp_path), capture_output=True, text=True, check=False
        )
    assert done.returncode == 1 and done.stderr.startswith("Error: the service did not start: ")
    assert "address already in use" in done.stderr
