"""Whether the tables that stand in a keyspace have the form and the columns of this program. All of it blocks: for a thread."""

from __future__ import annotations

from app.errors import UnknownStoreForm
from app.stores.cassandra.connection import CassandraConnection
from app.stores.cassandra.rows import TABLES
from app.stores.cassandra.schema import FORM, RECORDS
from app.stores.shapes import refuse_shape

__all__ = ["lacking_columns"]


def lacking_columns(connection: CassandraConnection, keyspace: str) -> list[tuple[str, str, str]]:
    """(table, column, type) that tables lack because an older program made them.

    Raises UnknownStoreForm if there are tables of another form, or of none.
    """
    there = _standing(connection, keyspace)
    if not there.keys() & TABLES.keys():
        return []
    rows = connection.execute(f"SELECT form FROM {keyspace}.forms WHERE name = '{RECORDS}'") if "forms" in there else []
    form = rows[0][0] if rows else None
    for table in there.keys() & TABLES.keys():
        refuse_shape(
            f"the table {keyspace}.{table} of {connection.where}",
            {column: _bare(kind) for column, kind in there[table].items()},
            {column: _bare(kind) for column, kind in TABLES[table].types.items()},
            f"Copy what you need of it, then DROP TABLE {keyspace}.{table}; `python -m app init` makes it anew, `repair` fills it",
            whole=form is None,
        )
    if form != FORM:
        raise UnknownStoreForm(f"the keyspace {keyspace} of {connection.where}", form, FORM)
    return [
        (table, column, kind)
        for table, wanted in TABLES.items()
        if table in there
        for column, kind in wanted.types.items()
        if column not in there[table]
    ]


def _standing(connection: CassandraConnection, keyspace: str) -> dict[str, dict[str, str]]:
    """Table -> column -> type."""
    asked = "SELECT table_name, column_name, type FROM system_schema.columns WHERE keyspace_name = %s"
    there: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(asked, (keyspace,)):
        there.setdefault(table, {})[column] = kind
    return there


def _bare(kind: str) -> str:
    return kind.replace(" ", "").lower().replace("varchar", "text")
