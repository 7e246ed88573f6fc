"""Tables of the Cassandra store: created where they lack, dropped only when asked. All of it blocks: for a thread."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterable
from pathlib import Path

from app.errors import SettingsError, StoreError, StoreUnreachable
from app.stores.cassandra.connection import Connection, Refused

__all__ = ["KINDS", "create", "drop", "missing", "tables_of"]

KINDS = ("raw", "reduced", "rejects")
_FILE = Path(__file__).with_name("schema.cql")
_TABLE = re.compile(
    r"^-- (raw|reduced|rejects|shared)\n(CREATE TABLE IF NOT EXISTS (\w+).*?);$", re.MULTILINE | re.DOTALL
)
_TRIES = 8
_DDL_S = 60.0


def _statements() -> list[tuple[str, str, str]]:
    """(kind, table, statement)"""
    return [(found[1], found[3], found[2]) for found in _TABLE.finditer(_FILE.read_text(encoding="utf-8"))]


def tables_of(kinds: Iterable[str]) -> list[str]:
    """The tables of these kinds, the shared ones not among them. Raises SettingsError for another kind."""
    asked = set(kinds)
    if wrong := asked.difference(KINDS):
        raise SettingsError(f"{sorted(wrong)[0]!r} is no kind of record; there are {', '.join(KINDS)}")
    return [table for kind, table, _ in _statements() if kind in asked]


def missing(connection: Connection, keyspace: str, kinds: Iterable[str] = KINDS) -> list[str]:
    """Tables of the kinds, and shared ones, that the keyspace lacks."""
    there = {
        row[0]
        for row in connection.execute(
            "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", (keyspace,)
        )
    }
    shared = [table for kind, table, _ in _statements() if kind == "shared"]
    return [table for table in [*tables_of(kinds), *shared] if table not in there]


def create(connection: Connection, keyspace: str, replication: int, kinds: Iterable[str] = KINDS) -> None:
    """Create what lacks of keyspace and tables. Several may do it at once; they never drop.

    Where all is there, nothing is written. Two that create one table at the same moment on a cluster of several nodes can
    disagree for a while: each asks again, after a pause of its own, until the tables are there and the nodes agree.
    """
    kinds = tuple(kinds)
    for tried in range(1, _TRIES + 1):
        try:
            lacking = missing(connection, keyspace, kinds)
            if not lacking:
                return
            centre = connection.datacenter.replace("'", "''")
            connection.execute(
                f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = "
                f"{{'class': 'NetworkTopologyStrategy', '{centre}': {replication}}}",
                timeout_s=_DDL_S,
            )
            for _, table, statement in _statements():
                if table in lacking:
                    named = statement.replace(f"IF NOT EXISTS {table}", f"IF NOT EXISTS {keyspace}.{table}")
                    connection.execute(named, timeout_s=_DDL_S)
            if not connection.agree():
                raise StoreUnreachable(f"the nodes of {connection.where} do not agree on the schema")
            return
        except StoreError as error:
            if tried == _TRIES or (isinstance(error, Refused) and "already" not in str(error) and tried > 2):
                raise
            time.sleep(random.uniform(0.2, 1.0) * tried)


def drop(connection: Connection, keyspace: str, kinds: Iterable[str]) -> None:
    """DROP TABLE of the tables of these kinds; of the shared ones, too, when nothing is left that needs them."""
    asked = set(kinds)
    tables = tables_of(asked)
    there = {
        row[0]
        for row in connection.execute(
            "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", (keyspace,)
        )
    }
    needed = {kind for kind, table, _ in _statements() if kind in ("raw", "reduced") and table in there} - asked
    if not needed:
        tables += [table for kind, table, _ in _statements() if kind == "shared"]
    for table in tables:
        if table in there:
            connection.execute(f"DROP TABLE IF EXISTS {keyspace}.{table}", timeout_s=_DDL_S)
    if "counts_taken" in there and "counts_taken" not in tables:
        connection.execute(f"TRUNCATE {keyspace}.counts_taken", timeout_s=_DDL_S)
    connection.agree()
