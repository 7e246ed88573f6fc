"""What the tallies of the embedded store say, and whether it is what the records say."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from app.domain.totals import Judged, Totals
from app.stores.sqlite.rows import number, text
from app.stores.sqlite.tallies import NAMES, SUMS, TallyName, are_kept, counted

__all__ = ["read_counts", "tallies_differ"]


def read_counts(connection: sqlite3.Connection) -> Totals:
    """From the table, or from the records if it is an old one."""
    rows: Mapping[TallyName, Sequence[int]] = _held(connection) if are_kept(connection) else counted(connection).changes
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


def _held(connection: sqlite3.Connection) -> dict[TallyName, list[int]]:
    rows = connection.execute(f"SELECT {NAMES}, {SUMS} FROM tallies")
    return {tuple(map(text, row[:4])): list(map(number, row[4:])) for row in rows}


def tallies_differ(connection: sqlite3.Connection) -> bool:
    """Whether the table says anything else than the records do. Within one transaction."""
    if not are_kept(connection):
        return False
    return _filled(_held(connection)) != _filled(counted(connection).changes)


def _filled(rows: Mapping[TallyName, Sequence[int]]) -> dict[TallyName, Sequence[int]]:
    return {name: sums for name, sums in rows.items() if any(sums)}
