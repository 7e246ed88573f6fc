"""`make run-usage`: a real service, its records in the archive, nothing missing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import child_environment
from tests import ROOT


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
def test_a_port_on_which_another_service_answers_is_refused_and_that_one_is_not_called(tmp_path: Path) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    called: list[str] = []

    class Another(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            called.append(self.path)
            self.send_response(200)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Another) as another:
        threading.Thread(target=another.serve_forever, daemon=True).start()
        port = another.server_port
        command = [sys.executable, "-m", "app", "usage", "run", "--once", "--port", str(port)]
        done = subprocess.run(
            command, cwd=ROOT, env=child_environment(data_dir=tmp_path), capture_output=True, text=True, check=False
        )
        another.shutdown()
    assert done.returncode == 2 and not called
    assert done.stderr.startswith(f"Error: The service cannot be served on 127.0.0.1:{port}: Address already in use.")
    assert done.stderr.rstrip().endswith(f"as in --port {port + 1 if port < 65535 else 0}")
