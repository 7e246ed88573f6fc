"""Hits as an Arrow table: the columns that reports read, made from lines, or read from a file that `report index` wrote.

Texts are coded by dictionaries, so that what is derived from a text is derived once for each that differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from app.columns.blocks import Bools, Floats, Ints, LineColumns
from app.columns.parts import MAX_BYTE
from app.columns.texts import Texts
from app.domain.extras import EXTRAS
from app.domain.lines import ReadLines
from app.domain.records import Parsed
from app.words import writable

__all__ = ["HITS", "PLAIN_NAMES", "TEXT", "HitNumbers", "duration_of", "filled", "hit_table", "host_of_authority", "host_of_referer", "in_log_order", "numbers_of", "put_together", "rows_table", "texts_of", "without_large_numbers"]  # fmt: skip

TEXT = pa.dictionary(pa.int32(), pa.string())
HITS = pa.schema(
    [
        ("time", pa.float64()),
        ("zone_s", pa.int32()),
        ("ip_address", TEXT),
        ("user_agent", TEXT),
        ("request", TEXT),
        ("method", TEXT),
        ("status", pa.int16()),
        ("lo", pa.int64()),
        ("hi", pa.int64()),
        ("bytes_sent", pa.int64()),
        ("total_bytes", pa.int64()),
        ("flags", pa.int16()),
        ("source", TEXT),
        ("position", pa.uint64()),
        *((name, TEXT) for name in EXTRAS),
    ]
)
"""The fields of a hit, as docs/reference/records.md names them, the optional ones as columns of their own, and `zone_s`, the
offset from UTC that its line writes."""
PLAIN_NAMES = [name for name in HITS.names if name not in EXTRAS]
"""All but the optional fields."""
_BEYOND = 1 << 63
_NUMBERS = slice(Parsed._fields.index("lo"), Parsed._fields.index("total_bytes") + 1)
_HOST = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//(?:[^/?#@]*@)?(\[[^\]/?#]*\]|[^/?#:\[]+)")


def host_of_referer(referer: str) -> str:
    """The host of a page, in lower case, without its port; empty if the referer names none.

    >>> host_of_referer("https://WWW.Example.com:8080/a?b"), host_of_referer("http://[2001:db8::1]/"), host_of_referer("a.html")
    ('www.example.com', '[2001:db8::1]', '')
    """
    found = _HOST.match(referer)
    return found[1].rstrip(".").lower() if found else ""


def host_of_authority(authority: str) -> str:
    """The host of a virtual host.

    >>> host_of_authority("Example.com:443")
    'example.com'
    """
    return host_of_referer(f"//{authority}")


def duration_of(seconds: str) -> str:
    """A time to three significant digits, so that there are few of them.

    >>> duration_of("0.123456"), duration_of("75.04"), duration_of("1234")
    ('0.123', '75', '1.23e+03')
    """
    return f"{float(seconds):.3g}"


def texts_of(column: pa.DictionaryArray) -> list[str]:
    """The texts that differ."""
    texts: list[str] = column.dictionary.to_pylist()
    return texts


def filled(column: pa.Array, none: int) -> Ints:
    """The numbers of a column, with one where there is none. What pyarrow itself does for it takes long to import."""
    if not len(column):
        return np.zeros(0, np.int64)
    is_there, data = column.buffers()
    end = column.offset + len(column)
    numbers = np.frombuffer(data, column.type.to_pandas_dtype(), end)[column.offset :]
    if not column.null_count:
        return numbers
    return np.where(
        np.unpackbits(np.frombuffer(is_there, np.uint8), count=end, bitorder="little")[column.offset :], numbers, none
    )


def put_together(tables: Sequence[pa.Table]) -> pa.Table:
    """One table in one piece, each text with one number."""
    whole = tables[0] if len(tables) == 1 else pa.concat_tables(tables)
    return whole.unify_dictionaries().combine_chunks()


def in_log_order(table: pa.Table) -> pa.Table:
    """A table in one piece with the rows of each source by their positions: those read line by line stand behind columns.

    One that lacks positions or sources stays as it is.
    """
    if not table.num_rows or not {"position", "source"} <= set(table.column_names):
        return table
    positions, sources = table.column("position").to_numpy(), table.column("source").chunk(0).indices.to_numpy()
    if bool(((positions[1:] > positions[:-1]) | (sources[1:] != sources[:-1])).all()):
        return table
    return table.take(pa.array(np.lexsort((positions, sources)))).combine_chunks()


class HitNumbers(NamedTuple):
    """The numbers of some hits, as columns of deliveries have them: lo 0 and hi -1 for no range, -1 for no bytes, no size."""

    lo: Ints
    hi: Ints
    sent: Ints
    total: Ints
    flags: Ints
    are_plain: Bools
    """Those whose numbers columns hold; others are looked at one by one."""


def numbers_of(table: pa.Table) -> HitNumbers:
    names = {"lo": 0, "hi": -1, "bytes_sent": -1, "total_bytes": -1}
    lo, hi, sent, total = (table.column(name).fill_null(none).to_numpy() for name, none in names.items())
    flags = table.column("flags").to_numpy().astype(np.int64)
    are_plain = table.column("lo").is_valid().to_numpy() == table.column("hi").is_valid().to_numpy()
    for numbers in (lo, hi, sent, total):
        are_plain &= numbers < MAX_BYTE
    return HitNumbers(lo, hi, sent, total, flags, are_plain)


def _no_zones(positions: Ints, times: Floats) -> Ints:
    return np.zeros(len(times), np.int64)


def hit_table(
    read: ReadLines | LineColumns,
    wanted: Sequence[str],
    zones_s: Callable[[Ints, Floats], Ints] = _no_zones,
    source: str = "",
) -> tuple[pa.Table, int]:
    """Some fields of the hits of a chunk, and how many numbers of them are too large for 64 bits and stay out.

    `zones_s` gives the offsets from UTC of the lines at some positions, whose hits have these times.
    """
    if isinstance(read, ReadLines):
        return rows_table(read.hits, read.positions, wanted, zones_s, source)
    rows, beyond = rows_table(read.other.hits, read.other.positions, wanted, zones_s, source)
    columns = _of_columns(read, wanted, zones_s, source)
    return (pa.concat_tables([columns, rows]) if rows.num_rows else columns), beyond


def _of_columns(
    block: LineColumns, wanted: Sequence[str], zones_s: Callable[[Ints, Floats], Ints], source: str
) -> pa.Table:
    count = len(block.times)
    no_range = block.hi < block.lo
    logged = block.request.requests if {"request", "method"} & set(wanted) else []
    asked, methods, _ = zip(*logged, strict=True) if logged else ((), (), ())
    made: dict[str, Callable[[], Any]] = {
        "time": lambda: pa.array(block.times),
        "zone_s": lambda: pa.array(_zones_of(block, zones_s).astype(np.int32)),
        "ip_address": lambda: _texts(block.ip_address),
        "user_agent": lambda: _texts(block.user_agent),
        "request": lambda: _text(block.request.codes, asked),
        "method": lambda: _text(block.request.codes, methods),
        "status": lambda: pa.array(block.statuses.astype(np.int16)),
        "lo": lambda: pa.array(block.lo, mask=no_range),
        "hi": lambda: pa.array(block.hi, mask=no_range),
        "bytes_sent": lambda: _number(block.sent, count),
        "total_bytes": lambda: _number(block.total, count),
        "flags": lambda: pa.array(np.zeros(count, np.int16) if block.flags is None else block.flags.astype(np.int16)),
        "source": lambda: _one_text(source, count),
        "position": lambda: pa.array(block.positions),
        **{name: partial(_optional, block, name) for name in EXTRAS},
    }
    return pa.Table.from_arrays([made[name]() for name in wanted], schema=_schema(wanted))


def _zones_of(block: LineColumns, zones_s: Callable[[Ints, Floats], Ints]) -> Ints:
    return zones_s(block.positions.astype(np.int64), block.times) if block.zones_s is None else block.zones_s


def _optional(block: LineColumns, name: str) -> pa.DictionaryArray:
    if block.extras is None:
        return _text(np.zeros(len(block.times), np.int32), [None])
    return _text(block.extras.codes, [extras.get(name) for extras in block.extras.all_extras])


def _schema(wanted: Sequence[str]) -> pa.Schema:
    return pa.schema([HITS.field(name) for name in wanted])


def _number(column: Ints | None, count: int) -> pa.Array:
    return pa.nulls(count, pa.int64()) if column is None else pa.array(column, mask=column < 0)


def _texts(some: Texts) -> pa.DictionaryArray:
    try:
        values = some.values.cast(pa.string())  # no copy
    except pa.ArrowInvalid:  # some have bytes that are no UTF-8
        values = _strings(some.texts)
    return pa.DictionaryArray.from_arrays(some.coded.indices, values)


def _text(codes: Any, texts: Sequence[str | None]) -> pa.DictionaryArray:
    """`texts` may be equal."""
    made = _strings(texts).dictionary_encode()
    numbers = pa.array(codes.astype(np.int32, copy=False))
    return pa.DictionaryArray.from_arrays(made.indices.take(numbers), made.dictionary)


def _strings(texts: Sequence[str | None]) -> pa.StringArray:
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:  # a lone surrogate
        return pa.array([text and writable(text) for text in texts], pa.string())


def _one_text(text: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([text], pa.string()))


def without_large_numbers(hits: Sequence[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], int]:
    """Hits that begin with the fields of Parsed, without the numbers that are too large for 64 bits, and how many these are."""
    count, kept = 0, []
    for hit in hits:
        numbers = hit[_NUMBERS]
        large = sum(number is not None and number >= _BEYOND for number in numbers)
        if large:
            count += large
            small = (None if number is None or number >= _BEYOND else number for number in numbers)
            hit = (*hit[: _NUMBERS.start], *small, *hit[_NUMBERS.stop :])
        kept.append(hit)
    return kept, count


def rows_table(
    hits: Sequence[tuple[Any, ...]],
    positions: Sequence[int],
    wanted: Sequence[str],
    zones_s: Callable[[Ints, Floats], Ints],
    source: str,
) -> tuple[pa.Table, int]:
    """The same of hits of one source that begin with the fields of Parsed."""
    schema = _schema(wanted)
    if not hits:
        return schema.empty_table(), 0
    hits, beyond = without_large_numbers(hits)
    columns: dict[str, Any] = dict(zip(Parsed._fields, zip(*hits, strict=True), strict=False))
    made = []
    for field in schema:
        if field.name == "source":
            made.append(_one_text(source, len(hits)))
        elif field.name == "zone_s":
            made.append(pa.array(zones_s(np.array(positions, np.int64), np.array(columns["time"])), pa.int32()))
        elif field.name == "position":
            made.append(pa.array(positions, pa.uint64()))
        elif field.name in EXTRAS:
            made.append(_strings([extras.get(field.name) for extras in columns["extras"]]).dictionary_encode())
        elif field.type == TEXT:
            made.append(_strings(columns[field.name]).dictionary_encode())
        else:
            made.append(pa.array(columns[field.name], field.type))
    return pa.Table.from_arrays(made, schema=schema), beyond
