"""Tables of the Cassandra store: created where they lack, dropped only when asked. All of it blocks: for a thread."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from app.errors import SettingsError, StoreError, StoreUnreachable, UnknownStoreForm
from app.stores.cassandra.connection import CassandraConnection, StatementRefused
from app.stores.cassandra.rows import TABLES
from app.stores.contract import KINDS
from app.stores.shapes import refuse_shape

__all__ = [
    "DDL_S",
    "FORM",
    "check_form",
    "create",
    "create_beside",
    "missing",
    "missing_columns",
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
_RECORDS = "records"
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
    """The tables of these kinds, the shared ones not among them. Raises SettingsError for another kind."""
    asked = set(kinds)
    if wrong := asked.difference(KINDS):
        raise SettingsError(f"{sorted(wrong)[0]!r} is no kind of record; there are {', '.join(KINDS)}")
    return [table for table, (kind, _) in statements().items() if kind in asked]


def missing(connection: CassandraConnection, keyspace: str, kinds: Iterable[str] = KINDS) -> list[str]:
    """Tables of the kinds, and shared ones, that the keyspace lacks."""
    there = tables_in(connection, keyspace)
    shared = [table for table, (kind, _) in statements().items() if kind == "shared"]
    return [table for table in [*tables_of(kinds), *shared] if table not in there]


def tables_in(connection: CassandraConnection, keyspace: str) -> set[str]:
    asked = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s"
    return {row[0] for row in connection.execute(asked, (keyspace,))}


def check_form(connection: CassandraConnection, keyspace: str) -> None:
    """Raises UnknownStoreForm if there are tables of another form, or of none."""
    there = tables_in(connection, keyspace)
    if not there & TABLES.keys():
        return
    rows = (
        connection.execute(f"SELECT form FROM {keyspace}.forms WHERE name = '{_RECORDS}'") if "forms" in there else []
    )
    form = rows[0][0] if rows else None
    for table, found in _standing(connection, keyspace).items():
        wanted = TABLES[table].types if table in TABLES else {}
        refuse_shape(
            f"the table {keyspace}.{table} of {connection.where}",
            {column: _bare(found[column]) for column in found},
            {column: _bare(kind) for column, kind in wanted.items()},
            f"Copy what you need of it, then DROP TABLE {keyspace}.{table}; `python -m app init` makes it anew, `repair` fills it",
            whole=form is None,
        )
    if form != FORM:
        raise UnknownStoreForm(f"the keyspace {keyspace} of {connection.where}", form, FORM)


def _standing(connection: CassandraConnection, keyspace: str) -> dict[str, dict[str, str]]:
    """Table -> column -> type."""
    asked = "SELECT table_name, column_name, type FROM system_schema.columns WHERE keyspace_name = %s"
    there: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(asked, (keyspace,)):
        there.setdefault(table, {})[column] = kind
    return there


def _bare(kind: str) -> str:
    return kind.replace(" ", "").lower().replace("varchar", "text")


def missing_columns(connection: CassandraConnection, keyspace: str) -> list[tuple[str, str, str]]:
    """(table, column, type) that tables lack because an older program made them."""
    there = _standing(connection, keyspace)
    return [
        (table, column, kind)
        for table, rows in TABLES.items()
        if table in there
        for column, kind in rows.types.items()
        if column not in there[table]
    ]


def create(connection: CassandraConnection, keyspace: str, replication: int, kinds: Iterable[str] = KINDS) -> None:
    """Create what lacks of keyspace and tables. Several may do it at once; they never drop.

    Where all is there, nothing is written. Two that create one table at the same moment on a cluster of several nodes can
    disagree for a while: each asks again, after a pause of its own, until the tables are there and the nodes agree.
    """
    kinds = tuple(kinds)
    check_form(connection, keyspace)
    for tried in range(1, _TRIES + 1):
        try:
            lacking = missing(connection, keyspace, kinds)
            columns = missing_columns(connection, keyspace)
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
                connection.execute(f"INSERT INTO {keyspace}.forms (name, form) VALUES ('{_RECORDS}', {FORM})")
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
