"""Making stored events and sums what they should be, whatever a person did to them with a CQL shell.

The flow writes events with timestamps that fall, and sums with their version. A person writes and deletes by the clock, far above
the versions. So a mended sum gets a floor (see app.stores.cassandra.memory) above what is in its way; a mended event is written
above everything that the flow writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from app.domain.counted import CountedKind, EventKind, Sum
from app.errors import StoreError, UnreadableRecord
from app.stores.cassandra.answers import sum_of
from app.stores.cassandra.ledger_rows import FLOW_END_US, LedgerTable, event_row, ledger_tables, sum_id, sum_rows
from app.stores.cassandra.ledger_writes import CassandraLedgerWrites
from app.stores.cassandra.memory import now_us
from app.stores.cassandra.rows import CqlRow
from app.stores.cassandra.values import bigint, boolean, double, int32, varint
from app.stores.cassandra.writes import CassandraWrites
from app.words import counted_text

__all__ = ["FLOOR_END", "STEPS_US", "CassandraLedgerMending", "LedgerPlace", "all_of"]

STEPS_US = (1_000_000, 86_400_000_000, 100 * 365 * 86_400_000_000, 2 * 10**18)
"""How far above the clock and what is seen: a deletion cannot be seen, and was perhaps written by a clock that is ahead, or in ns."""
FLOOR_END = 1 << 62
_ASKED_AT_ONCE = 200
Event = TypeVar("Event", bound=tuple[Any, ...])
Item = TypeVar("Item")
Answer = TypeVar("Answer")


async def all_of(work: Callable[[Item], Awaitable[Answer]], items: Sequence[Item]) -> list[Answer]:
    """What `work` returns for each, some of them under way at a time."""
    answers: list[Answer] = []
    for begin in range(0, len(items), _ASKED_AT_ONCE):
        answers += await asyncio.gather(*map(work, items[begin : begin + _ASKED_AT_ONCE]))
    return answers


class LedgerPlace(NamedTuple):
    """Where a row of counted events or sums stands."""

    kind: EventKind[Any]
    table: LedgerTable
    resolution: str
    """Of a table of sums: empty for the common one."""
    row: Sequence[Any]
    """Of all columns; those of the key can always be read."""


class CassandraLedgerMending(CassandraLedgerWrites):
    """The LedgerMending protocol."""

    def __init__(self, writes: CassandraWrites) -> None:
        super().__init__(writes)
        self._tables = {table.name: table for table in ledger_tables()}
        if not writes.read_only:
            self._connection.statements |= _statements(self._connection.keyspace)

    async def mend_events(self, kind: EventKind[Event], events: Sequence[Event]) -> None:
        """Each is stored as given afterwards. Raises StoreError that names the first that cannot be brought to."""
        await self._writes.encoder()
        left, ttl = list(events), self._ttls[kind.keeps_events]
        for step_us in (0, *STEPS_US):
            stamp = bigint(FLOW_END_US + now_us() + step_us)
            rows = [event_row(kind, each, stamp, ttl, number) for number, each in enumerate(left)]
            await self._sender.send_all(rows)
            left = [left[at] for at in await self._off(rows)]
            if not left:
                return
        raise StoreError(
            f"{self._connection.where}: the {kind.one} {left[0]!r:.300} cannot be mended: something newer hides it"
        )

    async def remove_events(self, kind: EventKind[Event], events: Sequence[Event]) -> None:
        """These rows are gone afterwards; `mend_events` may write them again."""
        await self._writes.encoder()
        rows = [event_row(kind, each, b"", b"", number) for number, each in enumerate(events)]
        await self._remove(rows)

    async def mend_sums(self, kind: CountedKind[Any], sums: Sequence[Sum]) -> None:
        """Each is stored as given afterwards, and a later version shows. Raises StoreError as `mend_events` does."""
        await self._writes.encoder()
        left, ttl = list(sums), self._ttls["reduced"]
        for step_us in (0, *STEPS_US):
            if step_us:
                await self._raise_floors(kind, left, now_us(), step_us)
            self._floors.forget()
            floors = await self._floors.fresh()
            rows = [
                row
                for number, each in enumerate(left)
                for row in sum_rows(kind, each, ttl, number, floors.get(sum_id(kind, each), 0))
            ]
            await self._sender.send_all(rows)
            left = [left[at] for at in await self._off(rows, stamps=True)]
            if not left:
                return
        raise StoreError(
            f"{self._connection.where}: the sum {left[0][:5]!r:.300} cannot be mended: something newer hides it"
        )

    async def remove_sums(self, kind: CountedKind[Any], sums: Sequence[Sum]) -> None:
        """These are gone afterwards, and may be written again."""
        await self._writes.encoder()
        rows = [row for number, each in enumerate(sums) for row in sum_rows(kind, each, b"", number)]

        async def above(seen_us: int) -> None:
            await self._raise_floors(kind, sums, seen_us, 1)

        await self._remove(rows, above)

    async def remove_unreadable(self, found: Sequence[UnreadableRecord]) -> None:
        """By table and key of their rows, whatever is in them; what they are named by may be written again."""
        await self._writes.encoder()
        for place in (cast(LedgerPlace, each.place) for each in found):
            table, values = place.table, []
            for column, value in zip(table.key, place.row, strict=False):
                values.append(_encoded(table.columns[column], value))
            row = CqlRow(f"insert {table.name}", [each or b"" for each in values], 200, 0)
            if table.name == place.kind.events_table or not isinstance(
                place.kind, CountedKind
            ):  # above all of its columns, one of which may be missing
                stamp = bigint(FLOW_END_US + now_us())
                await self._sender.send_all([CqlRow(f"delete {table.name}", [stamp, *row.values], row.size, 0)])
                await self._remove([row])
                continue
            blank = [*place.row[: len(table.key)], *[0] * (len(table.columns) - len(table.key))]
            of_row = sum_of(place.kind, place.resolution, blank)
            if of_row.resolution in place.kind.resolution:
                await self.remove_sums(place.kind, [of_row])
            else:  # nobody writes such a sum
                await self._remove([row])

    async def _remove(self, rows: Sequence[CqlRow], before: Callable[[int], Awaitable[None]] | None = None) -> None:
        """Deletes above what is seen; `before` is told the highest timestamp first."""
        left = list(rows)
        for step_us in (0, *STEPS_US):
            stamps = await self._stamps(left)
            there = [(row, seen) for row, seen in zip(left, stamps, strict=True) if seen is not None]
            if not there:
                return
            if before is not None:
                await before(max(seen for _, seen in there) + step_us)
            deletions = []
            for number, (row, seen) in enumerate(there):
                table = self._table(row)
                values = [bigint(seen + step_us), *row.values[: len(table.key)]]
                deletions.append(CqlRow(f"delete {table.name}", values, row.size, number))
            await self._sender.send_all(deletions)
            left = [row for row, _ in there]
        if any(stamp is not None for stamp in await self._stamps(left)):
            raise StoreError(f"{self._connection.where}: {counted_text(len(left), 'record')} cannot be removed")

    async def _off(self, rows: Sequence[CqlRow], *, stamps: bool = False) -> list[int]:
        """The records of which a row is not stored as given, or with a timestamp that would hide the next version."""
        good = await all_of(lambda row: self._stands(row, stamps), rows)
        return sorted({row.record for row, stands in zip(rows, good, strict=True) if not stands})

    async def _stands(self, row: CqlRow, stamps: bool) -> bool:
        table = self._table(row)
        key = row.values[: len(table.key)]
        found = await self._connection.ask(self._connection.bound(f"one {table.name}", key))
        if not found:
            return False
        stored = [_encoded(kind, value) for kind, value in zip(table.columns.values(), found[0], strict=True)]
        if stored != list(row.values[: len(table.columns)]):
            return False
        return not stamps or (await self._stamps([row]))[0] == int.from_bytes(row.values[-2], "big", signed=True)

    async def _stamps(self, rows: Sequence[CqlRow]) -> list[int | None]:
        """When each row was written, by its own account; None if there is no such row."""

        async def one(row: CqlRow) -> int | None:
            table = self._table(row)
            found = await self._connection.ask(
                self._connection.bound(f"stamp {table.name}", row.values[: len(table.key)])
            )
            return None if not found else found[0][0] or now_us()

        return await all_of(one, rows)

    async def _raise_floors(self, kind: CountedKind[Any], sums: Sequence[Sum], least_us: int, step_us: int) -> None:
        """Floors above the clock and above all that is seen, known to every writer when this returns."""
        floors, rows = await self._floors.fresh(), []
        for number, each in enumerate(sums):
            seen = [stamp for stamp in await self._stamps(sum_rows(kind, each, b"", number)) if stamp is not None]
            name = sum_id(kind, each)
            floor = max(least_us, floors.get(name, 0), *seen) + step_us
            if floor >= FLOOR_END:
                raise StoreError(
                    f"{self._connection.where}: the sum {each[:5]!r:.300} was written by hand with timestamp {max(seen)}: none is above it"
                )
            rows.append(CqlRow("insert sum_floors", [name, bigint(floor), bigint(floor)], 100, number))
        await self._sender.send_all(rows)
        self._floors.forget()
        await asyncio.sleep(
            2 * self._floors.age_s
        )  # every writer has read the floors, and its batch of before is through

    def _table(self, row: CqlRow) -> LedgerTable:
        return self._tables[row.statement.partition(" ")[2]]


def _statements(keyspace: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for table in ledger_tables():
        if table.stamped:
            rows = f"FROM {keyspace}.{table.name}"
            where = " AND ".join(f"{name} = ?" for name in table.key)
            found[f"one {table.name}"] = f"SELECT {table.names} {rows} WHERE {where}"
            found[f"stamp {table.name}"] = f"SELECT WRITETIME({table.stamped}) {rows} WHERE {where}"
            found[f"delete {table.name}"] = f"DELETE {rows} USING TIMESTAMP ? WHERE {where}"
    return found


_ENCODERS: Mapping[str, Callable[[Any], bytes]] = {
    "text": str.encode,  # escaped as it is
    "int": int32,
    "bigint": bigint,
    "double": double,
    "boolean": boolean,
    "varint": varint,
}


def _encoded(kind: str, value: Any) -> bytes | None:
    """A column's value as it was written."""
    return None if value is None else _ENCODERS[kind](value)
