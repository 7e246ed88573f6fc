"""The reading connection of a process to the embedded store: it cannot write. All calls from one thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from app.domain.fields import DELIVERY, HIT, KEY, REJECT, Field, Table
from app.errors import StoreUnreachable, UnknownStoreForm
from app.stores.sqlite.connections import KEPT_STATEMENTS, failure
from app.stores.sqlite.rows import literal, stored
from app.stores.sqlite.schema import check_form, columns_of, form_of

__all__ = ["SqliteReader"]


class SqliteReader:
    """Opened by the first call, and again after an error."""

    def __init__(self, path: Path, busy_s: float) -> None:
        self.path = path
        self._busy_s = busy_s
        self._connection: sqlite3.Connection | None = None
        self._selects: dict[str, str] = {}

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """The open connection. Raises StoreError, or UnknownStoreForm for a file that became another one meanwhile."""
        try:
            if self._connection is None:
                self._connection = _open_for_reading(self.path, self._busy_s)
                self._learn_columns(self._connection)
            check_form(self._connection, self.path)
            yield self._connection
        except sqlite3.Error as error:
            self.close()
            raise failure(error, self.path, "read") from error

    def _learn_columns(self, connection: sqlite3.Connection) -> None:
        keys, sources = "JOIN keys USING (key_no)", "JOIN sources USING (source_no)"
        for record, table, alias, joined in (
            (DELIVERY, "deliveries", "d", f"deliveries AS d {keys}"),
            (HIT, "hits", "hits", f"hits {keys} {sources}"),
            (REJECT, "rejects", "rejects", f"rejects {sources}"),
        ):
            number = f"{alias}.{record.record.__name__.lower()}_no"
            values = _selected(record, alias, columns_of(connection, table))
            self._selects[table] = f"SELECT {values}, {number} FROM {joined} "

    def rows(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """What a SELECT gives. Raises StoreError."""
        with self.connection() as connection:
            return connection.execute(statement, tuple(map(stored, parameters))).fetchall()

    def records(self, table: str, chosen: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows of hits, rejects or deliveries (`d`), as `rows.*_of_row` take them, with the number of the row behind.

        `chosen` are the conditions and the order.
        """
        with self.connection() as connection:
            return connection.execute(self._selects[table] + chosen, tuple(map(stored, parameters))).fetchall()

    def ping(self) -> None:
        try:
            _look(self.path)
        except StoreUnreachable:  # an open connection would go on reading a file that was removed
            self.close()
            raise
        self.rows("SELECT count(*) FROM sqlite_master")


def _selected(table: Table, alias: str, there: Collection[str]) -> str:
    """The expressions of a SELECT that give the values of a record in its order.

    `alias` is that of its rows; `there` are the columns that they have: in an older store some are missing, or have their former
    names, until a worker opens it.
    """

    def place(field: Field) -> str:
        name = next((name for name in (field.name, field.former) if name in there), None)
        return literal(field) if name is None else f"{alias}.{name}"

    places = {"source": "sources.source", "raw_id": f"{alias}.given"} if "source" in table.at else {}
    if table is not REJECT:
        places |= {name: f"keys.{name}" for name in KEY}
    return ", ".join(places.get(field.name) or place(field) for field in table.fields)


def _look(path: Path) -> None:
    """Raises StoreUnreachable where there is no file, or none that may be seen."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        sentence = f"the store {path} is not there; start the worker, which makes it, set WEBLOGS_DATA_DIR to the folder it writes to, or WEBLOGS_STORES to the stores that it fills, as in .env"
        raise StoreUnreachable(sentence) from None
    except OSError as error:
        raise failure(error, path, "open", StoreUnreachable) from error


def _open_for_reading(path: Path, busy_s: float) -> sqlite3.Connection:
    """A connection that cannot write; works while others write. Raises StoreUnreachable where there is no store (yet)."""
    _look(path)
    try:
        connection = _connect_for_reading(path, busy_s, "mode=ro")
    except sqlite3.OperationalError as error:
        # a closed store in a folder where we may not write has no shared-memory file, and needs none
        if Path(f"{path}-wal").exists():
            raise failure(error, path, "open", StoreUnreachable) from error
        try:
            connection = _connect_for_reading(path, busy_s, "immutable=1")
        except sqlite3.Error as again:
            raise failure(again, path, "open", StoreUnreachable) from again
    except sqlite3.Error as error:
        raise failure(error, path, "open", StoreUnreachable) from error
    if form_of(connection) == 0:
        connection.close()
        raise StoreUnreachable(f"{path} is no store yet: it has no tables; start the worker first")
    try:
        check_form(connection, path)
    except UnknownStoreForm:
        connection.close()
        raise
    return connection


def _connect_for_reading(path: Path, busy_s: float, mode: str) -> sqlite3.Connection:
    address = f"file:{quote(str(path.absolute()))}?{mode}"
    connection = sqlite3.connect(
        address, uri=True, timeout=busy_s, isolation_level=None, cached_statements=KEPT_STATEMENTS
    )
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
