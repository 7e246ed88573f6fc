"""How records stand in the embedded store's rows: nothing is lost, whatever the log held. reads.py has the way back.

Columns and rows follow from the tables of fields. Keys and sources have tables of their own: a row names them by
number. A raw id is a function of source and position, unless the shipper gave one: only a given id is stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

from app.domain.fields import DELIVERY, HIT, KEY, REJECT, Field, Kind
from app.domain.records import Delivery
from app.stores.identities import packed_ids

__all__ = [
    "COLUMNS",
    "TABLES",
    "definition",
    "delivery_rows",
    "literal",
    "number",
    "plain_of_hit",
    "plain_of_reject",
    "stored",
    "text",
    "text_of_texts",
]

_INT_MIN, _INT_MAX = -(1 << 63), (1 << 63) - 1


def stored(value: Any) -> Any:
    """The value as SQLite takes it: a large integer as decimal text, a text that is no valid Unicode as a blob.

    >>> stored(2**63), stored("a\\ud800")
    ('9223372036854775808', b'a\\xed\\xa0\\x80')
    """
    if isinstance(value, int) and not _INT_MIN <= value <= _INT_MAX:
        try:
            return str(int(value))
        except ValueError:  # beyond 4,300 digits Python writes decimals no more
            return hex(value)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogatepass")
    return value


def number(value: int | str | None) -> Any:
    """The integer, or None, that `stored` put away."""
    return int(value, 0) if isinstance(value, str) else value


def text(value: str | bytes | None) -> Any:
    """The text, or None, that `stored` put away."""
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def _text_of_ranges(ranges: Iterable[Sequence[int]]) -> str:
    """>>> _text_of_ranges([[0, 499], [1000, 1200]])
    '0-499,1000-1200'
    """
    return ",".join([f"{lo}-{hi}" for lo, hi in ranges])


def text_of_texts(texts: Mapping[str, str]) -> str:
    """A map as JSON, which SQLite's own functions read; lone surrogates are escapes in it.

    >>> text_of_texts({"referer": "https://example.com/"})
    '{"referer": "https://example.com/"}'
    """
    return json.dumps(texts) if texts else "{}"


_ENCODE: dict[Kind, Callable[[Any], Any]] = {
    Kind.RANGES: _text_of_ranges,
    Kind.WORDS: ",".join,
    Kind.SHORT_IDS: packed_ids,
    Kind.TEXTS: text_of_texts,
}
"""Of the kinds that are written as something else; SQLite takes the others as they are, or as `stored` has them."""
_TYPES = {Kind.TIME: "REAL", Kind.SHORT_IDS: "BLOB"}

TABLES = {
    "hits": (*HIT.without(*KEY, "raw_id", "source", "extras"), HIT["extras"]),
    "rejects": REJECT.without("raw_id", "source"),
    "deliveries": DELIVERY.without(*KEY),
}
"""The fields that stand in the rows of each table themselves."""
COLUMNS = {
    table: ", ".join((*before, *(field.name for field in TABLES[table]), *after))
    for table, before, after in (
        ("hits", ("key_no",), ("source_no", "given")),
        ("rejects", (), ("source_no", "given")),
        ("deliveries", ("key_no",), ("ingested",)),
    )
}
"""Of an INSERT, in the order of the rows."""
plain_of_hit = HIT.picker(TABLES["hits"][:-1])
"""The values of a hit between its key_no and its extras, behind which its source_no stands."""
plain_of_reject = REJECT.picker(TABLES["rejects"])
"""The values of a reject before its source_no."""


def literal(field: Field) -> str:
    """What a row has that was stored before the field was there."""
    value = _ENCODE.get(field.kind, stored)(field.absent) if field.absent is not None else None
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    return f"'{value}'" if isinstance(value, str) else str(float(value) if field.kind is Kind.TIME else int(value))


def definition(field: Field) -> str:
    """The column in CREATE TABLE or ALTER TABLE: one that is added later gives older rows its default."""
    words = [field.name, _TYPES.get(field.kind, "")]
    if not field.optional:
        words.append("NOT NULL")
    if not field.needed and field.absent is not None:
        words.append(f"DEFAULT {literal(field)}")
    return " ".join(word for word in words if word)


_TRANSFORMED = [
    (at, encode, encode(())) for at, field in enumerate(DELIVERY.fields) if (encode := _ENCODE.get(field.kind))
]
"""Place, how values are written, and what nothing is written as: most lists are empty."""
_VERDICT, _REASON = DELIVERY.at["verdict"], DELIVERY.at["reason"]


def delivery_rows(
    deliveries: Sequence[Delivery], key_numbers: Sequence[int], ingested: float
) -> tuple[list[tuple[Any, ...]], list[tuple[int, str]]]:
    """Rows in the order of COLUMNS; and those that cannot be written down at all, by index, with the reason."""
    if not deliveries:
        return [], []
    columns: list[Iterable[Any]] = list(zip(*deliveries, strict=True))  # a column at a time: rows come by the thousand
    try:
        for verdict, reason in set(zip(columns[_VERDICT], columns[_REASON], strict=True)):
            f"{verdict}{reason}".encode()  # these are counted by name: no lone surrogates
        for at, encode, nothing in _TRANSFORMED:
            columns[at] = [encode(value) if value else nothing for value in columns[at]]
    except ValueError as error:
        if len(deliveries) == 1:
            return [], [(0, str(error))]
        middle = len(deliveries) // 2
        rows, bad = delivery_rows(deliveries[:middle], key_numbers[:middle], ingested)
        more, worse = delivery_rows(deliveries[middle:], key_numbers[middle:], ingested)
        return rows + more, bad + [(middle + at, why) for at, why in worse]
    return list(zip(key_numbers, *columns[len(KEY) :], repeat(ingested, len(deliveries)), strict=True)), []
