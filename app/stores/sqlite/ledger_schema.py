"""Tables of counted events in the embedded store, derived from their kinds.

Times are UTC seconds since 1970, money is cents. A sum is stored once for each partition of the topic (and share): add them up.
"""

from __future__ import annotations

from typing import Any

from app.domain.counted import CountedKind, EventKind
from app.flows.registry import EVENTS, LEDGERS

__all__ = ["SUM_COLUMNS", "SUM_KEY", "number_column", "statements", "sum_key"]

SUM_KEY = "resolution, grp, start, partition, share"
SUM_COLUMNS = "events, amount, repeats, version, ingested"
_TYPES = {"text": "", "integer": " INTEGER", "time": " REAL", "boolean": " INTEGER"}


def number_column(kind: EventKind[Any]) -> str:
    """The rowid of the table of events: vote_no."""
    return f"{kind.one}_no"


def sum_key(kind: CountedKind[Any]) -> str:
    """The primary key of the sums, in the order in which they are read."""
    return "grp, resolution, start, partition, share" if kind.by_group else "resolution, start, grp, partition, share"


def statements() -> dict[str, str]:
    """Name of a table or index -> the statement that makes it if it is missing."""
    found: dict[str, str] = {}
    for kind in EVENTS:
        events = kind.events_table
        columns = ", ".join(
            f"{field.name}{_TYPES[field.kind]}{'' if field.optional else ' NOT NULL'}" for field in kind.fields
        )
        found[events] = (
            f"CREATE TABLE IF NOT EXISTS {events} ({number_column(kind)} INTEGER PRIMARY KEY, {columns}, "
            f"ingested INTEGER NOT NULL, UNIQUE ({', '.join(kind.id_fields)}))"
        )
        found[f"{events}_by_ingest"] = f"CREATE INDEX IF NOT EXISTS {events}_by_ingest ON {events} (ingested)"
        if kind.by_group:
            name = f"{events}_by_{kind.group_field.removesuffix('_id')}"
            order = ", ".join(dict.fromkeys((kind.group_field, "time", *kind.id_fields)))
            found[name] = f"CREATE INDEX IF NOT EXISTS {name} ON {events} ({order})"
    for kind in LEDGERS:
        sums = kind.sums_table
        found[sums] = (
            f"CREATE TABLE IF NOT EXISTS {sums} (resolution NOT NULL, start INTEGER NOT NULL, grp NOT NULL, "
            "partition INTEGER NOT NULL, share INTEGER NOT NULL, events INTEGER NOT NULL, amount NOT NULL, "
            "repeats INTEGER NOT NULL, version INTEGER NOT NULL, ingested INTEGER NOT NULL, "
            f"PRIMARY KEY ({sum_key(kind)})) WITHOUT ROWID"
        )
        found[f"{sums}_by_ingest"] = (
            f"CREATE INDEX IF NOT EXISTS {sums}_by_ingest ON {sums} (resolution, ingested) WHERE resolution <> 'total'"
        )
        if kind.by_group:
            found[f"{sums}_in_total"] = (
                f"CREATE INDEX IF NOT EXISTS {sums}_in_total ON {sums} (grp, amount, events) WHERE resolution = 'total'"
            )
    return found
