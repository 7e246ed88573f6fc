"""Questions to the embedded store."""

from __future__ import annotations

import json
import re
import struct
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from app.domain.fields import DELIVERY, HIT, KEY, REJECT, Kind, Table
from app.domain.records import Delivery, Hit, Reject, raw_ids
from app.domain.totals import Totals
from app.stores.contract import SEARCH_S, SEARCHED_KEYS, FoundKeys, Key, place
from app.stores.identities import ids_of, key_name
from app.stores.readable import OnUnreadable, readable, reader_of
from app.stores.sqlite.counts import read_counts
from app.stores.sqlite.names import KEPT_SOURCES
from app.stores.sqlite.reader import SqliteReader
from app.stores.sqlite.rows import number, text
from app.stores.sqlite.thread import SqliteThread, in_thread

__all__ = ["SLICE_ROWS", "SqliteReads"]

SLICE_ROWS = 2000
"""How many records one step of a walk through everything reads."""
SEARCH_SLICE_KEYS = 20_000
"""A search by a part of the key looks at this many at once; then other reads have their turn."""

_KEY = ", ".join(f"keys.{name}" for name in KEY)
Record = TypeVar("Record")


_RANGE = re.compile(r"(-?\d+)-(-?\d+)")


def _ranges_of_text(written: str) -> list[list[int]]:
    """>>> _ranges_of_text("0-499,1000-1200")
    [[0, 499], [1000, 1200]]
    """
    return [[int(lo), int(hi)] for lo, hi in _RANGE.findall(written)]


def _words_of(written: Any) -> list[str]:
    joined = text(written)
    return joined.split(",") if joined else []


_DECODE: dict[Kind, Callable[[Any], Any]] = {
    Kind.TEXT: text,
    Kind.INTEGER: number,
    Kind.SMALL: number,
    Kind.VERSION: number,
    Kind.BOOLEAN: bool,
    Kind.RANGES: _ranges_of_text,
    Kind.WORDS: _words_of,
    Kind.SHORT_IDS: ids_of,
    Kind.TEXTS: json.loads,
}


def _decoder(table: Table) -> list[tuple[int, Callable[[Any], Any]]]:
    return [(at, _DECODE[field.kind]) for at, field in enumerate(table.fields) if field.kind in _DECODE]


_DECODERS = {table.record: _decoder(table) for table in (DELIVERY, HIT, REJECT)}


def _record_of_row(table: Table, row: Sequence[Any], raw_ids: Callable[[str], Callable[[int], str]]) -> Any:
    """From what SqliteReader selects; what stands behind it is left out. `raw_ids` gives the raw id if the row has none of its own."""
    values, at = list(row[: len(table.fields)]), 0
    try:
        for at, decode in _DECODERS[table.record]:
            values[at] = decode(values[at])
    except (ValueError, TypeError, AttributeError, LookupError, struct.error) as error:
        raise ValueError(
            f"{table.fields[at].name}: {values[at]!r:.80} is not as the store writes it ({error})"
        ) from error
    record: Any = table.record._make(values)  # type: ignore[attr-defined]
    if table is DELIVERY:
        return record
    given = record.raw_id
    return record._replace(raw_id=raw_ids(record.source)(record.position) if given is None else given.hex())


