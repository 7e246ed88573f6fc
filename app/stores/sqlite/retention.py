"""Deleting what was kept long enough, a bounded slice a transaction, so that writes get in between."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Collection, Iterable
from typing import Any

from app.domain.windows import DAY_S
from app.stores.ledger_contract import Ledgers
from app.stores.sqlite.bulk import slices
from app.stores.sqlite.rows import text
from app.stores.sqlite.tallies import COUNTED, Tallies
from app.stores.sqlite.writes import SqliteWriter, SqliteWrites

__all__ = ["SLICE_ROWS", "SqliteRetention"]

SLICE_ROWS = 10_000
_AT_ONCE = 4096


class SqliteRetention:
    """Deletes rows; the tables and the file stay. With the records, the votes and spending of `ledgers`."""

    def __init__(self, writes: SqliteWrites, ledgers: Ledgers) -> None:
        self._thread, self._writer, self._ledgers = writes.thread, writes.writer, ledgers

    async def map(self, kinds: Collection[str]) -> None:
        """All tables are made together."""
        await self._thread.call(self._writer.open)

    async def drop(self, kinds: Collection[str]) -> None:
        for kind, rows in (("raw", "hits"), ("rejects", "rejects")):
            while kind in kinds and await self._thread.call(_delete_raw, self._writer, math.inf, (rows,)) is not None:
                pass
        while "reduced" in kinds and await self._thread.call(_delete_deliveries, self._writer, math.inf) is not None:
            pass

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        raw, reduced = await self._ledgers.retain(now, raw_days, reduced_days)
        while (gone := await self._thread.call(_delete_raw, self._writer, now - raw_days * DAY_S)) is not None:
            raw += gone
        while (
            gone := await self._thread.call(_delete_deliveries, self._writer, now - reduced_days * DAY_S)
        ) is not None:
            reduced += gone
        return raw, reduced


def _delete_raw(writer: SqliteWriter, before: float, kinds: tuple[str, ...] = ("hits", "rejects")) -> int | None:
    """One slice of the hits or rejects ingested before that time: how many rows went, or None where there are none left."""
    with writer.transaction("delete old records from") as (connection, tallies):
        oldest = connection.execute(
            f"SELECT kind, first_no, last_no FROM ingests WHERE time < ? AND kind IN ({','.join('?' * len(kinds))}) LIMIT 1",
            (before, *kinds),
        ).fetchone()
        if oldest is None:
            return None
        kind, first, last = oldest
        end = min(last, first + SLICE_ROWS - 1)
        deleted = (
            _delete_hits(connection, tallies, first, end)
            if kind == "hits"
            else _delete_rejects(connection, tallies, first, end)
        )
        if end == last:
            connection.execute("DELETE FROM ingests WHERE kind = ? AND first_no = ?", (kind, first))
        else:
            connection.execute(
                "UPDATE ingests SET first_no = ? WHERE kind = ? AND first_no = ?", (end + 1, kind, first)
            )
    writer.forget_names()
    return deleted


def _delete_hits(connection: sqlite3.Connection, tallies: Tallies, first: int, end: int) -> int:
    in_slice = "SELECT json_group_array(DISTINCT key_no) FROM hits WHERE hit_no BETWEEN ? AND ?"
    keys = json.loads(connection.execute(in_slice, (first, end)).fetchone()[0])
    deleted = connection.execute("DELETE FROM hits WHERE hit_no BETWEEN ? AND ?", (first, end)).rowcount
    tallies.add("hits", "", -deleted)
    _delete_lone_keys(connection, keys)
    return deleted


def _delete_rejects(connection: sqlite3.Connection, tallies: Tallies, first: int, end: int) -> int:
    by_reason = "SELECT reason, count(*) FROM rejects WHERE reject_no BETWEEN ? AND ? GROUP BY reason"
    for reason, count in connection.execute(by_reason, (first, end)):
        tallies.add("rejects", text(reason), -count)
    return connection.execute("DELETE FROM rejects WHERE reject_no BETWEEN ? AND ?", (first, end)).rowcount


def _delete_deliveries(writer: SqliteWriter, before: float) -> int | None:
    """One slice of the deliveries last written before that time: how many went, or None where there are none left."""
    with writer.transaction("delete old records from") as (connection, tallies):
        old = connection.execute(
            f"SELECT key_no, delivery_no, superseded_by IS NULL, {', '.join(COUNTED)} "
            "FROM deliveries WHERE ingested < ? ORDER BY ingested LIMIT ?",
            (before, SLICE_ROWS),
        ).fetchall()
        if not old:
            return None
        for begin, end in slices(len(old), _AT_ONCE):
            marks = ",".join("?" * (end - begin))
            connection.execute(
                f"DELETE FROM deliveries WHERE delivery_no IN ({marks})", [row[1] for row in old[begin:end]]
            )
        tallies.add_deliveries([row[3:] for row in old if row[2]], -1)
        _delete_lone_keys(connection, sorted({row[0] for row in old}))
    writer.forget_names()
    return len(old)


def _delete_lone_keys(connection: sqlite3.Connection, key_numbers: Iterable[Any]) -> None:
    """The keys among these that no hit and no delivery names any more."""
    numbers = list(key_numbers)
    for begin, end in slices(len(numbers), _AT_ONCE):
        connection.execute(
            f"DELETE FROM keys WHERE key_no IN ({','.join('?' * (end - begin))}) "
            "AND NOT EXISTS (SELECT 1 FROM hits WHERE hits.key_no = keys.key_no) "
            "AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.key_no = keys.key_no)",
            numbers[begin:end],
        )
