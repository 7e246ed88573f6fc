"""Reading the embedded store, on a connection that can not write. Each call reads in one thread."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from app.domain.records import Delivery, Hit, Reject
from app.errors import StoreUnreachable
from app.stores.contract import Counts, Key, place
from app.stores.sqlite.connections import failure, look, open_for_reading
from app.stores.sqlite.names import RawIds
from app.stores.sqlite.rows import (
    DELIVERY_COLUMNS,
    HIT_COLUMNS,
    REJECT_COLUMNS,
    delivery_of_row,
    hit_of_row,
    key_name,
    number,
    stored,
    text,
)
from app.stores.sqlite.tallies import read_counts, tallies_differ

__all__ = ["SEARCHED_KEYS", "SLICE_ROWS", "Reader"]

SLICE_ROWS = 2000
"""How many records one step of a walk through everything reads."""
SEARCHED_KEYS = 500_000
"""A search by a part of the key looks at so many of the newest keys."""

_KEY = "keys.ip_address, keys.user_agent, keys.request"
_DELIVERY = f"SELECT {_KEY}, {', '.join('d.' + column for column in DELIVERY_COLUMNS.split(', '))}, d.delivery_no FROM deliveries AS d JOIN keys USING (key_no)"
_HIT = (
    f"SELECT {_KEY}, sources.source, {', '.join('hits.' + column for column in HIT_COLUMNS.split(', '))}, hits.hit_no "
    "FROM hits JOIN keys USING (key_no) JOIN sources USING (source_no)"
)
_REJECT = (
    f"SELECT sources.source, {', '.join('rejects.' + column for column in REJECT_COLUMNS.split(', '))}, rejects.reject_no "
    "FROM rejects JOIN sources USING (source_no)"
)


class Reader:
    """One reading connection. All calls from one thread."""

    def __init__(self, path: Path, busy_s: float) -> None:
        self.path = path
        self._busy_s = busy_s
        self._connection: sqlite3.Connection | None = None
        self._raw_ids = RawIds()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def rows(self, statement: str, parameters: tuple = ()) -> list[tuple]:
        """What a SELECT gives. Raises StoreError."""
        try:
            if self._connection is None:
                self._connection = open_for_reading(self.path, self._busy_s)
            return self._connection.execute(statement, tuple(map(stored, parameters))).fetchall()
        except sqlite3.Error as error:
            self.close()
            raise failure(error, self.path, "read") from error

    def ping(self) -> None:
        try:
            look(self.path)
        except StoreUnreachable:  # an open connection would go on reading a file that was removed
            self.close()
            raise
        self.rows("SELECT count(*) FROM sqlite_master")

    def keys_by_hash(self, key_hash: str) -> list[Key]:
        try:
            begin = bytes.fromhex(key_hash)
        except ValueError:
            return []
        rows = self.rows(
            f"SELECT {_KEY} FROM keys WHERE name BETWEEN ? AND ? AND ip_address IS NOT NULL AND user_agent IS NOT NULL "
            "AND request IS NOT NULL ORDER BY key_no",
            (begin, begin + b"\xff" * 12),
        )
        return [_key(row) for row in rows] if len(begin) == 16 else []

    def keys_by_text_part(self, part: str, limit: int) -> list[Key]:
        rows = self.rows(
            f"SELECT {_KEY} FROM (SELECT * FROM keys ORDER BY key_no DESC LIMIT {SEARCHED_KEYS}) AS keys "
            "WHERE instr(lower(ip_address || '_' || user_agent || '_' || request), lower(CAST(? AS TEXT))) ORDER BY key_no DESC LIMIT ?",
            (part, limit),
        )
        return [_key(row) for row in rows]

    def _key_no(self, *key: str | None) -> int | None:
        rows = self.rows("SELECT key_no FROM keys WHERE name = ?", (key_name(*key),))
        return rows[0][0] if rows else None

    def deliveries_of(self, ip_address: str, user_agent: str, request: str, superseded: bool) -> list[Delivery]:
        key_no = self._key_no(ip_address, user_agent, request)
        if key_no is None:
            return []
        rows = self.rows(f"{_DELIVERY} WHERE d.key_no = ?{_shown(superseded)} ORDER BY d.window_start DESC", (key_no,))
        return [delivery_of_row(row) for row in rows]

    def hits_of(
        self, ip_address: str | None, user_agent: str | None, request: str | None, limit: int
    ) -> tuple[list[Hit], int]:
        key_no = self._key_no(ip_address, user_agent, request)
        if key_no is None:
            return [], 0
        rows = self.rows(
            f"{_HIT} WHERE hits.key_no = ? ORDER BY hits.time, sources.source, hits.position LIMIT ?", (key_no, limit)
        )
        count = self.rows("SELECT count(*) FROM hits WHERE key_no = ?", (key_no,))[0][0]
        return sorted([hit_of_row(row, self._raw_ids) for row in rows], key=place), count

    def newest_deliveries(self, limit: int, verdict: str | None, superseded: bool) -> list[Delivery]:
        if superseded:
            chosen = "" if verdict is None else " WHERE d.verdict = ?"
            rows = self.rows(
                f"{_DELIVERY}{chosen} ORDER BY d.last DESC LIMIT ?", (*(() if verdict is None else (verdict,)), limit)
            )
            return [delivery_of_row(row) for row in rows]
        # one search in the index for each verdict: a rare one is found as fast as a frequent one
        verdicts = list(self.counts().deliveries) if verdict is None else [verdict]
        found: list[Delivery] = []
        for one in verdicts:
            statement = f"{_DELIVERY} WHERE d.verdict = ? AND d.superseded_by IS NULL ORDER BY d.last DESC LIMIT ?"
            found.extend(delivery_of_row(row) for row in self.rows(statement, (one, limit)))
        found.sort(key=lambda delivery: delivery.last, reverse=True)
        return found[:limit]

    def counts(self) -> Counts:
        return read_counts(self.rows("SELECT kind, verdict, reason, records, covered_bytes, bytes_sent FROM tallies"))

    def miscounted(self) -> bool:
        """Whether `counts` says anything else than the records do; looks at all of them."""
        self.ping()
        connection = self._connection
        assert connection is not None
        try:
            connection.execute("BEGIN")
            try:
                return tallies_differ(connection)
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.close()
            raise failure(error, self.path, "read") from error

    def deliveries_after(self, after: int, superseded: bool) -> tuple[list[Delivery], int | None]:
        """The next slice of all deliveries, and the number of its last (None: that was the end)."""
        rows = self.rows(
            f"{_DELIVERY} WHERE d.delivery_no > ?{_shown(superseded)} ORDER BY d.delivery_no LIMIT {SLICE_ROWS}",
            (after,),
        )
        return [delivery_of_row(row) for row in rows], rows[-1][-1] if len(rows) == SLICE_ROWS else None

    def hits_after(self, after: int) -> tuple[list[Hit], int | None]:
        """The next slice of all hits, and the number of its last (None: that was the end)."""
        rows = self.rows(f"{_HIT} WHERE hits.hit_no > ? ORDER BY hits.hit_no LIMIT {SLICE_ROWS}", (after,))
        return [hit_of_row(row, self._raw_ids) for row in rows], rows[-1][-1] if len(rows) == SLICE_ROWS else None

    def rejects_after(self, after: int) -> tuple[list[Reject], int | None]:
        """The next slice of all rejects, and the number of its last (None: that was the end)."""
        rows = self.rows(
            f"{_REJECT} WHERE rejects.reject_no > ? ORDER BY rejects.reject_no LIMIT {SLICE_ROWS}", (after,)
        )
        return [self._reject(row) for row in rows], rows[-1][-1] if len(rows) == SLICE_ROWS else None

    def _reject(self, row: tuple[Any, ...]) -> Reject:
        source, position, given = text(row[0]), number(row[6]), row[7]
        raw_id = self._raw_ids(source)(position) if given is None else given.hex()
        return Reject(text(row[1]), text(row[2]), text(row[3]), raw_id, source, position, row[4])


def _shown(superseded: bool) -> str:
    return "" if superseded else " AND d.superseded_by IS NULL"


def _key(row: tuple) -> Key:
    return text(row[0]), text(row[1]), text(row[2])
