"""Opening the embedded store's file, and what its errors mean to people."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

from app.errors import StoreError, StoreUnreachable
from app.process.folders import make_private
from app.stores.sqlite.schema import add_missing, check_form, create, form_of, refuse_shapes

__all__ = ["KEPT_STATEMENTS", "failure", "open_for_writing"]

_MIN_SQLITE = (3, 24, 0)
"""The first that knows ON CONFLICT DO UPDATE."""
_CACHE_KIB = 16 << 10
"""Of pages that the writer keeps; the system keeps the others, in memory that it can take back."""
_CHECKPOINT_PAGES = 8000
"""About 32 MiB of write-ahead log: pages that are written again and again go to the file once."""
KEPT_STATEMENTS = 64


def open_for_writing(path: Path, busy_s: float, more: Mapping[str, str]) -> sqlite3.Connection:
    """A connection whose commits are on disk when they return; creates what is missing: file, folder, tables, columns, `more`.

    Waits up to `busy_s` seconds for other writers. Raises StoreUnreachable, or UnknownStoreForm.
    """
    if sqlite3.sqlite_version_info < _MIN_SQLITE:
        raise StoreUnreachable(
            f"this Python's SQLite is {sqlite3.sqlite_version}; the store needs {'.'.join(map(str, _MIN_SQLITE))} or newer"
        )
    connection = None
    try:
        make_private(path.parent)
        connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, cached_statements=KEPT_STATEMENTS)
        _prepare(connection, path, busy_s)
        check_form(connection, path)
        add_missing(connection, more)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, OSError | sqlite3.Error):
            raise failure(error, path, "open", StoreUnreachable) from error
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, busy_s: float) -> None:
    give_up = time.monotonic() + busy_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = wal")
            break
        except (
            sqlite3.OperationalError
        ) as error:  # two processes create it at once: SQLite does not wait by itself here
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = full")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    if form_of(connection) == 0:
        connection.execute("BEGIN IMMEDIATE")
        if form_of(connection) == 0:  # still: nobody else was first
            refuse_shapes(connection, path)
            create(connection)
        connection.execute("COMMIT")


_MEANINGS = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space, the write is repeated",
    sqlite3.SQLITE_BUSY: "another program holds its lock; close the tool that has a transaction open",
    sqlite3.SQLITE_LOCKED: "another program holds its lock; close the tool that has a transaction open",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; move it away and replay the logs, the worker makes a new one",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database; move it away or set WEBLOGS_DATA_DIR to another folder",
    sqlite3.SQLITE_READONLY: "the file or its folder is not writable for this user; give the right to write, or set WEBLOGS_DATA_DIR",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; see that it is a file and that this user may read and write it and its folder",
    sqlite3.SQLITE_PERM: "this user may not open it; give the right to read and write it",
    sqlite3.SQLITE_IOERR: "the disk answers with an error or is full; see the system's log",
    sqlite3.SQLITE_TOOBIG: "a value is larger than SQLite takes",
}
_NOT_THERE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PERM}


def failure(error: sqlite3.Error | OSError, path: Path, doing: str, kind: type[StoreError] | None = None) -> StoreError:
    """The error as a sentence: which file, what happened, what to do next."""
    if isinstance(error, OSError):
        return (kind or StoreError)(
            f"cannot {doing} the store {path}: {error.strerror or error}; set WEBLOGS_DATA_DIR to a folder of yours"
        )
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    kind = kind or (StoreUnreachable if code in _NOT_THERE else StoreError)
    meaning = _MEANINGS.get(code)
    return kind(f"cannot {doing} the store {path}: {f'{meaning} ({error})' if meaning else error}")
