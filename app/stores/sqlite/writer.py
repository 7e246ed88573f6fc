"""The writing connection of a process to the embedded store: each batch in one transaction. All calls from one thread."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from app.domain.fields import DELIVERY, HIT, KEY, REJECT
from app.domain.records import Delivery, Hit, Reject, newest_by
from app.stores.sqlite.bulk import Insert, lookup
from app.stores.sqlite.connections import failure, open_for_writing
from app.stores.sqlite.names import KeyNumbers, RawIds
from app.stores.sqlite.rows import (
    DELIVERY_COLUMNS,
    HIT_COLUMNS,
    REJECT_COLUMNS,
    delivery_rows,
    given_id,
    number,
    plain_of_hit,
    plain_of_reject,
    text_of_texts,
)
from app.stores.sqlite.schema import check_form
from app.stores.sqlite.tallies import COUNTED, Tallies

__all__ = ["INGEST_GRAIN_S", "SqliteTransaction", "SqliteWriter"]

INGEST_GRAIN_S = 60.0
"""What came in within this time shares one row that tells when."""

_INSERT_HITS = Insert("hits", HIT_COLUMNS, "ON CONFLICT DO NOTHING")
_INSERT_REJECTS = Insert("rejects", REJECT_COLUMNS, "ON CONFLICT DO NOTHING")
_CHANGED = [column for column in DELIVERY_COLUMNS.split(", ") if column not in ("key_no", "window_start")]
_UPSERT_DELIVERIES = Insert(
    "deliveries",
    DELIVERY_COLUMNS,
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

    def __init__(self, path: Path, clock: Callable[[], float], busy_s: float) -> None:
        self.path = path
        self._clock = clock
        self._busy_s = busy_s
        self._connection: sqlite3.Connection | None = None
        self._data_version = 0
        self._names = KeyNumbers()
        self._raw_ids = RawIds()

    def open(self) -> sqlite3.Connection:
        """The connection, made where there is none: after an error each call starts with a fresh one."""
        if self._connection is None:
            self._connection = open_for_writing(self.path, self._busy_s)
        return self._connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        self._names.forget()
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
            self._abandon()
            raise failure(error, self.path, doing) from error
        except BaseException:
            self._abandon()
            raise

    def _notice_others(self, connection: sqlite3.Connection) -> None:
        """Another process has written: it may have removed keys that are remembered here, or given the file another form."""
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._data_version:
            check_form(connection, self.path)
            self._names.forget()
            self._data_version = version

    def _abandon(self) -> None:
        """Closing rolls back whatever the state of the connection is."""
        self._names.forget()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def forget_names(self) -> None:
        self._names.forget()

    def put_hits(self, inside: SqliteTransaction, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
        """Within a transaction."""
        connection, tallies = inside
        refused: list[tuple[Hit, str]] = []
        rows, kept = self._hit_rows(connection, hits, refused)
        added = self._insert(connection, "hits", "hit_no", _INSERT_HITS, rows, kept, refused)
        tallies.add("hits", "", added)
        return refused

    def _hit_rows(
        self, connection: sqlite3.Connection, hits: Sequence[Hit], refused: list[Any]
    ) -> tuple[list[tuple[Any, ...]], Sequence[Hit]]:
        numbers = self._names.key_numbers(connection, dict.fromkeys([_key_of_hit(hit) for hit in hits]))
        kept: list[Hit] = []
        rows: list[tuple[Any, ...]] = []
        last: str | None = None
        source_no, raw_id_at = 0, self._raw_ids("")
        for hit in hits:
            raw_id, source, position = _identity_of_hit(hit)
            if source != last:
                source_no = self._names.source_number(connection, source)
                raw_id_at, last = self._raw_ids(source), source
            given = None
            if raw_id != raw_id_at(position):
                try:
                    given = given_id(raw_id)
                except ValueError as error:
                    refused.append((hit, str(error)))
                    continue
            rows.append(
                (numbers[_key_of_hit(hit)], *plain_of_hit(hit), text_of_texts(_extras_of(hit)), source_no, given)
            )
            kept.append(hit)
        return rows, kept

    def put_rejects(self, inside: SqliteTransaction, rejects: Sequence[Reject]) -> list[tuple[Reject, str]]:
        """Within a transaction."""
        connection, tallies = inside
        refused: list[tuple[Reject, str]] = []
        by_reason: dict[str, list[Reject]] = {}
        for reject in rejects:
            by_reason.setdefault(_reason_of(reject), []).append(reject)
        for reason, same in by_reason.items():
            rows, kept = self._reject_rows(connection, same, refused)
            added = self._insert(connection, "rejects", "reject_no", _INSERT_REJECTS, rows, kept, refused)
            tallies.add("rejects", reason, added)
        return refused

    def _reject_rows(
        self, connection: sqlite3.Connection, rejects: Sequence[Reject], refused: list[Any]
    ) -> tuple[list[tuple[Any, ...]], Sequence[Reject]]:
        rows, kept = [], []
        for reject in rejects:
            raw_id, source, position = _identity_of_reject(reject)
            try:
                given = None if raw_id == self._raw_ids(source)(position) else given_id(raw_id)
            except ValueError as error:
                refused.append((reject, str(error)))
                continue
            rows.append((*plain_of_reject(reject), self._names.source_number(connection, source), given))
            kept.append(reject)
        return rows, kept

    def _insert(
        self,
        connection: sqlite3.Connection,
        kind: str,
        column: str,
        insert: Insert,
        rows: list[tuple[Any, ...]],
        records: Sequence[Any],
        refused: list[Any],
    ) -> int:
        """How many rows were new; what SQLite cannot take joins `refused`."""
        highest = f"SELECT ifnull(max({column}), 0) FROM {kind}"
        before = connection.execute(highest).fetchone()[0]
        changes = connection.total_changes
        refused.extend((records[index], reason) for index, reason in insert.run(connection, rows))
        added = connection.total_changes - changes
        if added:
            self._note_ingest(connection, kind, before + 1, connection.execute(highest).fetchone()[0])
        return added

    def _note_ingest(self, connection: sqlite3.Connection, kind: str, first: int, last: int) -> None:
        now = self._clock()
        newest = connection.execute(
            "SELECT first_no, last_no, time FROM ingests WHERE kind = ? ORDER BY first_no DESC LIMIT 1", (kind,)
        ).fetchone()
        if newest is not None and newest[1] == first - 1 and newest[2] <= now < newest[2] + INGEST_GRAIN_S:
            connection.execute(
                "UPDATE ingests SET last_no = ? WHERE kind = ? AND first_no = ?", (last, kind, newest[0])
            )
        else:
            connection.execute("INSERT OR REPLACE INTO ingests VALUES (?, ?, ?, ?)", (kind, first, last, now))

    def put_deliveries(self, inside: SqliteTransaction, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, str]]:
        """Within a transaction."""
        connection, tallies = inside
        refused: list[tuple[Delivery, str]] = []
        best = self._best(connection, deliveries, refused)
        names = list(best)
        current = {
            names[row[0]]: row for row in lookup(connection, "deliveries", ("key_no", "window_start"), _STANDING, names)
        }
        rows, kept = self._newer(best, current, refused)
        for index, reason in reversed(_UPSERT_DELIVERIES.run(connection, rows)):
            refused.append((best[kept.pop(index)], reason))
        tallies.add_deliveries([current[name][3:] for name in kept if name in current and current[name][2]], -1)
        tallies.add_deliveries([_counted(best[name]) for name in kept if best[name].superseded_by is None], 1)
        return refused

    def _best(
        self, connection: sqlite3.Connection, deliveries: Sequence[Delivery], refused: list[Any]
    ) -> dict[_Name, Delivery]:
        """The highest version of each delivery of the batch."""
        if any(map(math.isnan, map(_start_of, deliveries))):
            refused.extend((each, "window_start is no number") for each in deliveries if math.isnan(each.window_start))
            deliveries = [each for each in deliveries if not math.isnan(each.window_start)]
        keys = list(map(_key_of_delivery, deliveries))
        numbers = self._names.key_numbers(connection, dict.fromkeys(keys))
        names = zip([numbers[key] for key in keys], map(float, map(_start_of, deliveries)), strict=True)
        return newest_by(names, deliveries)

    def _newer(
        self, best: dict[_Name, Delivery], current: dict[_Name, tuple[Any, ...]], refused: list[Any]
    ) -> tuple[list[tuple[Any, ...]], list[_Name]]:
        """Rows of those that are newer than what is stored, and their names."""
        now = self._clock()
        newer = {
            name: delivery
            for name, delivery in best.items()
            if name not in current or number(current[name][1]) < delivery.version
        }
        rows, bad = delivery_rows(list(newer.values()), [key_no for key_no, _ in newer], now)
        kept = list(newer)
        for index, reason in reversed(bad):
            refused.append((newer[kept.pop(index)], reason))
        return rows, kept
