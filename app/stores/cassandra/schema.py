"""Tables of the Cassandra store: created where they lack, dropped only when asked. All of it blocks: for a thread."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

from app.errors import StoreError, StoreUnreachable
from app.stores.cassandra.connection import CassandraConnection, StatementRefused
from app.stores.cassandra.rows import TABLES
from app.stores.contract import KINDS

__all__ = [
    "DDL_S",
    "FORM",
    "RECORDS",
    "create",
    "create_beside",
    "missing",
    "statements",
    "tables_in",
    "tables_of",
]

_FILE = Path(__file__).with_name("schema.cql")
_TABLE = re.compile(
    r"^-- (raw|reduced|rejects|shared)\n(CREATE TABLE IF NOT EXISTS (\w+).*?);$", re.MULTILINE | re.DOTALL
)
FORM = 1
"""The form of the tables, in the table `forms`. A column more is no other form: it is added."""
RECORDS = "records"
_TRIES = 8
DDL_S = 60.0


@cache
def statements() -> dict[str, tuple[str, str]]:
    """Table -> kind and the statement that makes it."""
    found = _TABLE.finditer(_FILE.read_text(encoding="utf-8"))
    return {each[3]: (each[1], each[2].replace("{fields}", _columns(each[3]))) for each in found}


def _columns(table: str) -> str:
    return ",\n    ".join(f"{name} {kind}" for name, kind in TABLES[table].types.items()) if table in TABLES else ""


def tables_of(kinds: Iterable[str]) -> list[str]:
    """The tables of these kinds; `shared` is one, too."""
    asked = set(kinds)
    return [table for table, (kind, _) in statements().items() if kind in asked]


def missing(connection: CassandraConnection, keyspace: str, kinds: Iterable[str] = KINDS) -> list[str]:
    """Tables of the kinds, and shared ones, that the keyspace lacks."""
    there = tables_in(connection, keyspace)
    return [table for table in tables_of([*kinds, "shared"]) if table not in there]


def tables_in(connection: CassandraConnection, keyspace: str) -> set[str]:
    asked = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s"
    return {row[0] for row in connection.execute(asked, (keyspace,))}


def create(
    connection: CassandraConnection,
    keyspace: str,
    replication: int,
    lacking_columns: Callable[[CassandraConnection, str], Sequence[tuple[str, str, str]]],
    kinds: Iterable[str] = KINDS,
) -> None:
    """Create what lacks of keyspace and tables. Several may do it at once; they never drop.

    `lacking_columns` names those that older programs did not make, and raises UnknownStoreForm for tables of another form.
    Where all is there, nothing is written. Two that create one table at the same moment on a cluster of several nodes can
    disagree for a while: each asks again, after a pause of its own, until the tables are there and the nodes agree.
    """
    kinds = tuple(kinds)
    lacking_columns(connection, keyspace)
    for tried in range(1, _TRIES + 1):
        try:
            lacking = missing(connection, keyspace, kinds)
            columns = lacking_columns(connection, keyspace)
            if not lacking and not columns:
                return
            centre = connection.datacenter.replace("'", "''")
            connection.execute(
                f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = "
                f"{{'class': 'NetworkTopologyStrategy', '{centre}': {replication}}}",
                timeout_s=DDL_S,
            )
            if lacking:  # first, and with its row: tables without a form are not ours
                _make(connection, keyspace, "forms")
                connection.agree()
                connection.execute(f"INSERT INTO {keyspace}.forms (name, form) VALUES ('{RECORDS}', {FORM})")
            for table, column, kind in columns:
                added = f"ALTER TABLE {keyspace}.{table} ADD IF NOT EXISTS {column} {kind}"
                connection.execute(added, timeout_s=DDL_S)
            for table in lacking:
                _make(connection, keyspace, table)
            if not connection.agree():
                raise StoreUnreachable(f"the nodes of {connection.where} do not agree on the schema")
            return
        except StoreError as error:
            if tried == _TRIES or (isinstance(error, StatementRefused) and "already" not in str(error) and tried > 2):
                raise
            time.sleep(random.uniform(0.2, 1.0) * tried)


def _make(connection: CassandraConnection, keyspace: str, table: str) -> None:
    statement = statements()[table][1].replace(f"IF NOT EXISTS {table}", f"IF NOT EXISTS {keyspace}.{table}")
    connection.execute(statement, timeout_s=DDL_S)


def create_beside(connection: CassandraConnection, keyspace: str) -> None:
    """Creates what is missing of `connection.tables`, in a keyspace that is there."""
    there = tables_in(connection, keyspace)
    if lacking := [cql for name, cql in connection.tables.items() if name not in there]:
        for cql in lacking:
            connection.execute(cql, timeout_s=DDL_S)
        connection.agree()
