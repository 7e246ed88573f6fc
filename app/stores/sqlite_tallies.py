"""How many records there are, kept in the transaction that writes or deletes them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from app.stores.contract import Counts
from app.stores.sqlite_rows import number, stored, text

__all__ = ["Tallies", "read_counts"]


class Tallies:
    """Changes gathered during one transaction, then added to the table `tallies`."""

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str, str], list[int]] = {}

    def add(self, kind: str, verdict: str, reason: str | None, records: int, covered_bytes: int = 0, bytes_sent: int = 0) -> None:
        name = (kind, verdict, reason or "")
        change = self._changes.get(name)
        if change is None:
            change = self._changes[name] = [0, 0, 0]
        change[0] += records
        change[1] += covered_bytes
        change[2] += bytes_sent

    def add_row(self, row: Sequence[Any], records: int) -> None:
        """A delivery as it is stored: visible, verdict, reason, covered_bytes, bytes_sent; `records` is 1 or -1."""
        visible, verdict, reason, covered_bytes, bytes_sent = row
        if visible:
            self.add("deliveries", verdict, reason, records, records * number(covered_bytes), records * (number(bytes_sent) or 0))

    def write(self, connection: sqlite3.Connection) -> None:
        """Adds in Python, where integers do not overflow."""
        for name, change in self._changes.items():
            where = tuple(map(stored, name))
            row = connection.execute(
                "SELECT records, covered_bytes, bytes_sent FROM tallies WHERE kind = ? AND verdict = ? AND reason = ?", where
            ).fetchone() or (0, 0, 0)
            sums = [stored(number(old) + new) for old, new in zip(row, change, strict=True)]
            connection.execute("INSERT OR REPLACE INTO tallies VALUES (?, ?, ?, ?, ?, ?)", (*where, *sums))


def read_counts(rows: Iterable[tuple]) -> Counts:
    """From all rows of the table."""
    hits, covered, sent = 0, 0, 0
    rejects: dict[str, int] = {}
    deliveries: dict[str, int] = {}
    reasons: dict[tuple[str, str | None], int] = {}
    for kind, stored_verdict, stored_reason, stored_records, covered_bytes, bytes_sent in rows:
        verdict, reason, records = text(stored_verdict), text(stored_reason), number(stored_records)
        if not records:
            continue
        if kind == "hits":
            hits = records
        elif kind == "rejects":
            rejects[reason] = records
        else:
            deliveries[verdict] = deliveries.get(verdict, 0) + records
            reasons[verdict, reason or None] = records
            covered += number(covered_bytes)
            sent += number(bytes_sent)
    return Counts(hits, rejects, deliveries, reasons, covered, sent)
