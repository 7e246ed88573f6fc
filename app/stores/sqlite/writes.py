"""Writing to the embedded store: each batch in one transaction, in the thread that writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from app.domain.fields import DELIVERY, HIT, KEY, REJECT
from app.domain.records import Delivery, Hit, Reject, newest_by, raw_ids
from app.errors import StoreError
from app.stores.identities import given_id, with_start
from app.stores.sqlite.bulk import Insert, lookup
from app.stores.sqlite.connections import failure, open_for_writing
from app.stores.sqlite.names import KEPT_SOURCES, KeyNumbers
from app.stores.sqlite.rows import COLUMNS, delivery_rows, number, plain_of_hit, plain_of_reject, text_of_texts
from app.stores.sqlite.schema import check_form
from app.stores.sqlite.tallies import COUNTED, Tallies
from app.stores.sqlite.thread import SqliteThread, in_thread

__all__ = ["INGEST_GRAIN_S", "SqliteTransaction", "SqliteWriter", "SqliteWrites"]

INGEST_GRAIN_S = 60.0
"""What came in within this time shares one row that tells when."""

_INSERT_RAW = {table: Insert(table, COLUMNS[table], "ON CONFLICT DO NOTHING") for table in ("hits", "rejects")}
_CHANGED = [column for column in COLUMNS["deliveries"].split(", ") if column not in ("key_no", "window_start")]
_UPSERT_DELIVERIES = Insert(
    "deliveries",
    COLUMNS["deliveries"],
    "ON CONFLICT (key_no, window_start) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in _CHANGED),
)
_key_of_hit, _key_of_delivery = (table.picker(tuple(table[name] for name in KEY)) for table in (HIT, DELIVERY))
_start_of = itemgetter(DELIVERY.at["window_start"])
_identity_of_hit, _identity_of_reject = (
    table.picker(tuple(table[name] for name in ("raw_id", "source", "position"))) for table in (HIT, REJECT)
)
_extras_of = itemgetter(HIT.at["extras"])
_reason_of = itemgetter(REJECT.at["reason"])
_STANDING = ("t.version", "t.superseded_by IS NULL", *(f"t.{name}" for name in COUNTED))
_counted = DELIVERY.picker(tuple(DELIVERY[name] for name in COUNTED))
_Name = tuple[int, float]
"""key_no and window_start"""


class SqliteTransaction(NamedTuple):
    """One transaction under way."""

    connection: sqlite3.Connection
    tallies: Tallies


class SqliteWriter:
    """The one writing connection of a process. All calls from one thread."""

    def __init__(self, path: Path, clock: Callable[[], float], busy_s: float, read_only: bool = False) -> None:
        self.path, self.clock, self.read_only = path, clock, read_only
        self._busy_s = busy_s
        self.more: dict[str, str] = {}
        """Name -> statement: what is made beside the tables of records."""
        self._connection: sqlite3.Connection | None = None
        self._data_version = 0
        self._names = KeyNumbers()
        self.forget_names = self._names.forget
        self._raw_ids = lru_cache(KEPT_SOURCES)(raw_ids)

    def open(self) -> sqlite3.Connection:
        """The connection, made where there is none: after an error each call starts with a fresh one."""
        if self.read_only:
            raise StoreError(f"the store {self.path} was opened for reading only")
        if self._connection is None:
            self._connection = open_for_writing(self.path, self._busy_s, self.more)
        return self._connection

    def close(self) -> None:
        """Rolls back what is under way."""
        self._names.forget()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def transaction(self, doing: str) -> Iterator[SqliteTransaction]:
        """All or nothing; on disk when it ends. Raises StoreError, after which the same call may come again."""
        try:
            connection = self.open()
            connection.execute("BEGIN IMMEDIATE")
            self._notice_others(connection)
            tallies = Tallies()
            yield SqliteTransaction(connection, tallies)
            tallies.write(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.close()
            raise failure(error, self.path, doing) from error
        except BaseException:
            self.close()
            raise

    def _notice_others(self, connection: sqlite3.Connection) -> None:
        """Another process has written: it may have removed keys that are remembered here, or given the file another form."""
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._data_version:
            check_form(connection, self.path)
            self._names.forget()
            self._data_version = version

    def put_hits(self, inside: SqliteTransaction, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
        """Within a transaction."""
        refused: list[tuple[Hit, str]] = []
        keys = list(map(_key_of_hit, hits))
        numbers = self._names.key_numbers(inside.connection, dict.fromkeys(keys))
        values = [
            (numbers[key], *plain_of_hit(hit), text_of_texts(_extras_of(hit)))
            for key, hit in zip(keys, hits, strict=True)
        ]
        added = self._put_raw(inside.connection, "hits", hits, map(_identity_of_hit, hits), values, refused)
        inside.tallies.add("hits", "", added)
        return refused

    def put_rejects(self, inside: SqliteTransaction, rejects: Sequence[Reject]) -> list[tuple[Reject, str]]:
        """Within a transaction."""
        refused: list[tuple[Reject, str]] = []
        by_reason: dict[str, list[Reject]] = {}
        for reject in rejects:
            by_reason.setdefault(_reason_of(reject), []).append(reject)
        for reason, same in by_reason.items():
            identities, values = map(_identity_of_reject, same), map(plain_of_reject, same)
            added = self._put_raw(inside.connection, "rejects", same, identities, values, refused)
            inside.tallies.add("rejects", reason, added)
        return refused

    def _put_raw(
        self,
        connection: sqlite3.Connection,
        table: str,
        records: Sequence[Any],
        identities: Iterable[tuple[str, str, int]],
        values: Iterable[tuple[Any, ...]],
        refused: list[tuple[Any, str]],
    ) -> int:
        """How many rows were new; what SQLite cannot take joins `refused`."""
        kept: list[Any] = []
        rows: list[tuple[Any, ...]] = []
        last: str | None = None
        source_no, raw_id_at = 0, self._raw_ids("")
        for record, (raw_id, source, position), own in zip(records, identities, values, strict=True):
            if source != last:
                source_no = self._names.source_number(connection, source)
                raw_id_at, last = self._raw_ids(source), source
            given = None
            if raw_id != raw_id_at(position):
                try:
                    given = given_id(raw_id)
                except ValueError as error:
                    refused.append((record, str(error)))
                    continue
            rows.append((*own, source_no, given))
            kept.append(record)
        highest = f"SELECT ifnull(max({table[:-1]}_no), 0) FROM {table}"
        before = connection.execute(highest).fetchone()[0]
        changes = connection.total_changes
        refused.extend((kept[index], reason) for index, reason in _INSERT_RAW[table].run(connection, rows))
        added = connection.total_changes - changes
        if added:
            self._note_ingest(connection, table, before + 1, connection.execute(highest).fetchone()[0])
        return added

    def _note_ingest(self, connection: sqlite3.Connection, table: str, first: int, last: int) -> None:
        now = self.clock()
        newest = connection.execute(
            "SELECT first_no, last_no, time FROM ingests WHERE kind = ? ORDER BY first_no DESC LIMIT 1", (table,)
        ).fetchone()
        if newest is not None and newest[1] == first - 1 and newest[2] <= now < newest[2] + INGEST_GRAIN_S:
            first, now = newest[0], newest[2]
        connection.execute("INSERT OR REPLACE INTO ingests VALUES (?, ?, ?, ?)", (table, first, last, now))

    def put_deliveries(self, inside: SqliteTransaction, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, str]]:
        """Within a transaction."""
        connection, tallies = inside
        refused: list[tuple[Delivery, str]] = []
        best = self._best(connection, with_start(deliveries, refused))
        names = list(best)
        current = {
            names[row[0]]: row for row in lookup(connection, "deliveries", ("key_no", "window_start"), _STANDING, names)
        }
        kept = [name for name in names if name not in current or number(current[name][1]) < best[name].version]
        rows, bad = delivery_rows([best[name] for name in kept], [key_no for key_no, _ in kept], self.clock())
        refused += [(best[kept.pop(index)], reason) for index, reason in reversed(bad)]
        bad = _UPSERT_DELIVERIES.run(connection, rows)
        refused += [(best[kept.pop(index)], reason) for index, reason in reversed(bad)]
        tallies.add_deliveries([current[name][3:] for name in kept if name in current and current[name][2]], -1)
        tallies.add_deliveries([_counted(best[name]) for name in kept if best[name].superseded_by is None], 1)
        return refused

    def _best(self, connection: sqlite3.Connection, deliveries: Sequence[Delivery]) -> dict[_Name, Delivery]:
        """The highest version of each delivery of the batch."""
        keys = list(map(_key_of_delivery, deliveries))
        numbers = self._names.key_numbers(connection, dict.fromkeys(keys))
        names = zip([numbers[key] for key in keys], map(float, map(_start_of, deliveries)), strict=True)
        return newest_by(names, deliveries)


class SqliteWrites:
    """What the flow needs of the store. `ping` asks the store whether it is there; `beside` is the thread that reads."""

    def __init__(self, writer: SqliteWriter, ping: Callable[[], Awaitable[None]], beside: SqliteThread) -> None:
        self.writer, self._ping, self._beside = writer, ping, beside
        self.thread = SqliteThread("store-write", writer.close)

    async def open(self) -> None:
        await (self.ping() if self.writer.read_only else self.thread.call(self.writer.open))

    async def ping(self) -> None:
        await self._ping()

    async def close(self) -> None:
        await self._beside.close()
        await self.thread.close()

    @in_thread
    def write_hits(self, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
        with self.writer.transaction("write hits to") as inside:
            return self.writer.put_hits(inside, hits)

    @in_thread
    def write_rejects(self, rejects: Sequence[Reject]) -> list[tuple[Reject, str]]:
        with self.writer.transaction("write rejects to") as inside:
            return self.writer.put_rejects(inside, rejects)

    @in_thread
    def write_deliveries(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, str]]:
        with self.writer.transaction("write deliveries to") as inside:
            return self.writer.put_deliveries(inside, deliveries)
