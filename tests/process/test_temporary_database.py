"""What is gathered in a temporary database is all there, and a lack of place is told in one sentence."""

from __future__ import annotations

import pytest

from app.errors import OutputError
from app.process.temporary_database import TemporaryDatabase


def test_rows_come_back_in_the_order_of_the_query() -> None:
    with TemporaryDatabase("CREATE TABLE t (a INTEGER)") as database:
        database.add("INSERT INTO t VALUES (?)", [(number,) for number in (2, 3, 1)])
        assert list(database.rows("SELECT a FROM t WHERE a > ? ORDER BY a", (1,))) == [(2,), (3,)]


def test_a_lack_of_place_is_an_output_error_that_says_what_to_do() -> None:
    with TemporaryDatabase("CREATE TABLE t (a TEXT)") as database:
        list(database.rows("PRAGMA max_page_count = 3"))
        with pytest.raises(OutputError, match="database or disk is full; free the place, or set SQLITE_TMPDIR"):
            database.add("INSERT INTO t VALUES (?)", [("x" * 4000,)] * 9)
