"""Questions to the embedded store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from app.domain.fields import DELIVERY, HIT, KEY, REJECT
from app.domain.records import Delivery, Hit, Reject
from app.domain.totals import Totals
from app.stores.contract import Key, place
from app.stores.readable import OnUnreadable, readable, reader_of
from app.stores.sqlite.names import RawIds
from app.stores.sqlite.rows import delivery_of_row, hit_of_row, key_name, reject_of_row, text
from app.stores.sqlite.tallies import read_counts
from app.stores.sqlite.threads import SqliteThreads, reading

__all__ = ["SEARCHED_KEYS", "SLICE_ROWS", "SqliteReads"]

SLICE_ROWS = 2000
"""How many records one step of a walk through everything reads."""
SEARCHED_KEYS = 500_000
"""A search by a part of the key looks at this many of the newest keys."""

_KEY = ", ".join(f"keys.{name}" for name in KEY)
Record = TypeVar("Record")


class SqliteReads:
    """The reads of a store, in the thread that reads."""

    search_bound = f"the newest {SEARCHED_KEYS:,} keys"

    def __init__(self, threads: SqliteThreads) -> None:
        self.threads = threads
        self._reader = threads.reader
        self._raw_ids = RawIds()
        self.on_unreadable: OnUnreadable | None = None
        known = lambda row: f"in row {row[-1]}"  # noqa: E731
        self._delivery: Callable[[tuple[Any, ...]], Delivery] = reader_of(
            "sqlite",
            "delivery",
            DELIVERY.fields,
            delivery_of_row,
            _delivery_name,
            lambda row: ("deliveries", {"delivery_no": row[-1]}),
        )
        self._hit: Callable[[tuple[Any, ...]], Hit] = reader_of(
            "sqlite",
            "hit",
            HIT.fields,
            lambda row: hit_of_row(row, self._raw_ids),
            known,
            lambda row: ("hits", {"hit_no": row[-1]}),
        )
        self._reject: Callable[[tuple[Any, ...]], Reject] = reader_of(
            "sqlite",
            "reject",
            REJECT.fields,
            lambda row: reject_of_row(row, self._raw_ids),
            known,
            lambda row: ("rejects", {"reject_no": row[-1]}),
        )

    def _rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self._reader.rows(statement, parameters)

    def _deliveries(self, chosen: str, *parameters: object) -> list[Delivery]:
        return list(readable(self._delivery, self._reader.records("deliveries", chosen, parameters)))

    def _key_no(self, *key: str | None) -> int | None:
        rows = self._rows("SELECT key_no FROM keys WHERE name = ?", key_name(*key))
        return rows[0][0] if rows else None

    @reading
    def keys_by_hash(self, key_hash: str) -> list[Key]:
        try:
            begin = bytes.fromhex(key_hash)
        except ValueError:
            return []
        rows = self._rows(
            f"SELECT {_KEY} FROM keys WHERE name BETWEEN ? AND ? AND ip_address IS NOT NULL AND user_agent IS NOT NULL "
            "AND request IS NOT NULL ORDER BY key_no",
            begin,
            begin + b"\xff" * 12,
        )
        return [_key(row) for row in rows] if len(begin) == 16 else []

    @reading
    def keys_by_text_part(self, part: str, limit: int = 50) -> list[Key]:
        rows = self._rows(
            f"SELECT {_KEY} FROM (SELECT * FROM keys ORDER BY key_no DESC LIMIT {SEARCHED_KEYS}) AS keys "
            "WHERE instr(lower(ip_address || '_' || user_agent || '_' || request), lower(CAST(? AS TEXT))) "
            "ORDER BY key_no DESC LIMIT ?",
            part,
            limit,
        )
        return [_key(row) for row in rows]

    @reading
    def deliveries_of(self, ip_address: str, user_agent: str, request: str, superseded: bool = False) -> list[Delivery]:
        key_no = self._key_no(ip_address, user_agent, request)
        if key_no is None:
            return []
        return self._deliveries(f"WHERE d.key_no = ?{_shown(superseded)} ORDER BY d.window_start DESC", key_no)

    @reading
    def hits_of(
        self, ip_address: str | None, user_agent: str | None, request: str | None, limit: int = 1000
    ) -> tuple[list[Hit], int]:
        key_no = self._key_no(ip_address, user_agent, request)
        if key_no is None:
            return [], 0
        chosen = "WHERE hits.key_no = ? ORDER BY hits.time, sources.source, hits.position LIMIT ?"
        hits = readable(self._hit, self._reader.records("hits", chosen, (key_no, limit)))
        count = self._rows("SELECT count(*) FROM hits WHERE key_no = ?", key_no)[0][0]
        return sorted(hits, key=place), count

    @reading
    def newest_deliveries(self, limit: int, verdict: str | None = None, superseded: bool = False) -> list[Delivery]:
        if superseded:
            chosen, asked = ("", ()) if verdict is None else ("WHERE d.verdict = ? ", (verdict,))
            return self._deliveries(f"{chosen}ORDER BY d.last DESC LIMIT ?", *asked, limit)
        # one search in the index for each verdict: a rare one is found as fast as a frequent one
        verdicts = list(self._counts().deliveries) if verdict is None else [verdict]
        visible = "WHERE d.verdict = ? AND d.superseded_by IS NULL ORDER BY d.last DESC LIMIT ?"
        found = [delivery for one in verdicts for delivery in self._deliveries(visible, one, limit)]
        found.sort(key=lambda delivery: delivery.last, reverse=True)
        return found[:limit]

    def _counts(self) -> Totals:
        with self._reader.connection() as connection:
            return read_counts(connection)

    @reading
    def counts(self) -> Totals:
        return self._counts()

    def all_deliveries(self, superseded: bool = False) -> AsyncIterator[Delivery]:
        chosen = f"WHERE d.delivery_no > ?{_shown(superseded)} ORDER BY d.delivery_no"
        return self._walk("deliveries", chosen, self._delivery)

    def all_hits(self) -> AsyncIterator[Hit]:
        return self._walk("hits", "WHERE hits.hit_no > ? ORDER BY hits.hit_no", self._hit)

    def all_rejects(self) -> AsyncIterator[Reject]:
        return self._walk("rejects", "WHERE rejects.reject_no > ? ORDER BY rejects.reject_no", self._reject)

    async def _walk(self, table: str, chosen: str, parse: Callable[[tuple[Any, ...]], Record]) -> AsyncIterator[Record]:
        """A slice at a time, by the numbers of the rows."""
        after: int | None = 0
        while after is not None:
            found, after = await self._slice(table, chosen, parse, after)
            for record in found:
                yield record

    @reading
    def _slice(
        self, table: str, chosen: str, parse: Callable[[tuple[Any, ...]], Record], after: int
    ) -> tuple[list[Record], int | None]:
        """The next records, and the number of the last row (None: that was the end)."""
        rows = self._reader.records(table, f"{chosen} LIMIT {SLICE_ROWS}", (after,))
        return list(readable(parse, rows, self.on_unreadable)), rows[-1][-1] if len(rows) == SLICE_ROWS else None


def _delivery_name(row: tuple[Any, ...]) -> str:
    return f"{' '.join(map(str, row[:3]))} from {row[3]}, in row {row[-1]}"


def _shown(superseded: bool) -> str:
    return "" if superseded else " AND d.superseded_by IS NULL"


def _key(row: tuple[Any, ...]) -> Key:
    ip_address, user_agent, request = map(text, row)
    return ip_address, user_agent, request
