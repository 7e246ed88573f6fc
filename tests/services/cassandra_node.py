"""A Cassandra node of a test's own: with login and TLS, and to be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.ports import free_port

_START = Path(__file__).parent / "cassandra" / "start.sh"
_START_S = 150.0
HOST = "127.0.0.1"


class CassandraNode:
    """Data and configuration live below `root`. `options` are further CASS_ variables of start.sh."""

    def __init__(self, root: Path, **options: str) -> None:
        self.root = root
        self.port, storage_port = free_port(), free_port()
        self._environment = {
            **os.environ,
            "CASS_ROOT": str(root),
            "CASS_HOST": HOST,
            "CASS_PORT": str(self.port),
            "CASS_STORAGE_PORT": str(storage_port),
            "CASS_HEAP": "512m",
            **options,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def ca(self) -> Path:
        return self.root / "conf" / "ca.pem"

    def start(self) -> None:
        """Returns when it listens for clients."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "node.log").open("ab") as log:
            self._process = subprocess.Popen(["bash", str(_START)], env=self._environment, stdout=log, stderr=log)
        give_up = time.monotonic() + _START_S
        while True:
            if self._process.poll() is not None or time.monotonic() > give_up:
                self.kill()
                raise AssertionError(f"Cassandra did not start:\n{(self.root / 'node.log').read_text()[-3000:]}")
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.3)

    def kill(self) -> None:
        """SIGKILL, at once."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait()
