"""A temporary SQLite database for what may be larger than memory: it goes to disk when it grows, and away when it is closed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from app.errors import OutputError

__all__ = ["TemporaryDatabase"]

_CACHE_KB = 65_536
"""So much of it is held in memory."""


class TemporaryDatabase:
    """One table and what stands in it. A context manager. Raises OutputError if the system gives no more place."""

    def __init__(self, table: str) -> None:
        """`table`: the statement that creates it."""
        self._database = sqlite3.connect("", isolation_level=None)  # a file without a name
        with _explained():
            for statement in (f"PRAGMA cache_size = -{_CACHE_KB}", "PRAGMA journal_mode = OFF", table, "BEGIN"):
                self._database.execute(statement)

    def add(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement with each of some rows."""
        with _explained():
            self._database.executemany(statement, rows)

    def rows(self, query: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """What a query gives, row by row."""
        with _explained():
            yield from self._database.execute(query, values)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OutputError(
            f"what was gathered cannot be kept in a temporary file: {error}; free the place, or set SQLITE_TMPDIR"
        ) from None
