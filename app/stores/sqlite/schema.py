"""The tables and views of the embedded store: made in an empty file; in an older one, missing columns are added."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

from app.domain.fields import DELIVERY, HIT, KEY, REJECT, Field, Kind
from app.errors import UnknownStoreForm
from app.stores.shapes import refuse_shape
from app.stores.sqlite.ledger_schema import statements
from app.stores.sqlite.rows import TABLES, definition
from app.stores.sqlite.tallies import are_kept, write_tallies

__all__ = ["FORM", "VIEWS", "add_missing", "check_form", "columns_of", "create", "form_of", "refuse_shapes"]

FORM = 1
"""The form of the file, in `PRAGMA user_version`. A column more is no other form: it is added."""
_SCHEMA = Path(__file__).with_name("schema.sql")
_LEDGERS = Path(__file__).with_name("ledgers.sql")
_NAMED_IN_LEDGERS = ("candidates", "users", "vote_windows", "spending")
_INGESTED = (
    "(SELECT time FROM ingests WHERE kind = '{0}' AND first_no <= {0}.{1} ORDER BY first_no DESC LIMIT 1) AS ingested"
)
_KEY_HASH = "lower(hex(substr(keys.name, 1, 16))) AS key_hash"


def _shown(fields: tuple[Field, ...], alias: str, places: dict[str, str]) -> list[str]:
    """The columns of a view: times first as a person reads them, at the end as numbers."""

    def expression(field: Field) -> str:
        return places.get(field.name, f"{alias}.{field.name}")

    shown = []
    for field in fields:
        if field.kind is Kind.TIME:
            name = "arrived_utc" if alias == "rejects" else f"{field.name}_utc"
            shown.append(f"strftime('%Y-%m-%d %H:%M:%f', {expression(field)}, 'unixepoch') AS {name}")
        elif field.kind is Kind.RAW_ID:
            shown.append(f"lower(hex({alias}.given)) AS given_id")
        elif field.kind is Kind.SHORT_IDS:
            shown.append(f"lower(hex({expression(field)})) AS {field.name}")
        else:
            shown.append(f"{expression(field)} AS {field.column}")
    return shown + [f"{expression(field)} AS {field.name}" for field in fields if field.kind is Kind.TIME]


_KEYS = {name: f"keys.{name}" for name in KEY}
_SOURCE = {"source": "sources.source"}


def _view(name: str, columns: list[str], rows: str) -> str:
    return f"CREATE VIEW {name} AS SELECT {', '.join(columns)} FROM {rows}"


VIEWS = {
    "raw_weblogs": _view(
        "raw_weblogs",
        [*_shown(HIT.fields, "hits", _KEYS | _SOURCE), _KEY_HASH, _INGESTED.format("hits", "hit_no")],
        "hits JOIN keys USING (key_no) JOIN sources USING (source_no)",
    ),
    "reduced_weblogs": _view(
        "reduced_weblogs",
        [*_shown(DELIVERY.without("superseded_by"), "d", _KEYS), _KEY_HASH, "d.ingested"],
        "deliveries AS d JOIN keys USING (key_no) WHERE d.superseded_by IS NULL",
    ),
    "weblogs_rejects": _view(
        "weblogs_rejects",
        [*_shown(REJECT.fields, "rejects", _SOURCE), _INGESTED.format("rejects", "reject_no")],
        "rejects JOIN sources USING (source_no)",
    ),
}
"""For people with an SQL tool. A null given_id means: the id follows from source and position."""


def form_of(connection: sqlite3.Connection) -> int:
    """0 is a file without tables."""
    return connection.execute("PRAGMA user_version").fetchone()[0]


def check_form(connection: sqlite3.Connection, path: Path) -> None:
    """Raises UnknownStoreForm."""
    refuse_shapes(connection, path)
    if (found := form_of(connection)) != FORM:
        raise UnknownStoreForm(f"the store {path}", found, FORM)


def refuse_shapes(connection: sqlite3.Connection, path: Path) -> None:
    """Raises OtherShape for a table of our name that somebody else made."""
    for table, wanted in _shapes().items():
        if found := _types(connection, table):
            cure = "Move that file away; the worker makes it anew, and `python -m app repair` or a replay fills it"
            refuse_shape(f"the table {table} of {path}", found, wanted, cure, whole=form_of(connection) == 0)


def _types(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """Column -> type and whether it is a key."""
    return {
        row[1]: f"{row[2]}{' PRIMARY KEY' if row[5] else ''}"
        for row in connection.execute(f"PRAGMA table_info({table})")
    }


@cache
def _shapes() -> dict[str, dict[str, str]]:
    with closing(sqlite3.connect(":memory:")) as made:
        create(made)
        return {table: _types(made, table) for table in TABLES}


def columns_of(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    """The names of the columns that it has."""
    return frozenset(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))


def create(connection: sqlite3.Connection) -> None:
    """All tables, in an empty file. Within a transaction."""
    _run(connection, _schema())
    for view in VIEWS.values():
        connection.execute(view)
    connection.execute(f"PRAGMA user_version = {FORM}")


def _schema() -> str:
    schema = _SCHEMA.read_text(encoding="utf-8")
    for table, fields in TABLES.items():
        schema = schema.replace(f"{{{table}}}", ",\n    ".join(map(definition, fields)))
    return schema


def add_missing(connection: sqlite3.Connection) -> None:
    """Columns, views and tables that a file of this form lacks, because an older program made it."""
    if not _lacks_something(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    for table, field in _missing_columns(connection):  # still: nobody else was first
        if field.former in columns_of(connection, table):
            connection.execute(f"ALTER TABLE {table} RENAME COLUMN {field.former} TO {field.name}")
        else:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {definition(field)}")
    if not are_kept(connection):
        connection.execute("DROP TABLE tallies")
        _run(connection, re.search(r"CREATE TABLE tallies .*?;", _schema(), re.DOTALL)[0])  # type: ignore[index]
        write_tallies(connection)
    for name, view in VIEWS.items():
        if _written(connection, name) != view:
            connection.execute(f"DROP VIEW IF EXISTS {name}")
            connection.execute(view)
    if _lacks_ledgers(connection):
        for statement in statements().values():
            connection.execute(statement)
        _run(connection, _LEDGERS.read_text(encoding="utf-8"))
    connection.execute("COMMIT")


def _lacks_something(connection: sqlite3.Connection) -> bool:
    return (
        bool(_missing_columns(connection))
        or not are_kept(connection)
        or any(_written(connection, name) != view for name, view in VIEWS.items())
        or _lacks_ledgers(connection)
    )


def _lacks_ledgers(connection: sqlite3.Connection) -> bool:
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    return not {*statements(), *_NAMED_IN_LEDGERS} <= there


def _missing_columns(connection: sqlite3.Connection) -> list[tuple[str, Field]]:
    return [
        (table, field)
        for table, fields in TABLES.items()
        for there in [columns_of(connection, table)]
        for field in fields
        if field.name not in there
    ]


def _written(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def _run(connection: sqlite3.Connection, statements: str) -> None:
    statement = ""
    for line in statements.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
