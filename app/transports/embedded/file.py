"""The file of the embedded log: its place, its schema, its connections, and its faults in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import unquote

from app.errors import LogError, SettingsError, UnknownForm
from app.process.folders import make_private

__all__ = ["OFFSET_BITS", "SCHEMA_VERSION", "connect", "in_words", "log_path", "prepare"]

APPLICATION_ID = 0x57424C47  # "WBLG": tells the log from any other SQLite file
SCHEMA_VERSION = 1
OFFSET_BITS = 40
"""A record's id is its partition's number, then this many bits of offset: an integer key reads ten times as fast
as a compound one, because SQLite compares keys of a WITHOUT ROWID table by loading whole rows."""

BUSY_TIMEOUT_S = 60.0
CHECKPOINT_PAGES = 4096

_SCHEMA = """
CREATE TABLE topics (
    no INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    partitions INTEGER NOT NULL,
    compacted INTEGER NOT NULL,
    incarnation TEXT NOT NULL
);
CREATE TABLE partitions (
    no INTEGER PRIMARY KEY,
    topic_no INTEGER NOT NULL REFERENCES topics,
    partition INTEGER NOT NULL,
    first_offset INTEGER NOT NULL DEFAULT 0,
    next_offset INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    kept_bytes INTEGER NOT NULL DEFAULT 0,
    compacted_to INTEGER NOT NULL DEFAULT 0,
    UNIQUE (topic_no, partition)
);
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    count INTEGER,
    timestamp REAL NOT NULL,
    stored REAL NOT NULL,
    key BLOB,
    headers BLOB,
    value BLOB
);
CREATE TABLE subscriptions (
    consumer_group TEXT NOT NULL,
    topic_no INTEGER NOT NULL REFERENCES topics,
    PRIMARY KEY (consumer_group, topic_no)
) WITHOUT ROWID;
CREATE TABLE committed (
    consumer_group TEXT NOT NULL,
    partition_no INTEGER NOT NULL REFERENCES partitions,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (consumer_group, partition_no)
) WITHOUT ROWID;
"""

_SENTENCES = {
    sqlite3.SQLITE_FULL: "the disk (or quota) that holds the log {path} is full: free space there and start again; what was acknowledged is kept",
    sqlite3.SQLITE_BUSY: "the log {path} was locked by another process for more than {busy:g} s: end that process, or try again",
    sqlite3.SQLITE_LOCKED: "the log {path} was locked by another process: end that process, or try again",
    sqlite3.SQLITE_CORRUPT: "the log {path} is damaged: move it away and replay its sources, or restore a copy",
    sqlite3.SQLITE_NOTADB: "{path} is no embedded log: set WEBLOGS_BROKER to another file, or move this one away",
    sqlite3.SQLITE_READONLY: "the log {path} is read-only: give this user write permission on the file and its folder",
    sqlite3.SQLITE_PERM: "the log {path} may not be opened: give this user write permission on the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "the log {path} cannot be opened: check that its folder exists and that this user may write there",
    sqlite3.SQLITE_IOERR: "the disk that holds the log {path} fails or is full: check it, then start again",
    sqlite3.SQLITE_TOOBIG: "a record is larger than the log {path} can hold in one row: send smaller messages",
}


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a LogError that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        sentence = _SENTENCES.get(code & 0xFF) if code is not None else None
        told = (sentence or "the log {path} failed").format(path=path, busy=BUSY_TIMEOUT_S)
        raise LogError(f"{told} ({error})") from error
    except OSError as error:
        raise LogError(
            f"the log {path} cannot be used: {error.strerror or error}; check its folder and permissions"
        ) from error


def log_path(broker: str) -> Path:
    """The file that a broker URL names: `sqlite:///relative.db` or `sqlite:////absolute.db`, percent-encoded.

    >>> log_path("sqlite:///var/weblogs-log.db").as_posix(), log_path("sqlite:////srv/a%20b.db").as_posix()
    ('var/weblogs-log.db', '/srv/a b.db')
    """
    head = "sqlite:///"
    path = unquote(broker[len(head) :])
    if not broker.startswith(head) or not path or path.endswith("/"):
        raise SettingsError(
            f"WEBLOGS_BROKER={broker!r} names no file: write sqlite:///relative/path.db or, for an absolute path, sqlite:////path.db"
        )
    return Path(path)


def connect(path: Path) -> sqlite3.Connection:
    """A connection with autocommit off the module's hands; every commit reaches the disk before it returns."""
    db = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    db.execute("PRAGMA synchronous=FULL")
    db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    db.execute(f"PRAGMA journal_size_limit={64 << 20}")
    return db


def prepare(path: Path) -> sqlite3.Connection:
    """Open the log for writing, creating file and schema where they lack. Several processes may do so at once."""
    with in_words(path):
        make_private(path.parent)
        db = connect(path)
        try:
            _use_wal(db)
            _create(db, path)
        except BaseException:
            db.close()
            raise
    return db


def _use_wal(db: sqlite3.Connection) -> None:
    # switching the mode takes an exclusive lock for which SQLite does not wait by itself
    deadline = monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if (
                error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
                or monotonic() > deadline
            ):
                raise
            sleep(0.01)


def _create(db: sqlite3.Connection, path: Path) -> None:
    if _version(db, path) == SCHEMA_VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        if _version(db, path) == 0:
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection, path: Path) -> int:
    # one statement, hence one snapshot: another process may be creating the schema right now
    application, version, objects = db.execute(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    if application != APPLICATION_ID and (application or version or objects):
        raise LogError(f"{path} is another program's SQLite file, no embedded log: set WEBLOGS_BROKER to another file")
    if version != SCHEMA_VERSION and (application or version):
        raise UnknownForm(f"the log {path}", version, SCHEMA_VERSION)
    return int(version)
