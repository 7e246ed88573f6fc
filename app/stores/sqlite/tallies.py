"""How many records there are, kept in the transaction that writes or deletes them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from app.stores.sqlite.rows import number, stored, text

__all__ = ["COUNTED", "NAMES", "SUMS", "Tallies", "TallyName", "are_kept", "counted", "write_tallies"]

COUNTED = ("verdict", "reason", "evidence", "hits", "covered_bytes", "bytes_sent")
"""Columns of a delivery that `Tallies.add_deliveries` takes."""
NAMES, SUMS = "kind, verdict, reason, evidence", "records, merged, covered_bytes, bytes_sent"
TallyName = tuple[str, ...]


class Tallies:
    """Changes gathered during one transaction, then added to the table `tallies`."""

    def __init__(self) -> None:
        self.changes: dict[TallyName, list[int]] = {}

    def add(self, kind: str, reason: str, records: int) -> None:
        """Hits, or rejects of one reason."""
        self._sums(kind, "", reason, "")[0] += records

    def add_deliveries(self, deliveries: Iterable[Sequence[Any]], sign: int) -> None:
        """Visible ones: the COUNTED of each, as they are stored; `sign` is 1 for those that come, -1 for those that go."""
        for verdict, reason, evidence, *sums in deliveries:
            change = self._sums("deliveries", text(verdict), text(reason) or "", text(evidence))
            for at, added in enumerate((1, *sums)):
                change[at] += sign * (number(added) or 0)

    def _sums(self, *name: str) -> list[int]:
        return self.changes.setdefault(name, [0, 0, 0, 0])

    def write(self, connection: sqlite3.Connection) -> None:
        """Adds in Python, where integers do not overflow."""
        for name, change in self.changes.items():
            if not any(change):
                continue
            where = tuple(map(stored, name))
            row = connection.execute(
                f"SELECT {SUMS} FROM tallies WHERE kind = ? AND verdict = ? AND reason = ? AND evidence = ?", where
            ).fetchone() or (0, 0, 0, 0)
            sums = [stored(number(old) + new) for old, new in zip(row, change, strict=True)]
            connection.execute("INSERT OR REPLACE INTO tallies VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*where, *sums))


def are_kept(connection: sqlite3.Connection) -> bool:
    """Whether the file has the table as it is today; one that an older program made gets it when it is opened for writing."""
    return any(row[1] == "merged" for row in connection.execute("PRAGMA table_info(tallies)"))


def counted(connection: sqlite3.Connection) -> Tallies:
    """What the table must say, from looking at every record."""
    tallies = Tallies()
    tallies.add("hits", "", connection.execute("SELECT count(*) FROM hits").fetchone()[0])
    for reason, count in connection.execute("SELECT reason, count(*) FROM rejects GROUP BY reason"):
        tallies.add("rejects", text(reason), count)
    visible = connection.execute(f"SELECT {', '.join(COUNTED)} FROM deliveries WHERE superseded_by IS NULL")
    tallies.add_deliveries(visible, 1)
    return tallies


def write_tallies(connection: sqlite3.Connection) -> None:
    """Make the table what the records say. Within one transaction."""
    connection.execute("DELETE FROM tallies")
    counted(connection).write(connection)
