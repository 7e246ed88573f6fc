"""Many rows in one statement.

`executemany` takes and gives back Python's global lock once a row: beside a busy event loop it was measured at 15,000 rows/s,
where statements of up to 2,048 rows wrote 114,000. Row counts are powers of two, so that few statements serve every batch.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from app.stores.sqlite.rows import stored

__all__ = ["BAD_ROW", "Insert", "lookup", "slices"]

_MAX_ROWS = 2048
_MAX_PARAMETERS = 32_766
"""SQLite's own default limit for one statement since 3.32; older ones are asked for theirs."""

BAD_ROW = (
    OverflowError,
    ValueError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
)
"""What a row that SQLite cannot take raises, before or instead of writing it."""


def slices(count: int, largest: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of slices that are powers of two long, at most `largest`.

    >>> list(slices(11, 4))
    [(0, 4), (4, 8), (8, 10), (10, 11)]
    """
    begin = 0
    while begin < count:
        size = min(largest, 1 << ((count - begin).bit_length() - 1))
        yield begin, begin + size
        begin += size


def _rows_at_once(connection: sqlite3.Connection, width: int) -> int:
    limit = min(_MAX_PARAMETERS, connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER))
    return min(_MAX_ROWS, 1 << ((limit // width).bit_length() - 1))


def lookup(
    connection: sqlite3.Connection,
    table: str,
    key: Sequence[str],
    wanted: Sequence[str],
    keys: Sequence[tuple[Any, ...]],
) -> Iterator[tuple[Any, ...]]:
    """(index in `keys`, *wanted columns) of the rows that have one of these keys, in no order.

    The answer comes as one row of JSON, because each row fetched takes and gives back the global lock, too. So the wanted
    columns can be integers and texts, no blobs; reals would lose digits.
    """
    names = ", ".join(("i", *(f"k{at}" for at in range(len(key)))))
    joined = " AND ".join(f"t.{column} = v.k{at}" for at, column in enumerate(key))
    one = "(" + ",".join("?" * (len(key) + 1)) + ")"
    for begin, end in slices(len(keys), _rows_at_once(connection, len(key) + 1)):
        # CROSS JOIN: SQLite must go from the keys to the table's index, not through the table
        statement = (
            f"WITH v ({names}) AS (VALUES {','.join([one] * (end - begin))}) "
            f"SELECT json_group_array(json_array(v.i, {', '.join(wanted)})) FROM v CROSS JOIN {table} AS t ON {joined}"
        )
        flat = [value for index in range(begin, end) for value in (index, *keys[index])]
        yield from json.loads(connection.execute(statement, flat).fetchone()[0])


class Insert:
    """An INSERT of rows of one width, with what to do on a conflict."""

    def __init__(self, table: str, columns: str, on_conflict: str = "") -> None:
        self.width = columns.count(",") + 1
        self._head = f"INSERT INTO {table} ({columns}) VALUES "
        self._one = "(" + ",".join("?" * self.width) + ")"
        self._tail = " " + on_conflict

    def run(self, connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> list[tuple[int, str]]:
        """Inserts, within the caller's transaction; the rows that SQLite cannot take, by index, with the reason."""
        refused: list[tuple[int, str]] = []
        for begin, end in slices(len(rows), _rows_at_once(connection, self.width)):
            try:
                self._execute(connection, rows[begin:end])
            except BAD_ROW:
                refused += self._run_encoded(connection, rows[begin:end], begin)
        return refused

    def _run_encoded(
        self, connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]], at: int
    ) -> list[tuple[int, str]]:
        """The rows again with every value encoded; halved until the bad ones stand alone. `at`: the index of the first."""
        try:
            self._execute(connection, [tuple(map(stored, row)) for row in rows])
        except BAD_ROW as error:
            if len(rows) == 1:
                return [(at, f"SQLite cannot store it: {error}")]
            middle = len(rows) // 2
            return [
                *self._run_encoded(connection, rows[:middle], at),
                *self._run_encoded(connection, rows[middle:], at + middle),
            ]
        return []

    def _execute(self, connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        values = ",".join([self._one] * len(rows))
        connection.execute(self._head + values + self._tail, list(chain.from_iterable(rows)))
