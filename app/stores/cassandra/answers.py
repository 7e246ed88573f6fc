"""Rows of Cassandra's tables as records, events and sums: the way back from rows.py and ledger_rows.py, for whoever reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from app.domain.counted import CountedKind, EventKind, Sum
from app.domain.fields import KEY, Kind
from app.stores.cassandra.ledger_rows import count_columns, event_encoders
from app.stores.cassandra.rows import LONG_KEY, Rows
from app.stores.identities import ids_of

__all__ = ["PRIMARY", "event_of", "of_key", "record_reader", "sum_of", "text_of"]

Event = TypeVar("Event", bound=tuple[Any, ...])

PRIMARY = {
    "Hit": (*KEY, "day", "time", "raw_id"),
    "Delivery": (*KEY, "window_start"),
    "Reject": ("reason", "bucket", "raw_id"),
}
"""The columns that name a row, by record."""


def of_key(*more: str) -> str:
    """The condition for rows of one key, and for these columns.

    >>> of_key("day")
    'ip_address = ? AND user_agent = ? AND request = ? AND day = ?'
    """
    return " AND ".join(f"{column} = ?" for column in (*KEY, *more))


def text_of(stored: str | None, full: str | None = None) -> Any:
    r"""The text, or None, from what `text` or `key_part` wrote; `full` comes from the row's long_key.

    >>> text_of("\0n"), text_of("\0ea\\ud800"), text_of("x")
    (None, 'a\ud800', 'x')
    """
    if stored is None or stored[:1] != "\0":
        return stored
    if stored[:2] == "\0e":
        return stored[2:].encode().decode("unicode_escape")
    if stored[:2] == "\0h" and full is not None:
        return text_of(full)
    return None if stored == "\0n" else stored


def _same(value: Any) -> Any:
    return value


_DECODED: dict[Kind, tuple[Callable[[Any], Any], Callable[[], Any]]] = {
    Kind.TEXT: (text_of, str),
    Kind.INTEGER: (_same, int),
    Kind.SMALL: (_same, int),
    Kind.VERSION: (_same, int),
    Kind.TIME: (_same, float),
    Kind.BOOLEAN: (bool, bool),
    Kind.RANGES: (lambda found: [[lo, hi] for lo, hi in found], list),
    Kind.WORDS: (lambda found: [text_of(word) for word in found], list),
    Kind.SHORT_IDS: (ids_of, list),
    Kind.RAW_ID: (_same, str),
    Kind.TEXTS: (lambda found: {text_of(name): text_of(one) for name, one in found.items()}, dict),
}
"""How a kind of field is read, and what a row that a person wrote without it gives."""


def record_reader(rows: Rows) -> Callable[[Sequence[Any]], Any]:
    """The function that makes a record of `rows.columns`. A row that a person wrote with less in it gives zeros and empty texts."""
    fields = rows.fields
    decoded = [(at, *_DECODED[field.kind]) for at, field in enumerate(fields) if field in rows.own]
    in_order = itemgetter(*([field.name for field in fields].index(field.name) for field in rows.table.fields))

    def record(row: Sequence[Any]) -> Any:
        values = list(row[: len(fields)])
        if rows.keyed:
            full = row[rows.at[LONG_KEY]] or (None, None, None)
            values[: len(KEY)] = map(text_of, row, full)
        for at, decode, empty in decoded:
            value = values[at]
            if value is not None:
                values[at] = decode(value)
            elif not (field := fields[at]).optional:
                values[at] = empty() if field.needed else field.absent
        return rows.table.record._make(in_order(values))  # type: ignore[attr-defined]

    return record


def event_of(kind: EventKind[Event], row: Sequence[Any]) -> Event:
    """From a row with the columns of `events_table`."""
    values: list[Any] = [None] * len(kind.fields)
    for (at, _), value in zip(event_encoders(kind), row, strict=True):
        values[at] = text_of(value) if kind.fields[at].kind == "text" else value
    made: Event = kind.event._make(values)  # type: ignore[attr-defined]
    return made


def sum_of(kind: CountedKind[Any], resolution: str, row: Sequence[Any]) -> Sum:
    """From a row of `sums_tables(kind)[resolution]`."""
    *head, partition, share = row[: -len(count_columns(kind))]
    *amounts, events, repeats = row[-len(count_columns(kind)) :]
    amount = int(amounts[0]) if amounts else 0
    if resolution:
        first, _, start, second = head
        return Sum(resolution, f"{_plain(first)}/{text_of(second)}", start, partition, share, events, amount, repeats)
    if kind.by_group:
        group, name, start = head
    else:
        name, _, start, group = head
    return Sum(name, text_of(group), start, partition, share, events, amount, repeats)


def _plain(value: Any) -> str:
    """Of a text or an integer column."""
    return str(text_of(value)) if isinstance(value, str) else str(value)
