"""The tables and views of the embedded store: made in an empty file; in an older one, missing columns are added."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from pathlib import Path

from app.domain.fields import DELIVERY, HIT, KEY, REJECT, Field, Kind
from app.errors import UnknownStoreForm
from app.stores.shapes import refuse_shape
from app.stores.sqlite.rows import TABLES, definition
from app.stores.sqlite.tallies import are_kept, write_tallies

__all__ = ["FORM", "VIEWS", "add_missing", "check_form", "columns_of", "create", "form_of", "refuse_shapes"]

FORM = 1
"""The form of the file, in `PRAGMA user_version`. A column more is no other form: it is added."""
_SCHEMA = Path(__file__).with_name("schema.sql")
_VIEW = re.compile(r"\s*CREATE VIEW (\w+)")


def _shown(fields: tuple[Field, ...], alias: str, places: dict[str, str]) -> str:
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
    return ", ".join(shown + [f"{expression(field)} AS {field.name}" for field in fields if field.kind is Kind.TIME])


def _statements() -> list[str]:
    keys, source = {name: f"keys.{name}" for name in KEY}, {"source": "sources.source"}
    derived = {table: ",\n    ".join(map(definition, fields)) for table, fields in TABLES.items()} | {
        "hits shown": _shown(HIT.fields, "hits", keys | source),
        "rejects shown": _shown(REJECT.fields, "rejects", source),
        "deliveries shown": _shown(DELIVERY.without("superseded_by"), "d", keys),
    }
    schema = _SCHEMA.read_text(encoding="utf-8")
    for name, text in derived.items():
        schema = schema.replace(f"{{{name}}}", text)
    return schema.split(";\n")


VIEWS = {found[1]: " ".join(each.split()) for each in _statements() if (found := _VIEW.match(each))}
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
    for statement in (*_statements(), f"PRAGMA user_version = {FORM}"):
        view = _VIEW.match(statement)
        connection.execute(VIEWS[view[1]] if view else statement)


def add_missing(connection: sqlite3.Connection, more: Mapping[str, str]) -> None:
    """Columns, views and tables that a file of this form lacks, because an older program made it; those of `more` among them."""
    if not _lacking(connection, more):
        return
    connection.execute("BEGIN IMMEDIATE")
    counts = are_kept(connection)
    for statement in _lacking(connection, more):  # still: nobody else was first
        connection.execute(statement)
    if not counts:
        write_tallies(connection)
    connection.execute("COMMIT")


def _lacking(connection: sqlite3.Connection, more: Mapping[str, str]) -> list[str]:
    """The statements that add it."""
    lacking = []
    for table, fields in TABLES.items():
        there = columns_of(connection, table)
        for field in (each for each in fields if each.name not in there):
            renamed, added = f"RENAME COLUMN {field.former} TO {field.name}", f"ADD COLUMN {definition(field)}"
            lacking.append(f"ALTER TABLE {table} {renamed if field.former in there else added}")
    if not are_kept(connection):
        lacking += ["DROP TABLE tallies", *(each for each in _statements() if "CREATE TABLE tallies " in each)]
    standing = dict(connection.execute("SELECT name, sql FROM sqlite_master"))
    for name, view in VIEWS.items():
        if standing.get(name) != view:
            lacking += [f"DROP VIEW IF EXISTS {name}", view]
    return lacking + [statement for name, statement in more.items() if name not in standing]
