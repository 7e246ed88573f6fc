"""The reading connection of a process to the embedded store: it cannot write. All calls from one thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.domain.fields import DELIVERY, HIT, REJECT
from app.errors import StoreUnreachable
from app.stores.sqlite.connections import failure, look, open_for_reading
from app.stores.sqlite.rows import selected, stored
from app.stores.sqlite.schema import check_form, columns_of

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
                self._connection = open_for_reading(self.path, self._busy_s)
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
            values = selected(record, alias, columns_of(connection, table))
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
            look(self.path)
        except StoreUnreachable:  # an open connection would go on reading a file that was removed
            self.close()
            raise
        self.rows("SELECT count(*) FROM sqlite_master")
