"""The worker as a child process of `python -m app run`: started, watched, started again when it asks for that, stopped."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event
from typing import Any

from app.errors import SettingsError, WorkerError
from app.process.exit import EXIT_CANNOT_GO_ON
from app.process.folders import Kept
from app.settings import Settings, child_environment
from app.words import removed_text

__all__ = ["WorkerProcess", "refuse_second_worker"]

START_S = 600.0
"""A start may read a large table's changelog first; a worker that needs longer is given up."""
STOP_S = 30.0
RESTARTS = 5
FORGIVEN_AFTER_S = 600.0
"""A worker that ran for this long may fail as often as a new one."""
_LOG_BYTES = 16 << 20
"""A longer log is copied to worker.log.1 and begun anew."""
_SHOWN = 10
"""Problems shown at a time; the log has all of them."""
_PROBLEM = re.compile(r'^\S+Z (WARNING|ERROR|CRITICAL) |"level":"(warning|error|critical)"')


def refuse_second_worker(configured: Settings) -> None:
    """Raises LogLocked when another worker uses the embedded log, and LogError when the log cannot be used."""
    from app.transports.embedded.file import log_path
    from app.transports.embedded.log import EmbeddedLog

    log = EmbeddedLog(log_path(configured.broker), configured.log_max_bytes, configured.log_keep)
    try:
        log.lock_worker()
    finally:
        log.close()


def free_port(host: str, port: int, what: str, choice: str) -> int:
    """The same port, or a free one for 0. Raises SettingsError when another program listens there: `what` cannot be served; `choice` sets the port."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except OSError as error:
        raise SettingsError(
            f"The {what} cannot be served on {host}:{port}: {error.strerror or error}. Stop what listens there, or choose another"
            f" port, as in {choice}{port + 1 if port < 65535 else 0}"
        ) from None


class WorkerProcess:
    """One worker at a time, in a process group of its own, so that Ctrl-C reaches only the command, which then stops it cleanly."""

    def __init__(self, configured: Settings, say: Callable[[str], None], asked: Event) -> None:
        """`say` takes sentences for people; `asked` is set by somebody else when everything shall end."""
        self._say, self._asked, self._configured = say, asked, configured
        self.port = free_port(configured.web_host, configured.web_port, "page", "WEBLOGS_WEB_PORT=")
        self.log_path = Path(configured.data_dir) / "worker.log"
        self._log: Kept | None = None
        self._shown_to = 0
        self._restarts = 0
        self._started = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the page."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._configured.web_host, self._configured.web_host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def start(self) -> None:
        """Returns when it takes messages. Raises WorkerError with the end of its log."""
        self._spawn()
        self._await_ready()

    def watch(self) -> None:
        """Call often: shows its problems; starts it again where it ended and may be. Raises WorkerError where not."""
        self.show_problems()
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            self._spawn_again(code, "ended")
            self._await_ready()
        elif self._restarts and time.monotonic() - self._started > FORGIVEN_AFTER_S:
            self._restarts = 0

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while not self._asked.is_set() and not self._ready():
            assert self._process is not None
            if (code := self._process.poll()) is not None:
                self._spawn_again(code, "did not start")
                deadline = time.monotonic() + START_S
            if time.monotonic() > deadline:
                raise WorkerError(f"the worker was not ready after {START_S:.0f} s. {self._last_words()}")
            self._asked.wait(0.1)
        self.show_problems()

    def _spawn_again(self, code: int, what: str) -> None:
        if code != EXIT_CANNOT_GO_ON and code >= 0:
            raise WorkerError(f"the worker {what} (exit code {code}). {self._last_words()}")
        how = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
        if self._restarts == RESTARTS:
            raise WorkerError(f"the worker {what} again ({how}) after {RESTARTS} new starts. {self._last_words()}")
        self._restarts += 1
        self._say(
            f"The worker {what} ({how}); it is started again ({self._restarts} of {RESTARTS}) and continues where it stopped."
        )
        if not self._asked.wait(0.2 * 2**self._restarts):
            self._spawn()

    def stop(self) -> None:
        """Asks it to end and waits; it loses nothing either way."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._say(f"The worker did not end within {STOP_S:.0f} s and is killed; it loses nothing by that.")
            process.kill()
            process.wait()

    def problems(self) -> list[str]:
        """What its health page complains of."""
        return [str(problem) for problem in self._health().get("problems", [])]

    def show_problems(self) -> None:
        """Passes on the warnings and errors that its log got since the last call."""
        self.refuse_removed()
        with self.log_path.open("rb") as log:
            log.seek(self._shown_to)
            new = log.read()
        whole = new.rpartition(b"\n")[0]
        if not whole:
            return
        self._shown_to += len(whole) + 1
        self._rotate()
        lines = [line for line in whole.decode("utf-8", "backslashreplace").split("\n") if _PROBLEM.search(line)]
        for line in lines[:_SHOWN]:
            self._say(f"worker: {line}")
        if len(lines) > _SHOWN:
            self._say(f"worker: {len(lines) - _SHOWN} more problems in {self.log_path}")

    def refuse_removed(self) -> None:
        """Raises WorkerError if its log, and the folder with it, was taken away: whatever fails then fails because of that."""
        if self._log is None or self._log.is_gone:
            raise WorkerError(removed_text(self.log_path))

    def _rotate(self) -> None:
        """The worker writes to the end of the open file, so that it can be emptied while it runs."""
        if self.log_path.stat().st_size > _LOG_BYTES:
            shutil.copyfile(self.log_path, self.log_path.with_name("worker.log.1"))
            os.truncate(self.log_path, 0)
            self._shown_to = 0

    def _spawn(self) -> None:
        try:
            log = self.log_path.open("ab")
            self._rotate()
        except OSError as error:
            raise WorkerError(
                f"the worker's log {self.log_path} cannot be written: {error.strerror or error}"
            ) from None
        with log:
            self._log = Kept(self.log_path)
            self._shown_to = log.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "faust", "-A", "app", "worker"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=child_environment(web_port=self.port),
                process_group=0,
            )
        self._started = time.monotonic()

    def _ready(self) -> bool:
        return self._health().get("started") is not None

    def _health(self) -> dict[str, Any]:
        """The answer of its health page, whatever its status; empty while nothing answers."""
        host = self.url.removeprefix("http://").rpartition(":")[0].strip("[]")
        connection = HTTPConnection(host, self.port, timeout=5)  # no proxy of the environment in between
        try:
            token = self._configured.web_token
            connection.request("GET", "/health/", headers={"Authorization": f"Bearer {token}"} if token else {})
            answer = json.loads(connection.getresponse().read())
        except (OSError, HTTPException, ValueError):
            return {}
        finally:
            connection.close()
        return answer if isinstance(answer, dict) else {}

    def _last_words(self) -> str:
        try:
            text = self.log_path.read_bytes()[-4096:].decode("utf-8", "backslashreplace")
        except OSError as error:
            return f"Its log {self.log_path} cannot be read: {error.strerror}"
        lines = [line for line in text.splitlines() if line.strip()][-5:]
        return f"The end of its log, {self.log_path}:" + "".join(f"\n  {line}" for line in lines)