class SqliteReads:
    """The reads of a store, in the thread that reads."""

    def __init__(self, reader: SqliteReader) -> None:
        self.thread = SqliteThread("store-read", reader.close)
        self.reader = reader
        self._raw_ids = lru_cache(KEPT_SOURCES)(raw_ids)
        self.on_unreadable: OnUnreadable | None = None
        self._delivery: Callable[[tuple[Any, ...]], Delivery] = self._reads(DELIVERY, "deliveries", _delivery_name)
        self._hit: Callable[[tuple[Any, ...]], Hit] = self._reads(HIT, "hits", _row_name)
        self._reject: Callable[[tuple[Any, ...]], Reject] = self._reads(REJECT, "rejects", _row_name)

    def _reads(self, record: Table, table: str, name_of: Callable[[tuple[Any, ...]], str]) -> Any:
        one = record.record.__name__.lower()
        read = lambda row: _record_of_row(record, row, self._raw_ids)  # noqa: E731
        place_of = lambda row: (table, {f"{one}_no": row[-1]})  # noqa: E731
        return reader_of("sqlite", one, record.fields, read, name_of, place_of)

    def _rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.reader.rows(statement, parameters)

    def _deliveries(self, chosen: str, *parameters: object) -> list[Delivery]:
        return list(readable(self._delivery, self.reader.records("deliveries", chosen, parameters)))

    def _key_no(self, *key: str | None) -> int | None:
        rows = self._rows("SELECT key_no FROM keys WHERE name = ?", key_name(*key))
        return rows[0][0] if rows else None

    @in_thread
    def ping(self) -> None:
        self.reader.ping()

    @in_thread
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

    async def keys_by_text_part(
        self, part: str, limit: int = 50, begin: str = "", most: int = SEARCHED_KEYS
    ) -> FoundKeys:
        """By the number of the keys, newest first. An index of parts would cost more than all other writes of a key together."""
        before = _key_number(begin)
        give_up = time.monotonic() + SEARCH_S
        found: list[Key] = []
        searched = 0
        while True:
            size = min(SEARCH_SLICE_KEYS, max(most - searched, 1))
            keys, before, looked_at = await self._search_slice(part, limit - len(found), before, size)
            found += keys
            searched += looked_at
            if looked_at < size and len(found) < limit:
                return FoundKeys(found)
            if len(found) >= limit or searched >= most or time.monotonic() > give_up:
                return FoundKeys(found, searched, str(before))

    @in_thread
    def _search_slice(self, part: str, limit: int, before: int, size: int) -> tuple[list[Key], int, int]:
        """Of the `size` newest keys below a number: those with the part, the lowest number, how many there are."""
        of_slice = "SELECT key_no FROM keys WHERE key_no < ? ORDER BY key_no DESC LIMIT ?"
        lowest, looked_at = self._rows(f"SELECT min(key_no), count(*) FROM ({of_slice})", before, size)[0]
        rows = self._rows(
            f"SELECT {_KEY}, key_no FROM keys WHERE key_no >= ? AND key_no < ? "
            "AND instr(lower(ip_address || '_' || user_agent || '_' || request), lower(CAST(? AS TEXT))) "
            "ORDER BY key_no DESC LIMIT ?",
            lowest,
            before,
            part,
            limit,
        )
        if len(rows) == limit:  # the slice is not at its end
            lowest = rows[-1][-1]
        return [_key(row[:-1]) for row in rows], lowest or 0, looked_at

    @in_thread
    def deliveries_of(self, ip_address: str, user_agent: str, request: str, superseded: bool = False) -> list[Delivery]:
        key_no = self._key_no(ip_address, user_agent, request)
        if key_no is None:
            return []
        return self._deliveries(f"WHERE d.key_no = ?{_shown(superseded)} ORDER BY d.window_start DESC", key_no)

    @in_thread
    def hits_of(
        self, ip_address: str | None, user_agent: str | None, request: str | None, limit: int = 1000
    ) -> tuple[list[Hit], int]:
        key_no = self._key_no(ip_address, user_agent, request)
        if key_no is None:
            return [], 0
        chosen = "WHERE hits.key_no = ? ORDER BY hits.time, sources.source, hits.position LIMIT ?"
        hits = readable(self._hit, self.reader.records("hits", chosen, (key_no, limit)))
        count = self._rows("SELECT count(*) FROM hits WHERE key_no = ?", key_no)[0][0]
        return sorted(hits, key=place), count

    @in_thread
    def newest_deliveries(self, limit: int, verdict: str | None = None) -> list[Delivery]:
        # one search in the index for each verdict: a rare one is found as fast as a frequent one
        verdicts = list(self._counts().deliveries) if verdict is None else [verdict]
        visible = "WHERE d.verdict = ? AND d.superseded_by IS NULL ORDER BY d.last DESC LIMIT ?"
        found = [delivery for one in verdicts for delivery in self._deliveries(visible, one, limit)]
        found.sort(key=lambda delivery: delivery.last, reverse=True)
        return found[:limit]

    def _counts(self) -> Totals:
        with self.reader.connection() as connection:
            return read_counts(connection)

    @in_thread
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

    @in_thread
    def _slice(
        self, table: str, chosen: str, parse: Callable[[tuple[Any, ...]], Record], after: int
    ) -> tuple[list[Record], int | None]:
        """The next records, and the number of the last row (None: that was the end)."""
        rows = self.reader.records(table, f"{chosen} LIMIT {SLICE_ROWS}", (after,))
        return list(readable(parse, rows, self.on_unreadable)), rows[-1][-1] if len(rows) == SLICE_ROWS else None


def _row_name(row: tuple[Any, ...]) -> str:
    return f"in row {row[-1]}"


def _delivery_name(row: tuple[Any, ...]) -> str:
    return f"{' '.join(map(str, row[:3]))} from {row[3]}, in row {row[-1]}"


def _shown(superseded: bool) -> str:
    return "" if superseded else " AND d.superseded_by IS NULL"


def _key_number(begin: str) -> int:
    """Raises ValueError."""
    if not begin:
        return (1 << 63) - 1
    if not (begin.isascii() and begin.isdigit() and len(begin) < 19):
        raise ValueError("no number of a key")
    return int(begin)


def _key(row: tuple[Any, ...]) -> Key:
    ip_address, user_agent, request = map(text, row)
    return ip_address, user_agent, request
