"""One worker a log."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from app.errors import LogLocked
from app.transports.embedded.file import in_words

__all__ = ["WorkerLock", "lock_path"]


def lock_path(log: Path) -> Path:
    """
    >>> lock_path(Path("var/worker"))
    PosixPath('var/worker.worker')
    """
    return log.with_name(f"{log.name}.worker")


class WorkerLock:
    """A lock on `<log>.worker` that the system gives back when the process ends, however it ends."""

    def __init__(self, log: Path, what: str = "") -> None:
        """`what` it is that two workers cannot both use; the log without it."""
        self._log, self._what = log, what or f"the log {log}"
        self._handle: int | None = None

    def take(self) -> None:
        """Idempotent. Raises LogLocked with the pid of the process that has it."""
        if self._handle is not None:
            return
        with in_words(self._log):
            handle = os.open(lock_path(self._log), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(handle)
            raise LogLocked(
                f"another worker (process {pid}) uses {self._what}: stop it first, or give this one another WEBLOGS_DATA_DIR"
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        self._handle = handle

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
