"""The embedded store: one SQLite file, written by one thread, read by another; the event loop never waits for the disk.

Many processes may read and write one file at a time: SQLite's write-ahead log lets readers go on beside a writer, and writers
wait for one another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from app.stores.contract import Store
from app.stores.sqlite.ledgers import SqliteLedgers
from app.stores.sqlite.mending import SqliteMending
from app.stores.sqlite.reader import SqliteReader
from app.stores.sqlite.reads import SqliteReads
from app.stores.sqlite.retention import SqliteRetention
from app.stores.sqlite.writes import SqliteWriter, SqliteWrites

__all__ = ["SqliteStore"]


class SqliteStore(Store):
    """The store in one SQLite file.

    `clock` tells the time of ingest (UTC seconds); a write waits up to `busy_s` seconds for other processes' writes.
    """

    def __init__(
        self, path: Path, *, read_only: bool = False, clock: Callable[[], float] = time.time, busy_s: float = 10.0
    ) -> None:
        self.path = path
        reads = SqliteReads(SqliteReader(path, busy_s))
        writes = SqliteWrites(SqliteWriter(path, clock, busy_s, read_only), reads.ping, reads.thread)
        ledgers = SqliteLedgers(writes, reads)
        super().__init__(
            "sqlite",
            writes,
            reads=reads,
            mending=SqliteMending(writes, reads),
            retention=SqliteRetention(writes, ledgers),
            ledgers=ledgers,
        )
