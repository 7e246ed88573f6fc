"""Writing counted events to Cassandra: writes that may be repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from app.domain.counted import CountedKind, EventKind, Sum
from app.stores.cassandra.encoding import refusals
from app.stores.cassandra.ledger_rows import FLOW_END_US, event_row, ledger_tables, sum_id, sum_rows
from app.stores.cassandra.memory import Floors, now_us
from app.stores.cassandra.rows import CqlRow, insert, sized_row
from app.stores.cassandra.values import bigint, int32, text
from app.stores.cassandra.writes import CassandraWrites
from app.stores.ledger_contract import Named

__all__ = ["CassandraLedgerWrites", "insert_statements"]

Event = TypeVar("Event", bound=tuple[Any, ...])
Record = TypeVar("Record")


def insert_statements(keyspace: str) -> dict[str, str]:
    """Name → CQL."""
    without_ttl = {"names": "", "sum_floors": "USING TIMESTAMP ?"}
    return {
        f"insert {table.name}": insert(
            f"{keyspace}.{table.name}", table.names, without_ttl.get(table.name, "USING TIMESTAMP ? AND TTL ?")
        )
        for table in ledger_tables()
    }


class CassandraLedgerWrites:
    """The LedgerWrites protocol, on the connection of `writes`."""

    def __init__(self, writes: CassandraWrites) -> None:
        self._writes, self._connection, self._sender = writes, writes.connection, writes.sender
        self._ttls = dict(zip(("raw", "reduced"), map(int32, writes.ttls), strict=True))
        self._floors = Floors(self._connection, writes.floors.age_s, "sum_floors", "sum_id")
        if not writes.read_only:
            self._connection.statements |= insert_statements(self._connection.keyspace)
            self._connection.tables |= {each.name: each.create(self._connection.keyspace) for each in ledger_tables()}

    async def _send(
        self, records: Sequence[Record], rows_of: Callable[[Record, int], Iterable[CqlRow]]
    ) -> list[tuple[Record, str]]:
        def encode() -> list[CqlRow]:
            return [row for number, record in enumerate(records) for row in rows_of(record, number)]

        return refusals(records, await self._sender.send(await asyncio.to_thread(encode)))

    async def write_events(self, kind: EventKind[Event], events: Sequence[Event]) -> list[tuple[Event, str]]:
        await self._writes.encoder()
        stamp, ttl = bigint(FLOW_END_US - now_us()), self._ttls[kind.keeps_events]
        return await self._send(events, lambda each, number: [event_row(kind, each, stamp, ttl, number)])

    async def write_sums(self, kind: CountedKind[Any], sums: Sequence[Sum]) -> list[tuple[Sum, str]]:
        await self._writes.encoder()
        ttl, floors = self._ttls["reduced"], await self._floors.fresh()
        return await self._send(
            sums,
            lambda each, number: sum_rows(kind, each, ttl, number, floors.get(sum_id(kind, each), 0) if floors else 0),
        )

    async def put_names(self, kind: Named, names: Mapping[str, str]) -> None:
        await self._writes.encoder()
        rows = enumerate(names.items())
        await self._sender.send_all(
            [sized_row("insert names", [text(kind), text(one), text(name)], at) for at, (one, name) in rows]
        )
