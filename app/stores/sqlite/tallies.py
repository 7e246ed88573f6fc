"""How many records there are, kept in the transaction that writes or deletes them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from app.stores.contract import Counts
from app.stores.sqlite.rows import number, stored, text

__all__ = ["Tallies", "counted_tallies", "read_counts", "tallies_differ", "write_tallies"]


class Tallies:
    """Changes gathered during one transaction, then added to the table `tallies`."""

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str, str], list[int]] = {}

    def add(
        self, kind: str, verdict: str, reason: str | None, records: int, covered_bytes: int = 0, bytes_sent: int = 0
    ) -> None:
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
            self.add(
                "deliveries",
                verdict,
                reason,
                records,
                records * number(covered_bytes),
                records * (number(bytes_sent) or 0),
            )

    def write(self, connection: sqlite3.Connection) -> None:
        """Adds in Python, where integers do not overflow."""
        for name, change in self._changes.items():
            where = tuple(map(stored, name))
            row = connection.execute(
                "SELECT records, covered_bytes, bytes_sent FROM tallies WHERE kind = ? AND verdict = ? AND reason = ?",
                where,
            ).fetchone() or (0, 0, 0)
            sums = [stored(number(old) + new) for old, new in zip(row, change, strict=True)]
            connection.execute("INSERT OR REPLACE INTO tallies VALUES (?, ?, ?, ?, ?, ?)", (*where, *sums))


def read_counts(rows: Iterable[tuple[Any, ...]]) -> Counts:
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


def counted_tallies(connection: sqlite3.Connection) -> dict[tuple[Any, ...], list[int]]:
    """The rows of the table as they must be, by (kind, verdict, reason), from looking at every record."""
    found: dict[tuple[Any, ...], list[int]] = {
        ("hits", "", ""): [connection.execute("SELECT count(*) FROM hits").fetchone()[0], 0, 0]
    }
    for reason, count in connection.execute("SELECT reason, count(*) FROM rejects GROUP BY reason"):
        found["rejects", "", text(reason)] = [count, 0, 0]
    rows = connection.execute(
        "SELECT verdict, reason, covered_bytes, bytes_sent FROM deliveries WHERE superseded_by IS NULL"
    )
    for verdict, reason, covered_bytes, bytes_sent in rows:
        sums = found.setdefault(("deliveries", text(verdict), text(reason) or ""), [0, 0, 0])
        sums[0] += 1
        sums[1] += number(covered_bytes)
        sums[2] += number(bytes_sent) or 0
    return {name: sums for name, sums in found.items() if sums[0]}


def tallies_differ(connection: sqlite3.Connection) -> bool:
    """Whether the table says anything else than the records do. Within one transaction."""
    rows = connection.execute("SELECT kind, verdict, reason, records, covered_bytes, bytes_sent FROM tallies")
    held = {tuple(map(text, row[:3])): list(map(number, row[3:])) for row in rows}
    return {name: sums for name, sums in held.items() if any(sums)} != counted_tallies(connection)


def write_tallies(connection: sqlite3.Connection) -> None:
    """Make the table what the records say. Within one transaction."""
    right = counted_tallies(connection)
    connection.execute("DELETE FROM tallies")
    connection.executemany(
        "INSERT INTO tallies VALUES (?, ?, ?, ?, ?, ?)",
        [tuple(map(stored, (*name, *sums))) for name, sums in right.items()],
    )
