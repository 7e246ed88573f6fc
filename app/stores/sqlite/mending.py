"""Making records of the embedded store exactly what they must be: what `repair` needs beside the writes by version."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, cast

from app.domain.records import Delivery, Hit, Reject, raw_ids
from app.errors import StoreError, UnreadableRecord
from app.stores.contract import Key
from app.stores.identities import given_id, key_name
from app.stores.refused import all_taken
from app.stores.sqlite.bulk import BAD_ROW, slices
from app.stores.sqlite.counts import tallies_differ
from app.stores.sqlite.reads import SqliteReads
from app.stores.sqlite.rows import stored, text
from app.stores.sqlite.tallies import COUNTED, write_tallies
from app.stores.sqlite.thread import in_thread
from app.stores.sqlite.writes import SqliteTransaction, SqliteWrites

__all__ = ["SqliteMending"]

_AT_ONCE = 256
_STANDING = f"delivery_no, superseded_by IS NULL, {', '.join(COUNTED)}"


class SqliteMending:
    """Each call is one transaction: what stands there goes, then what must stand there is written."""

    holds_no_doubles = True
    """Raw ids are unique by the schema."""

    def __init__(self, writes: SqliteWrites, reads: SqliteReads) -> None:
        self.thread, self._writer, self._reads = writes.thread, writes.writer, reads

    @in_thread
    def mend_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        with self._writer.transaction("mend deliveries of") as inside:
            _delete_deliveries(inside, [(delivery.key, delivery.window_start) for delivery in deliveries])
            all_taken(self._writer.put_deliveries(inside, deliveries))

    @in_thread
    def mend_hits(self, hits: Sequence[Hit]) -> None:
        with self._writer.transaction("mend hits of") as inside:
            _delete_raw(inside, "hits", hits)
            all_taken(self._writer.put_hits(inside, hits))

    @in_thread
    def mend_rejects(self, rejects: Sequence[Reject]) -> None:
        with self._writer.transaction("mend rejects of") as inside:
            _delete_raw(inside, "rejects", rejects)
            all_taken(self._writer.put_rejects(inside, rejects))

    @in_thread
    def remove_deliveries(self, names: Sequence[tuple[Key, float]]) -> None:
        with self._writer.transaction("remove deliveries from") as inside:
            _delete_deliveries(inside, names)

    @in_thread
    def remove_hits(self, hits: Sequence[Hit]) -> None:
        with self._writer.transaction("remove hits from") as inside:
            _delete_raw(inside, "hits", hits)

    @in_thread
    def remove_rejects(self, rejects: Sequence[Reject]) -> None:
        with self._writer.transaction("remove rejects from") as inside:
            _delete_raw(inside, "rejects", rejects)

    @in_thread
    def remove_unreadable(self, found: Sequence[UnreadableRecord]) -> None:
        with self._writer.transaction("remove damaged records from") as (connection, _):
            for each in found:
                table, key = cast(tuple[str, dict[str, Any]], each.place)
                where = " AND ".join(f"{column} IS ?" for column in key)
                connection.execute(f"DELETE FROM {table} WHERE {where}", tuple(key.values()))
            write_tallies(connection)

    async def miscounted(self) -> bool:
        return await self._reads.thread.call(self._miscounted)

    def _miscounted(self) -> bool:
        """Looks at all records, in one transaction."""
        self._reads.reader.ping()
        with self._reads.reader.connection() as connection:
            connection.execute("BEGIN")
            try:
                return tallies_differ(connection)
            finally:
                connection.execute("COMMIT")

    @in_thread
    def recount(self) -> bool:
        with self._writer.transaction("recount") as (connection, _):
            wrong = tallies_differ(connection)
            if wrong:
                write_tallies(connection)
        return wrong


def _delete_deliveries(inside: SqliteTransaction, names: Sequence[tuple[Key, float]]) -> None:
    connection, tallies = inside
    for key, start in names:
        row = connection.execute(
            f"SELECT {_STANDING} FROM deliveries JOIN keys USING (key_no) WHERE name = ? AND window_start = ?",
            (key_name(*key), float(start)),
        ).fetchone()
        if row is not None:
            if row[1]:
                tallies.add_deliveries([row[2:]], -1)
            connection.execute("DELETE FROM deliveries WHERE delivery_no = ?", row[:1])


def _delete_raw(inside: SqliteTransaction, kind: str, records: Sequence[Hit] | Sequence[Reject]) -> None:
    connection, tallies = inside
    numbers = sorted({number for record in records for number in _standing(connection, kind, record)})
    for begin, end in slices(len(numbers), _AT_ONCE):
        these = numbers[begin:end]
        chosen = f"{kind[:-1]}_no IN ({','.join('?' * len(these))})"
        if kind == "hits":
            tallies.add("hits", "", -len(these))
        else:
            for reason, count in connection.execute(
                f"SELECT reason, count(*) FROM rejects WHERE {chosen} GROUP BY reason", these
            ):
                tallies.add("rejects", text(reason), -count)
        connection.execute(f"DELETE FROM {kind} WHERE {chosen}", these)


def _standing(connection: sqlite3.Connection, kind: str, record: Hit | Reject) -> Iterator[int]:
    """Numbers of the rows with this raw id, whether it follows from their place or was given."""
    number = f"SELECT {kind[:-1]}_no FROM {kind}"
    try:
        yield from (row[0] for row in connection.execute(f"{number} WHERE given = ?", (given_id(record.raw_id),)))
        if record.raw_id == raw_ids(record.source)(record.position):
            place = (stored(record.source), stored(record.position))
            found = f"{number} JOIN sources USING (source_no) WHERE source = ? AND position = ? AND given IS NULL"
            yield from (row[0] for row in connection.execute(found, place))
    except BAD_ROW as error:
        raise StoreError(f"{record.raw_id!r:.80} cannot be looked up: {error}") from error
