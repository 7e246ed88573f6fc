"""How records stand in the embedded store's rows, and back: nothing is lost, whatever the log held."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any

from app.domain.records import Delivery, Hit

__all__ = [
    "DELIVERY_COLUMNS",
    "HIT_COLUMNS",
    "REJECT_COLUMNS",
    "delivery_of_row",
    "delivery_row",
    "given_id",
    "hit_of_row",
    "key_name",
    "number",
    "ranges_of_text",
    "stored",
    "text",
    "text_of_ranges",
]

HIT_COLUMNS = "key_no, time, method, status, lo, hi, bytes_sent, total_bytes, flags, source_no, position, given"
REJECT_COLUMNS = "reason, detail, line, time, source_no, position, given"
DELIVERY_COLUMNS = (
    "key_no, window_start, first, last, ranges, missing, covered_bytes, total_bytes, size_known, verdict, evidence, reason, "
    "hits, bytes_sent, flags, hit_ids, final, version, superseded_by, ingested"
)

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


def delivery_row(delivery: Delivery, key_no: int, ingested: float) -> tuple:
    """In the order of DELIVERY_COLUMNS. Raises ValueError for what can not be written down at all."""
    d = delivery
    f"{d.verdict}{d.reason}".encode()  # these are counted by name: no lone surrogates
    return (
        key_no,
        d.window_start,
        d.first,
        d.last,
        text_of_ranges(d.ranges),
        text_of_ranges(d.missing) if d.missing else "",
        d.covered_bytes,
        d.total_bytes,
        d.size_known,
        d.verdict,
        d.evidence,
        d.reason,
        d.hits,
        d.bytes_sent,
        ",".join(d.flags),
        _ids(d.hit_ids),
        d.final,
        d.version,
        d.superseded_by,
        ingested,
    )


def delivery_of_row(row: Sequence[Any]) -> Delivery:
    """From ip_address, user_agent, request and DELIVERY_COLUMNS."""
    packed = row[18]
    flags = text(row[17])
    return Delivery(
        ip_address=text(row[0]),
        user_agent=text(row[1]),
        request=text(row[2]),
        window_start=row[4],
        first=row[5],
        last=row[6],
        ranges=ranges_of_text(row[7]),
        missing=ranges_of_text(row[8]),
        covered_bytes=number(row[9]),
        total_bytes=number(row[10]),
        size_known=bool(row[11]),
        verdict=text(row[12]),
        evidence=text(row[13]),
        reason=text(row[14]),
        hits=number(row[15]),
        bytes_sent=number(row[16]),
        flags=flags.split(",") if flags else [],
        hit_ids=[packed[at : at + 8].hex() for at in range(0, len(packed), 8)],
        final=bool(row[19]),
        version=number(row[20]),
        superseded_by=row[21],
    )


def hit_of_row(row: Sequence[Any], raw_ids: Callable[[str], Callable[[int], str]]) -> Hit:
    """From ip_address, user_agent, request, source and HIT_COLUMNS; `raw_ids` gives the raw id where the row has none of its own."""
    source, position, given = text(row[3]), number(row[14]), row[15]
    return Hit(
        time=row[5],
        ip_address=text(row[0]),
        user_agent=text(row[1]),
        request=text(row[2]),
        method=text(row[6]),
        status=number(row[7]),
        lo=number(row[8]),
        hi=number(row[9]),
        bytes_sent=number(row[10]),
        total_bytes=number(row[11]),
        flags=number(row[12]),
        raw_id=raw_ids(source)(position) if given is None else given.hex(),
        source=source,
        position=position,
    )
