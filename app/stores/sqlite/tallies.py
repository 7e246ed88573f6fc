"""How many records there are, kept in the transaction that writes or deletes them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.domain.totals import Judged, Totals
from app.stores.sqlite.rows import number, stored, text

__all__ = ["COUNTED", "Tallies", "are_kept", "read_counts", "tallies_differ", "write_tallies"]

COUNTED = ("verdict", "reason", "evidence", "hits", "covered_bytes", "bytes_sent")
"""Columns of a delivery that `Tallies.add_deliveries` takes."""
_NAMES, _SUMS = "kind, verdict, reason, evidence", "records, merged, covered_bytes, bytes_sent"
_Row = tuple[str, ...]


class Tallies:
    """Changes gathered during one transaction, then added to the table `tallies`."""

    def __init__(self) -> None:
        self._changes: dict[_Row, list[int]] = {}

    def add(self, kind: str, reason: str, records: int) -> None:
        """Hits, or rejects of one reason."""
        self._sums(kind, "", reason, "")[0] += records

    def add_deliveries(self, deliveries: Iterable[Sequence[Any]], sign: int) -> None:
        """Visible ones: the COUNTED of each, as they are stored; `sign` is 1 for those that come, -1 for those that go."""
        for verdict, reason, evidence, hits, covered_bytes, bytes_sent in deliveries:
            change = self._sums("deliveries", text(verdict), text(reason) or "", text(evidence))
            change[0] += sign
            change[1] += sign * (number(hits) or 0)
            change[2] += sign * (number(covered_bytes) or 0)
            change[3] += sign * (number(bytes_sent) or 0)

    def _sums(self, *name: str) -> list[int]:
        change = self._changes.get(name)
        if change is None:
            change = self._changes[name] = [0, 0, 0, 0]
        return change

    def write(self, connection: sqlite3.Connection) -> None:
        """Adds in Python, where integers do not overflow."""
        for name, change in self._changes.items():
            where = tuple(map(stored, name))
            row = connection.execute(
                f"SELECT {_SUMS} FROM tallies WHERE kind = ? AND verdict = ? AND reason = ? AND evidence = ?", where
            ).fetchone() or (0, 0, 0, 0)
            sums = [stored(number(old) + new) for old, new in zip(row, change, strict=True)]
            connection.execute("INSERT OR REPLACE INTO tallies VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*where, *sums))


def are_kept(connection: sqlite3.Connection) -> bool:
    """Whether the file has the table as it is today; one that an older program made gets it when it is opened for writing."""
    return any(row[1] == "merged" for row in connection.execute("PRAGMA table_info(tallies)"))


def read_counts(connection: sqlite3.Connection) -> Totals:
    """From the table, or from the records if it is an old one."""
    rows: Mapping[_Row, Sequence[int]] = _held(connection) if are_kept(connection) else _counted(connection)
    rejects: dict[str, int] = {}
    judged: dict[Judged, int] = {}
    hits = merged = covered = sent = 0
    for (kind, verdict, reason, evidence), (records, *sums) in rows.items():
        if not records:
            continue
        if kind == "hits":
            hits = records
        elif kind == "rejects":
            rejects[reason] = records
        else:
            judged[verdict, reason or None, evidence] = records
            merged, covered, sent = merged + sums[0], covered + sums[1], sent + sums[2]
    return Totals(hits, rejects, judged, merged, covered, sent)


def _held(connection: sqlite3.Connection) -> dict[_Row, list[int]]:
    rows = connection.execute(f"SELECT {_NAMES}, {_SUMS} FROM tallies")
    return {tuple(map(text, row[:4])): list(map(number, row[4:])) for row in rows}


def _counted(connection: sqlite3.Connection) -> dict[_Row, list[int]]:
    """The rows of the table as they must be, from looking at every record."""
    tallies = Tallies()
    tallies.add("hits", "", connection.execute("SELECT count(*) FROM hits").fetchone()[0])
    for reason, count in connection.execute("SELECT reason, count(*) FROM rejects GROUP BY reason"):
        tallies.add("rejects", text(reason), count)
    visible = connection.execute(f"SELECT {', '.join(COUNTED)} FROM deliveries WHERE superseded_by IS NULL")
    tallies.add_deliveries(visible, 1)
    return {name: sums for name, sums in tallies._changes.items() if sums[0]}  # noqa: SLF001


def tallies_differ(connection: sqlite3.Connection) -> bool:
    """Whether the table says anything else than the records do. Within one transaction."""
    if not are_kept(connection):
        return False
    return {name: sums for name, sums in _held(connection).items() if any(sums)} != _counted(connection)


def write_tallies(connection: sqlite3.Connection) -> None:
    """Make the table what the records say. Within one transaction."""
    right = _counted(connection)
    connection.execute("DELETE FROM tallies")
    connection.executemany(
        "INSERT INTO tallies VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [tuple(map(stored, (*name, *sums))) for name, sums in right.items()],
    )
