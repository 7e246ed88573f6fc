"""A server program that tests start on free loopback ports, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

__all__ = ["HOST", "START_S", "Program", "program"]

HOST = "127.0.0.1"
START_S = 20.0
STOP_S = 30.0
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def program(name: str, package: str) -> str:
    """Where the program is. Raises AssertionError with the package's name if it is missing."""
    found = shutil.which(name, path=PATH)
    assert found, f"{name} is missing: apt-get install {package}"
    return found


class Program:
    """A server in the foreground. What it prints goes to `printed`."""

    def __init__(
        self, command: list[str], printed: Path, ports: list[int], stop: signal.Signals = signal.SIGTERM
    ) -> None:
        self._command, self._printed, self._ports, self._stop = command, printed, ports, stop
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when all ports answer. Raises AssertionError with what it printed if they do not."""
        with self._printed.open("wb") as out:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "HOME": str(self._printed.parent)},
            )
        give_up = time.monotonic() + START_S
        for port in self._ports:
            while not _listens(port):
                if self._process.poll() is not None or time.monotonic() > give_up:
                    self.stop()
                    raise AssertionError(
                        f"{self._command[0]} did not start:\n{self._printed.read_text(errors='replace')[-3000:]}"
                    )
                time.sleep(0.05)

    def stop(self) -> None:
        """Asks it to end, so that it writes out its log; kills it when it does not."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(self._stop)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
