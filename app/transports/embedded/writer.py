"""The writing connection to the embedded log, and whose turn it is among processes.

SQLite alone lets a busy producer win again and again: who waits sleeps up to 100 ms between two tries, while the other
comes back within microseconds (measured: the worker waited 1.3 s beside two producers). So whoever wants to write first
passes a turnstile and holds it until it has the write lock; the last writer has to queue behind.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from app.transports.embedded.file import BUSY_TIMEOUT_S, prepare

__all__ = ["LogWriter"]

_FIRST_WAIT_S = 0.0002
_LONGEST_WAIT_S = 0.002


class LogWriter:
    """The writing connection to one log, and its place in the queue. A process that dies leaves the queue."""

    def __init__(self, path: Path) -> None:
        self.busy_s = BUSY_TIMEOUT_S
        """How long a transaction waits for its turn."""
        self.db = prepare(path)
        self.db.execute("PRAGMA busy_timeout=0")  # waiting is done here
        self._turnstile = os.open(f"{path}.turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """BEGIN IMMEDIATE in turn, COMMIT, or ROLLBACK where the body raises. SQLITE_BUSY where the turn does not come."""
        db = self.db
        self._begin(db)
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # SQLite has rolled back by itself where the disk is full
                db.execute("ROLLBACK")
            raise

    def _begin(self, db: sqlite3.Connection) -> None:
        deadline = monotonic() + self.busy_s
        in_turn = _wait_for(self._try_enter, deadline)
        try:
            if not _wait_for(lambda: _try_begin(db), deadline):
                db.execute("BEGIN IMMEDIATE")  # for its error
        finally:
            if in_turn:
                fcntl.flock(self._turnstile, fcntl.LOCK_UN)

    def _try_enter(self) -> bool:
        try:
            fcntl.flock(self._turnstile, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self.db.close()
        os.close(self._turnstile)


def _try_begin(db: sqlite3.Connection) -> bool:
    try:
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _wait_for(attempt: Callable[[], bool], deadline: float) -> bool:
    wait = _FIRST_WAIT_S
    while not attempt():
        if monotonic() > deadline:
            return False
        sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT_S)
    return True
