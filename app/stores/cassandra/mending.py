"""Making stored records what they should be, whatever a person did to them with a CQL shell.

A person writes and deletes by the clock: microseconds since 1970, far above the timestamps of deliveries, which are made of their
versions. So a mended delivery gets a floor (see memory.py) above what stands in its way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from app.domain.records import Delivery, Hit, Reject, delivery_id, key_text
from app.errors import StoreError, UnreadableRecord
from app.stores.cassandra.answers import of_key, record_reader, text_of
from app.stores.cassandra.encoding import (
    Encoder,
    WriteWork,
    delivery_values,
    hit_values,
    key_bytes,
    reject_values,
    stamp,
)
from app.stores.cassandra.ledger_mending import FLOOR_END, STEPS_US, all_of
from app.stores.cassandra.ledgers import CassandraLedgers
from app.stores.cassandra.memory import Written, now_us
from app.stores.cassandra.reads import CassandraReads
from app.stores.cassandra.rows import (
    DELIVERIES,
    HITS,
    REJECTS,
    STAMPED_COLUMNS,
    CqlRow,
    insert,
)
from app.stores.cassandra.values import bigint, date, double
from app.stores.cassandra.writes import CassandraWrites
from app.stores.contract import Key

__all__ = ["CassandraMending"]

_hit_of = record_reader(HITS)


class CassandraMending:
    """Mends on the connection of `writes`."""

    holds_no_doubles = False
    """A hit of another time is another row."""

    def __init__(self, writes: CassandraWrites, reads: CassandraReads, ledgers: CassandraLedgers) -> None:
        self._connection, self._sender, self._floors = writes.connection, writes.sender, writes.floors
        self._writes, self._reads, self._ledgers = writes, reads, ledgers
        if not writes.read_only:
            self._connection.statements |= _statements(self._connection.keyspace)

    async def _encoder(self) -> Encoder:
        """Of all rows, whatever is remembered as written; what a hit lacks is null."""
        await self._writes.encoder()
        age_s = self._writes.age_s
        return Encoder(*self._writes.ttls, Written(age_s), age_s, self._connection.unset, nulls=True)

    async def miscounted(self) -> bool:
        return False

    async def recount(self) -> bool:
        return False

    async def mend_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Each stands as given afterwards, whatever stands there or was deleted there; later versions win as ever.

        Takes twice the age of the floors longer when something was altered by the clock. What workers write of such a delivery
        until then stays hidden, so check once more afterwards. Raises StoreError that names the first that cannot be mended.
        """
        encoder = await self._encoder()
        left = list(deliveries)
        for step_us in (0, *STEPS_US):
            if step_us:
                await self._raise_floors(left, step_us)
            self._floors.forget()
            floors = await self._floors.fresh()
            await self._send(encoder.deliveries(left, floors))
            left = await self._off(left, floors)
            if not left:
                return
        raise StoreError(
            f"{self._connection.where}: the delivery {key_text(*left[0].key)!r:.300} cannot be mended: something newer hides it"
        )

    async def _off(self, deliveries: Sequence[Delivery], floors: dict[bytes, int]) -> list[Delivery]:
        """Those that do not stand as given, or with cells that would hide the next version."""
        good = await all_of(lambda one: self._stands(one, floors), deliveries)
        return [one for one, stands in zip(deliveries, good, strict=True) if not stands]

    async def _stands(self, delivery: Delivery, floors: dict[bytes, int]) -> bool:
        key = key_bytes(delivery.key)
        try:
            stored = await self._reads.delivery_of(key.parts, delivery.window_start + 0.0)
        except UnreadableRecord:
            return False
        wanted = delivery_values(delivery, key, None)
        try:
            if stored is None or delivery_values(stored, key, None) != wanted:
                return False
        except ValueError:  # what stands there could never have been written
            return False
        at = floors.get(bytes.fromhex(delivery.id), 0) + stamp(delivery, wanted)
        return await self._highest_stamp(key.parts, wanted[DELIVERIES.at["window_start"]]) == at

    async def _highest_stamp(self, parts: Sequence[bytes], window_start: bytes) -> int | None:
        """When the row's newest cell was written, by its own account; None where there is no row with cells."""
        rows = await self._connection.ask(self._connection.bound("stamps_of", (*parts, window_start)))
        return max((one for one in rows[0] if one is not None), default=None) if rows else None

    async def _raise_floors(self, deliveries: Sequence[Delivery], step_us: int) -> None:
        """Floors above the clock and above all that is seen, and known to every writer when this returns."""
        ids = [(key_bytes(one.key).parts, double(one.window_start + 0.0), bytes.fromhex(one.id)) for one in deliveries]
        await self._set_floors(ids, step_us, now_us())
        await asyncio.sleep(
            2 * self._floors.age_s
        )  # every writer has read the floors, and its batch of before is through

    async def _set_floors(
        self, ids: Sequence[tuple[Sequence[bytes], bytes, bytes]], step_us: int, least_us: int
    ) -> None:
        floors = await self._floors.fresh()
        rows = []
        for number, (parts, window_start, name) in enumerate(ids):
            seen = await self._highest_stamp(parts, window_start)
            floor = max(least_us, seen or 0, floors.get(name, 0)) + step_us
            if floor >= FLOOR_END:
                raise StoreError(
                    f"{self._connection.where}: the delivery {name.hex()} was written by hand with timestamp {seen}: none is above it"
                )
            rows.append(
                CqlRow("floor", [name, bigint(floor), bigint(floor)], 100, number)
            )  # of two that mend, the higher floor stays
        await self._sender.send(rows)
        self._floors.forget()

    async def remove_deliveries(self, ids: Sequence[tuple[Key, float]]) -> None:
        """Each is gone afterwards, and may be written again. Raises StoreError that names the first that stays."""
        await self._writes.encoder()
        left = [
            (key_bytes(key).parts, double(start + 0.0), bytes.fromhex(delivery_id(*key, start)), start)
            for key, start in ids
        ]
        for step_us in (1, *STEPS_US):
            rows: list[CqlRow] = []
            there = []
            least_us = 0 if step_us == 1 else now_us()
            for one in left:
                parts, window_start, _, start = one
                if not await self._reads.is_there(parts, start + 0.0):
                    continue
                there.append(one)
                # a row without any cell, as a person can write it, does not tell its time
                seen = await self._highest_stamp(parts, window_start)
                at = (max(seen, least_us) if seen is not None else now_us()) + (step_us if step_us > 1 else 0)
                rows.append(CqlRow("remove_delivery", [bigint(at), *parts, window_start], 200, len(rows)))
                # first the floor, so that whoever writes it again writes above the deletion
                await self._set_floors([one[:3]], 1, at)
            if not there:
                return
            await self._sender.send(rows)
            self._writes.calls += 1
            left = there
        remaining = [one for one in left if await self._reads.is_there(one[0], one[3] + 0.0)]
        if remaining:
            raise StoreError(f"{self._connection.where}: the delivery {remaining[0][2].hex()} cannot be removed")

    async def mend_hits(self, hits: Sequence[Hit]) -> None:
        """Each stands as given afterwards. Raises StoreError that names the first that cannot be brought to."""
        encoder = await self._encoder()
        left = list(hits)
        for step_us in (0, *STEPS_US):
            work = encoder.hits(left)
            if step_us:
                at = bigint(now_us() + step_us)
                work.records = [row._replace(statement="hit_at", values=[*row.values, at]) for row in work.records]
            await self._send(work)
            good = await all_of(self._hit_stands, left)
            left = [one for one, stands in zip(left, good, strict=True) if not stands]
            if not left:
                return
        raise StoreError(
            f"{self._connection.where}: the hit {left[0].raw_id} cannot be mended: something newer hides it"
        )

    async def _hit_stands(self, hit: Hit) -> bool:
        key, day = key_bytes((hit.ip_address, hit.user_agent, hit.request)), date(hit.time)
        values = hit_values(hit, key, day, None)
        name = (*key.parts, day, values[HITS.at["time"]], values[HITS.at["raw_id"]])
        rows = await self._connection.ask(self._connection.bound("hit_of", name))
        return bool(rows) and hit_values(_hit_of(rows[0]), key, day, None) == values

    async def remove_hits(self, hits: Sequence[Hit]) -> None:
        """These rows, named by key, time and raw id, are gone afterwards; they may be written again."""
        await self._writes.encoder()
        rows = []
        for number, hit in enumerate(hits):
            key = key_bytes((hit.ip_address, hit.user_agent, hit.request))
            values = [*key.parts, date(hit.time), double(hit.time + 0.0), hit.raw_id.encode()]
            rows.append(CqlRow("remove_hit", values, 200 + sum(map(len, values)), number))
        await self._send_rows(rows)

    async def mend_rejects(self, rejects: Sequence[Reject]) -> None:
        """Each stands as given afterwards: written by the clock, all columns of it."""
        await self._send((await self._writes.encoder()).rejects(rejects))

    async def remove_rejects(self, rejects: Sequence[Reject]) -> None:
        """These rows, named by reason and raw id, are gone afterwards; they may be written again."""
        await self._writes.encoder()
        rows = []
        for number, reject in enumerate(rejects):
            values = reject_values(reject)
            name = [values[REJECTS.at[column]] for column in ("reason", "bucket", "raw_id")]
            rows.append(CqlRow("remove_reject", name, 200, number))
        await self._send_rows(rows)

    async def remove_unreadable(self, found: Sequence[UnreadableRecord]) -> None:
        """Deleted by the columns that name them: a delivery as `remove_deliveries` does."""
        counted = [each for each in found if each.record not in ("delivery", "hit", "reject")]
        if counted:
            await self._ledgers.remove_unreadable(counted)
        for each in found:
            place: Any = each.place
            if each in counted:
                continue
            if each.record == "delivery":
                key = text_of(place["ip_address"]), text_of(place["user_agent"]), text_of(place["request"])
                await self.remove_deliveries([(key, place["window_start"])])
                continue
            table = f"{self._connection.keyspace}.{'raw_weblogs' if each.record == 'hit' else 'rejects'}"
            where = " AND ".join(f"{column} = %s" for column in place)
            statement = f"DELETE FROM {table} WHERE {where}"
            await asyncio.to_thread(self._connection.execute, statement, tuple(place.values()))

    async def _send(self, work: WriteWork) -> None:
        if work.refused:
            raise StoreError(f"{self._connection.where} cannot be mended: {next(iter(work.refused.values()))}")
        await self._send_rows(work.rows)

    async def _send_rows(self, rows: Sequence[CqlRow]) -> None:
        self._writes.calls += 1
        await self._sender.send_all(rows)


def _statements(keyspace: str) -> dict[str, str]:
    k = keyspace
    stamps = ", ".join(f"WRITETIME({column})" for column in STAMPED_COLUMNS.split(", "))
    hit, delivery = of_key("day", "time", "raw_id"), of_key("window_start")
    return {
        "stamps_of": f"SELECT {stamps} FROM {k}.reduced_weblogs WHERE {delivery}",
        "hit_at": insert(f"{k}.raw_weblogs", HITS.columns, "USING TTL ? AND TIMESTAMP ?"),
        "hit_of": f"SELECT {HITS.columns} FROM {k}.raw_weblogs WHERE {hit}",
        "floor": insert(f"{k}.reduced_floors", "delivery_id, floor", "USING TIMESTAMP ?"),
        "remove_delivery": f"DELETE FROM {k}.reduced_weblogs USING TIMESTAMP ? WHERE {delivery}",
        "remove_reject": f"DELETE FROM {k}.rejects WHERE reason = ? AND bucket = ? AND raw_id = ?",
        "remove_hit": f"DELETE FROM {k}.raw_weblogs WHERE {hit}",
    }
