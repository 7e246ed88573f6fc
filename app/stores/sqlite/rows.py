"""How records stand in the embedded store's rows, and back: nothing is lost, whatever the log held.

Columns, rows and both directions follow from the tables of fields. Keys and sources have tables of their own: a row names them by
number. A raw id is a function of source and position, unless the shipper gave one: only a given id is stored.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import repeat
from typing import Any

from app.domain.fields import DELIVERY, HIT, KEY, REJECT, Field, Kind, Table
from app.domain.records import Delivery

__all__ = [
    "DELIVERY_COLUMNS",
    "HIT_COLUMNS",
    "REJECT_COLUMNS",
    "TABLES",
    "definition",
    "delivery_rows",
    "given_id",
    "key_name",
    "number",
    "plain_of_hit",
    "plain_of_reject",
    "ranges_of_text",
    "record_of_row",
    "selected",
    "stored",
    "text",
    "text_of_ranges",
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


_lengths = struct.Struct(">iii").pack


def key_name(ip_address: str | None, user_agent: str | None, request: str | None) -> bytes:
    """28 bytes that name a key: the hash of the joined text (-k asks for it), and where its parts end (-1: there is none).

    >>> key_name("a_b", "c", "d") == key_name("a", "b_c", "d"), key_name("a_b", "c", "d")[:16] == key_name("a", "b_c", "d")[:16]
    (False, True)
    """
    if ip_address is None or user_agent is None or request is None:
        parts = (ip_address, user_agent, request)
        joined = "_".join(part or "" for part in parts)
        lengths = _lengths(*(-1 if part is None else len(part) for part in parts))
    else:  # the hot path; the hash is that of records.key_hash, taken as bytes
        joined = f"{ip_address}_{user_agent}_{request}"
        lengths = _lengths(len(ip_address), len(user_agent), len(request))
    return blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=16).digest() + lengths


def given_id(raw_id: str) -> bytes:
    """The 16 bytes of a raw id. Raises ValueError for anything but 32 lower-case hex digits."""
    digits = bytes.fromhex(raw_id)
    if len(digits) != 16 or digits.hex() != raw_id:
        raise ValueError(f"raw_id {raw_id[:80]!r} is not 32 hex digits")
    return digits


def text_of_ranges(ranges: Iterable[Sequence[int]]) -> str:
    """>>> text_of_ranges([[0, 499], [1000, 1200]])
    '0-499,1000-1200'
    """
    return ",".join([f"{lo}-{hi}" for lo, hi in ranges])


_RANGE = re.compile(r"(-?\d+)-(-?\d+)")


def ranges_of_text(written: str) -> list[list[int]]:
    """>>> ranges_of_text("0-499,1000-1200")
    [[0, 499], [1000, 1200]]
    """
    return [[int(lo), int(hi)] for lo, hi in _RANGE.findall(written)]


def _ids(hit_ids: Sequence[str]) -> bytes:
    joined = "".join(hit_ids)
    packed = bytes.fromhex(joined)
    if packed.hex() != joined or not set(map(len, hit_ids)) <= {16}:
        raise ValueError("hit_ids are not 16 hex digits each")
    return packed


def _words(words: Sequence[str]) -> str:
    return ",".join(words)


def _words_of(written: Any) -> list[str]:
    joined = text(written)
    return joined.split(",") if joined else []


def _ids_of(packed: bytes) -> list[str]:
    return [packed[at : at + 8].hex() for at in range(0, len(packed), 8)]


def text_of_texts(texts: Mapping[str, str]) -> str:
    """A map as JSON, which SQLite's own functions read; lone surrogates are escapes in it.

    >>> text_of_texts({"referer": "https://example.com/"})
    '{"referer": "https://example.com/"}'
    """
    return json.dumps(texts) if texts else "{}"


_ENCODE: dict[Kind, Callable[[Any], Any]] = {
    Kind.RANGES: text_of_ranges,
    Kind.WORDS: _words,
    Kind.SHORT_IDS: _ids,
    Kind.TEXTS: text_of_texts,
}
"""Of the kinds that are written as something else; SQLite takes the others as they are, or as `stored` has them."""
_DECODE: dict[Kind, Callable[[Any], Any]] = {
    Kind.TEXT: text,
    Kind.INTEGER: number,
    Kind.SMALL: number,
    Kind.VERSION: number,
    Kind.BOOLEAN: bool,
    Kind.RANGES: ranges_of_text,
    Kind.WORDS: _words_of,
    Kind.SHORT_IDS: _ids_of,
    Kind.TEXTS: json.loads,
}
_TYPES = {Kind.TIME: "REAL", Kind.SHORT_IDS: "BLOB"}

TABLES = {
    "hits": (*HIT.without(*KEY, "raw_id", "source", "extras"), HIT["extras"]),
    "rejects": REJECT.without("raw_id", "source"),
    "deliveries": DELIVERY.without(*KEY),
}
"""The fields that stand in the rows of each table themselves."""
_PLACE = "source_no, given"
HIT_COLUMNS, REJECT_COLUMNS, DELIVERY_COLUMNS = (
    f"{before}{', '.join(field.name for field in TABLES[table])}, {after}"
    for table, before, after in (
        ("hits", "key_no, ", _PLACE),
        ("rejects", "", _PLACE),
        ("deliveries", "key_no, ", "ingested"),
    )
)
"""Of an INSERT, in the order of the rows."""
plain_of_hit = HIT.picker(TABLES["hits"][:-1])
"""The values of a hit between its key_no and its extras, behind which its source_no stands."""
plain_of_reject = REJECT.picker(TABLES["rejects"])
"""The values of a reject before its source_no."""


def _literal(field: Field) -> str:
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
        words.append(f"DEFAULT {_literal(field)}")
    return " ".join(word for word in words if word)


def selected(table: Table, alias: str, there: Collection[str]) -> str:
    """The expressions of a SELECT that give the values of a record in its order.

    `alias` is that of its rows; `there` are the columns that they have: in an older store some are missing, or have their former
    names, until a worker opens it.
    """

    def place(field: Field) -> str:
        name = next((name for name in (field.name, field.former) if name in there), None)
        return _literal(field) if name is None else f"{alias}.{name}"

    places = {"source": "sources.source", "raw_id": f"{alias}.given"} if "source" in table.at else {}
    if table is not REJECT:
        places |= {name: f"keys.{name}" for name in KEY}
    return ", ".join(places.get(field.name) or place(field) for field in table.fields)


_TRANSFORMED = [
    (at, encode, encode(())) for at, field in enumerate(DELIVERY.fields) if (encode := _ENCODE.get(field.kind))
]
"""Place, how values are written, and what nothing is written as: most lists are empty."""
_VERDICT, _REASON = DELIVERY.at["verdict"], DELIVERY.at["reason"]


def delivery_rows(
    deliveries: Sequence[Delivery], key_numbers: Sequence[int], ingested: float
) -> tuple[list[tuple[Any, ...]], list[tuple[int, str]]]:
    """Rows in the order of DELIVERY_COLUMNS; and those that cannot be written down at all, by index, with the reason."""
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


def _decoder(table: Table) -> list[tuple[int, Callable[[Any], Any]]]:
    return [(at, _DECODE[field.kind]) for at, field in enumerate(table.fields) if field.kind in _DECODE]


_DECODERS = {table.record: _decoder(table) for table in (DELIVERY, HIT, REJECT)}


def record_of_row(table: Table, row: Sequence[Any], raw_ids: Callable[[str], Callable[[int], str]]) -> Any:
    """From what `selected` names; what stands behind it is left out. `raw_ids` gives the raw id if the row has none of its own."""
    values, at = list(row[: len(table.fields)]), 0
    try:
        for at, decode in _DECODERS[table.record]:
            values[at] = decode(values[at])
    except (ValueError, TypeError, AttributeError, LookupError, struct.error) as error:
        raise ValueError(
            f"{table.fields[at].name}: {values[at]!r:.80} is not as the store writes it ({error})"
        ) from error
    record: Any = table.record._make(values)  # type: ignore[attr-defined]
    if table is DELIVERY:
        return record
    given = record.raw_id
    return record._replace(raw_id=raw_ids(record.source)(record.position) if given is None else given.hex())
