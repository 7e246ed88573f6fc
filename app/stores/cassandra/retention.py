"""The tables of the Cassandra store, made and dropped. What is old goes by itself: rows have a time to live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from app.errors import SettingsError, StoreError
from app.settings import Settings
from app.stores.cassandra.connection import CassandraConnection
from app.stores.cassandra.rows import TABLES
from app.stores.cassandra.schema import DDL_S, create, missing, statements, tables_in, tables_of
from app.stores.cassandra.writes import CassandraWrites
from app.stores.contract import KINDS

__all__ = ["CassandraRetention"]


class CassandraRetention:
    """The tables, made and dropped on the connection of `writes`, which need not be open. What is old goes by itself."""

    def __init__(self, writes: CassandraWrites, settings: Settings) -> None:
        self._writes, self._connection = writes, writes.connection
        self._keyspace, self._replication = settings.cassandra_keyspace, settings.cassandra_replication

    async def map(self, kinds: Collection[str] = KINDS) -> None:
        """Creates keyspace and tables of these kinds and the shared ones where they are missing; never drops."""
        await self._in_thread(
            lambda: create(self._connection, self._keyspace, self._replication, self._writes.lacking_columns, kinds)
        )

    async def drop(self, kinds: Collection[str]) -> None:
        """DROP TABLE of the tables of these kinds, of the shared ones with the last of them; the keyspace stays.

        An open store, of this process or another, raises StoreUnreachable until `map` or a restarted worker creates them again.
        """
        _refuse_other(kinds)
        await self._in_thread(lambda: _drop(self._connection, self._keyspace, kinds))
        self._writes.written.forget()

    async def _in_thread(self, work: Callable[[], None]) -> None:
        if self._writes.read_only:
            raise StoreError(f"{self._connection.where} was opened for reading only")
        if self._connection.session is None:
            await asyncio.to_thread(self._connection.connect)
        await asyncio.to_thread(work)

    async def missing(self) -> list[str]:
        """Tables that the keyspace lacks."""
        await self._writes.opened()
        return await asyncio.to_thread(missing, self._connection, self._keyspace)

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        """Nothing to do: each row was written with its time to live, from the setting retention at that time."""
        return 0, 0


def _refuse_other(kinds: Collection[str]) -> None:
    """Raises SettingsError for what is none of KINDS."""
    if wrong := set(kinds).difference(KINDS):
        raise SettingsError(f"{sorted(wrong)[0]!r} is no kind of record; there are {', '.join(KINDS)}")


def _drop(connection: CassandraConnection, keyspace: str, kinds: Collection[str]) -> None:
    """DROP TABLE of the tables of these kinds; of the shared ones, too, when nothing is left that needs them."""
    asked = set(kinds)
    tables = tables_of(asked)
    there = tables_in(connection, keyspace)
    kinds_there = {kind for table, (kind, _) in statements().items() if table in there}
    needed = kinds_there & {"raw", "reduced"} - asked
    if not needed:
        rest = (there & TABLES.keys()) - set(tables)  # they would be tables without a form
        tables += [table for table in tables_of(["shared"]) if not (rest and table == "forms")]
    for table in tables:
        if table in there:
            connection.execute(f"DROP TABLE IF EXISTS {keyspace}.{table}", timeout_s=DDL_S)
    if "counts_taken" in there and "counts_taken" not in tables:
        connection.execute(f"TRUNCATE {keyspace}.counts_taken", timeout_s=DDL_S)
    connection.agree()
