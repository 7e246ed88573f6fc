"""Reading the Cassandra store: every read goes to partitions it can name, or is bounded in rows and time."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from app.domain.records import Delivery, Hit, Reject
from app.domain.totals import Totals
from app.stores.cassandra.answers import PRIMARY, of_key, record_reader, text_of
from app.stores.cassandra.connection import CassandraConnection
from app.stores.cassandra.counts import Counter
from app.stores.cassandra.encoding import class_of, key_bytes
from app.stores.cassandra.rows import (
    DELIVERIES,
    HITS,
    KEY_COLUMNS,
    REJECTS,
    SHARDS,
    VERDICTS,
    Rows,
)
from app.stores.cassandra.values import big, bigint, double, int32
from app.stores.contract import SEARCH_S, SEARCHED_KEYS, FoundKeys, Key, place
from app.stores.readable import OnUnreadable, readable, reader_of

__all__ = ["CassandraReads"]

PAGE_ROWS = 1000
DELIVERY_PAGE_ROWS = 250
"""A delivery has up to four nulls, and a server complains of more than 1,000 in one page."""
STALE_FACTOR = 50
"""newest_deliveries looks at this many entries of the index for each record asked, and some more."""


def _place(rows: Rows, row: tuple[Any, ...]) -> dict[str, Any]:
    """The columns that name a row, with their values."""
    return {name: row[rows.at[name]] for name in PRIMARY[rows.table.record.__name__]}


def _reader(record: str, rows: Rows) -> Callable[[tuple[Any, ...]], Any]:
    return reader_of(
        "cassandra",
        record,
        rows.table.fields,
        record_reader(rows),
        lambda row: ", ".join(f"{name}={value!r}" for name, value in _place(rows, row).items()),
        lambda row: _place(rows, row),
    )


_delivery: Callable[[tuple[Any, ...]], Delivery] = _reader("delivery", DELIVERIES)
_hit: Callable[[tuple[Any, ...]], Hit] = _reader("hit", HITS)
_reject: Callable[[tuple[Any, ...]], Reject] = _reader("reject", REJECTS)


class CassandraReads:
    """Reads on one connection. `opened` is awaited before each: it opens the store where that was not done."""

    def __init__(
        self, connection: CassandraConnection, counter: Counter, opened: Callable[[], Awaitable[object]]
    ) -> None:
        self._connection, self._counter, self._opened = connection, counter, opened
        self.on_unreadable: OnUnreadable | None = None
        connection.statements |= _statements(connection.keyspace)

    async def _ask(self, name: str, *values: bytes) -> list[tuple[Any, ...]]:
        await self._opened()
        return await self._connection.ask(self._connection.bound(name, values, PAGE_ROWS))

    async def _pages(self, name: str, page_rows: int, *values: bytes) -> AsyncIterator[list[tuple[Any, ...]]]:
        await self._opened()
        async for rows in self._connection.pages(self._connection.bound(name, values, page_rows)):
            yield rows

    async def counts(self) -> Totals:
        """Exact where counting takes little; of millions of rows the last counts taken, while new ones are under way."""
        await self._opened()
        return await self._counter.counts()

    async def keys_by_hash(self, key_hash: str) -> list[Key]:
        if len(key_hash) != 32 or not key_hash.isalnum() or not key_hash.isascii():
            return []
        found = [_key_of(row[:3], row[3]) for row in await self._ask("keys_of_hash", key_hash.encode())]
        return [key for key in found if None not in key]

    async def keys_by_text_part(
        self, part: str, limit: int = 50, begin: str = "", most: int = SEARCHED_KEYS
    ) -> FoundKeys:
        """Newest day first, in a day the last written first. If more than `limit` are found there is no rest."""
        sought = part.encode("utf-8", "surrogatepass").lower()  # of bytes: a-z only
        give_up = time.monotonic() + SEARCH_S
        matching: list[tuple[int, Any, Key]] = []
        searched, last, day_of_last = 0, begin, None
        async for day, shard, row in self._keys_from(_place_of_search(begin)):
            place = f"{day}.{shard}.{row[0]}"
            if searched and place != last and (searched >= most or time.monotonic() > give_up):
                keys = _newest_keys(matching)
                return FoundKeys(keys[:limit], searched, "" if len(keys) > limit else last)
            if day != day_of_last and len(keys := _newest_keys(matching)) >= limit:
                return FoundKeys(keys[:limit], searched, "" if len(keys) > limit else last)
            searched, last, day_of_last = searched + 1, place, day
            key = _key_of(row[1:4], row[4])
            if None not in key and sought in "_".join(key).encode("utf-8", "surrogatepass").lower():
                matching.append((day, row[5], key))
        return FoundKeys(_newest_keys(matching)[:limit])

    async def _keys_from(self, begin: tuple[int, int, str] | None) -> AsyncIterator[tuple[int, int, tuple[Any, ...]]]:
        """(day, shard, row) of all keys after a place, newest day first, in a shard by their hashes."""
        async for days in self._pages("buckets", PAGE_ROWS, b"keys"):
            for (day,) in days:
                if begin and day > begin[0]:
                    continue
                first, after = begin[1:] if begin and day == begin[0] else (0, "")
                for shard in range(first, SHARDS):
                    least = (after if shard == first else "").encode()
                    async for rows in self._pages("keys_of_day", PAGE_ROWS, big(day), int32(shard), least):
                        for row in rows:
                            yield day, shard, row

    async def deliveries_of(
        self, ip_address: str, user_agent: str, request: str, superseded: bool = False
    ) -> list[Delivery]:
        parts = key_bytes((ip_address, user_agent, request)).parts
        rows = self._pages("deliveries_of", DELIVERY_PAGE_ROWS, *parts)
        return [one async for one in _deliveries(rows, superseded, None)]

    async def hits_of(
        self, ip_address: str | None, user_agent: str | None, request: str | None, limit: int = 1000
    ) -> tuple[list[Hit], int]:
        encoded = key_bytes((ip_address, user_agent, request))
        rows = await self._ask("days_of_key", encoded.digest.hex().encode(), *encoded.parts)
        days = sorted(_date_bytes(row[0]) for row in rows)
        counted = await asyncio.gather(*[self._ask("count_of_day", *encoded.parts, day) for day in days])
        hits: list[Hit] = []
        for day, ((count,),) in zip(days, counted, strict=True):
            if count and len(hits) < limit:
                rows = await self._ask("hits_of_day", *encoded.parts, day, int32(min(limit - len(hits), 2**31 - 1)))
                hits.extend(readable(_hit, rows))
                if len(hits) == limit:  # the rows of one time come by their ids: all of them, to take the first
                    rows = await self._ask("hits_at", *encoded.parts, day, double(hits[-1].time))
                    hits = [hit for hit in hits if hit.time < hits[-1].time] + list(readable(_hit, rows))
        return sorted(hits, key=place)[:limit], sum(count for ((count,),) in counted)

    async def newest_deliveries(self, limit: int, verdict: str | None = None) -> list[Delivery]:
        classes = [name for name in VERDICTS if verdict in (None, name)]
        found: list[Delivery] = []
        seen: set[bytes] = set()
        known: dict[bytes, Delivery | None] = {}
        left = limit * STALE_FACTOR + 2000
        entries = self._entries(classes, min(max(limit, 1), PAGE_ROWS))
        while len(found) < limit and left > 0:
            asked = []
            async for entry in entries:
                left -= 1
                if entry[2] not in seen:
                    asked.append(entry)
                    if len(asked) >= limit - len(found):
                        break
                if left <= 0:
                    break
            if not asked:
                break
            # an entry counts while the delivery is still of that class and was last touched then
            unknown = {entry[2]: entry for entry in asked if entry[2] not in known}
            read = await asyncio.gather(*[self.delivery_of(entry[3], entry[4]) for entry in unknown.values()])
            known.update(zip(unknown, read, strict=True))
            for name, last, delivery_id, _, _ in asked:
                delivery = known[delivery_id]
                stands = (
                    delivery is not None
                    and delivery.last == last
                    and class_of(delivery) == name
                    and delivery_id not in seen
                )
                if delivery is not None and stands and verdict in (None, delivery.verdict):
                    found.append(delivery)
                    seen.add(delivery_id)
        return found[:limit]

    async def delivery_of(self, parts: Sequence[bytes], window_start: float) -> Delivery | None:
        """The stored record of a key, as the bytes of its parts, in one window, superseded or not."""
        rows = await self._ask("delivery_of", *parts, double(window_start))
        return next(readable(_delivery, rows[:1]), None)

    async def is_there(self, parts: Sequence[bytes], window_start: float) -> bool:
        """Whether there is such a record, readable or not."""
        return bool(await self._ask("delivery_of", *parts, double(window_start)))

    async def _entries(
        self, classes: Sequence[str], page_rows: int
    ) -> AsyncIterator[tuple[str, float, bytes, list[bytes], float]]:
        """(class, last, delivery_id, key parts, window_start) of the index, latest first."""
        hours = [self._hours(name) for name in classes]
        async for hour, name_group in _grouped(hours, classes):
            streams = [self._shard(name, hour, shard, page_rows) for name in name_group for shard in range(SHARDS)]
            heads = await asyncio.gather(*[anext(stream, None) for stream in streams])
            heap = [(-head[1], head[2], number, head) for number, head in enumerate(heads) if head is not None]
            heapq.heapify(heap)
            while heap:
                _, _, number, head = heap[0]
                yield head
                following = await anext(streams[number], None)
                if following is None:
                    heapq.heappop(heap)
                else:
                    heapq.heapreplace(heap, (-following[1], following[2], number, following))

    async def _hours(self, name: str) -> AsyncIterator[int]:
        async for rows in self._pages("buckets", PAGE_ROWS, name.encode()):
            for (hour,) in rows:
                yield hour

    async def _shard(
        self, name: str, hour: int, shard: int, page_rows: int
    ) -> AsyncIterator[tuple[str, float, bytes, list[bytes], float]]:
        async for rows in self._pages("newest", page_rows, name.encode(), bigint(hour), int32(shard)):
            for row in rows:
                yield name, row[0], row[1], [row[2].encode(), row[3].encode(), row[4].encode()], row[5]

    async def all_deliveries(self, superseded: bool = False) -> AsyncIterator[Delivery]:
        async for one in _deliveries(self._pages("all_deliveries", DELIVERY_PAGE_ROWS), superseded, self.on_unreadable):
            yield one

    async def all_hits(self) -> AsyncIterator[Hit]:
        async for rows in self._pages("all_hits", PAGE_ROWS):
            for hit in readable(_hit, rows, self.on_unreadable):
                yield hit

    async def all_rejects(self) -> AsyncIterator[Reject]:
        async for rows in self._pages("all_rejects", PAGE_ROWS):
            for reject in readable(_reject, rows, self.on_unreadable):
                yield reject


def _statements(keyspace: str) -> dict[str, str]:
    k = keyspace
    keys = f"SELECT key_hash, {KEY_COLUMNS}, long_key, written FROM {k}.keys_by_day"
    newest = f"SELECT last, delivery_id, {KEY_COLUMNS}, window_start FROM {k}.deliveries_by_last"
    hash_and_key = f"key_hash, {KEY_COLUMNS}"
    hits, deliveries = (
        f"SELECT {HITS.columns} FROM {k}.raw_weblogs",
        f"SELECT {DELIVERIES.columns} FROM {k}.reduced_weblogs",
    )
    return {
        "keys_of_hash": f"SELECT {KEY_COLUMNS}, long_key FROM {k}.keys_by_hash WHERE key_hash = ? GROUP BY {hash_and_key}",
        "days_of_key": f"SELECT day FROM {k}.keys_by_hash WHERE key_hash = ? AND {of_key()}",
        "keys_of_day": f"{keys} WHERE day = ? AND shard = ? AND key_hash > ?",
        "buckets": f"SELECT bucket FROM {k}.buckets WHERE kind = ?",
        "deliveries_of": f"{deliveries} WHERE {of_key()}",
        "delivery_of": f"{deliveries} WHERE {of_key('window_start')}",
        "newest": f"{newest} WHERE class = ? AND hour = ? AND shard = ?",
        "hits_of_day": f"{hits} WHERE {of_key('day')} LIMIT ?",
        "hits_at": f"{hits} WHERE {of_key('day', 'time')}",
        "count_of_day": f"SELECT count(*) FROM {k}.raw_weblogs WHERE {of_key('day')}",
        "all_deliveries": deliveries,
        "all_hits": hits,
        "all_rejects": f"SELECT {REJECTS.columns} FROM {k}.rejects",
    }


async def _deliveries(
    pages: AsyncIterator[list[tuple[Any, ...]]], superseded: bool, on_unreadable: OnUnreadable | None
) -> AsyncIterator[Delivery]:
    async for rows in pages:
        for delivery in readable(_delivery, rows, on_unreadable):
            if superseded or delivery.superseded_by is None:
                yield delivery


async def _grouped(streams: Sequence[AsyncIterator[int]], names: Sequence[str]) -> AsyncIterator[tuple[int, list[str]]]:
    """Merges falling numbers: each once, with the names of the streams that have it."""
    heads = [await anext(stream, None) for stream in streams]
    while any(head is not None for head in heads):
        highest = max(head for head in heads if head is not None)
        having = [number for number, head in enumerate(heads) if head == highest]
        yield highest, [names[number] for number in having]
        for number in having:
            heads[number] = await anext(streams[number], None)


def _newest_keys(matching: Sequence[tuple[int, Any, Key]]) -> list[Key]:
    """Each once, the newest day and the last written first."""
    ordered = sorted(matching, key=lambda one: one[:2], reverse=True)
    return list(dict.fromkeys(key for _, _, key in ordered))


def _place_of_search(begin: str) -> tuple[int, int, str] | None:
    """Day, shard and hash, or None for the beginning. Raises ValueError."""
    if not begin:
        return None
    day, shard, key_hash = begin.split(".")
    if not (0 <= int(shard) < SHARDS and 0 <= int(day) < 1 << 32 and key_hash.isalnum()):
        raise ValueError("no place of a key")
    return int(day), int(shard), key_hash


def _key_of(parts: Sequence[Any], full: Sequence[str | None] | None) -> Key:
    whole = full or (None, None, None)
    return text_of(parts[0], whole[0]), text_of(parts[1], whole[1]), text_of(parts[2], whole[2])


def _date_bytes(date: Any) -> bytes:
    return big(date.days_from_epoch + (1 << 31))
