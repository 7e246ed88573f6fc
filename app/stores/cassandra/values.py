"""Values as they stand in Cassandra's columns, as the bytes of its native protocol. answers.py has the way back.

Rows are encoded here and not by the driver: it is twice as fast, and the size of a batch is known before it is sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from struct import Struct
from typing import Any

from app.domain.fields import Kind
from app.domain.windows import DAY_S
from app.stores.identities import given_id, packed_ids

__all__ = [
    "COLUMNS",
    "big",
    "bigint",
    "boolean",
    "date",
    "double",
    "int32",
    "key_part",
    "long_key",
    "text",
    "varint",
]

_MAX_VERSION = 1 << 42
"""A version is the timestamp of its row."""
_MAX_KEY_PART_BYTES = 16_384
"""A longer part of a key stands as its hash: Cassandra takes 65,535 bytes for all parts of a key together."""

_DAY_ZERO = 1 << 31
double = Struct(">d").pack
"""8 bytes of a float."""
int32 = Struct(">i").pack
"""4 bytes of an integer; struct.error where it is larger."""
bigint = Struct(">q").pack
"""8 bytes of an integer; struct.error where it is larger."""
big = Struct(">I").pack
boolean = Struct(">?").pack
"""1 byte of anything that is true or false."""


def text(value: str) -> bytes:
    r"""The text as UTF-8; one that is no valid Unicode or begins with NUL as NUL, `e` and its escaped form.

    >>> text("GET /ü"), text("a\ud800"), text("\0")
    (b'GET /\xc3\xbc', b'\x00ea\\ud800', b'\x00e\\x00')
    """
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        return b"\0e" + value.encode("unicode_escape")
    if encoded[:1] == b"\0":
        return b"\0e" + value.encode("unicode_escape")
    return encoded


def key_part(value: str | None) -> bytes:
    r"""The text as a part of a key, where null is not allowed: absent is NUL `n`, too long is NUL `h`, its beginning and its hash.

    >>> key_part(None), key_part(""), len(key_part("x" * 70000))
    (b'\x00n', b'', 134)
    """
    if value is None:
        return b"\0n"
    encoded = text(value)
    if len(encoded) <= _MAX_KEY_PART_BYTES:
        return encoded
    begin = encoded[:100].decode("utf-8", "ignore").replace("\0", "").encode()
    return b"\0h" + begin + blake2b(encoded, digest_size=16).hexdigest().encode()


def long_key(parts: Sequence[bytes], key: Sequence[str | None]) -> bytes | None:
    """The full texts of those parts of a key that stand as their hash, as tuple<text, text, text>; None where none does."""
    if b"\0h" not in (parts[0][:2], parts[1][:2], parts[2][:2]):
        return None
    packed = b""
    for part, value in zip(parts, key, strict=True):
        full = text(value) if part[:2] == b"\0h" and value is not None else None
        packed += int32(-1) if full is None else int32(len(full)) + full
    return packed


def varint(value: int) -> bytes:
    r"""An integer of any size.

    >>> varint(0), varint(255), varint(-1)
    (b'\x00', b'\x00\xff', b'\xff')
    """
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _sized(value: bytes) -> bytes:
    return big(len(value)) + value


def pairs(ranges: Sequence[Sequence[int]]) -> bytes:
    """list<tuple<varint, varint>>"""
    packed = [big(len(ranges))]
    for lo, hi in ranges:
        packed.append(_sized(_sized(varint(lo)) + _sized(varint(hi))))
    return b"".join(packed)


def texts(values: Iterable[str]) -> bytes:
    """list<text>"""
    encoded = [_sized(text(value)) for value in values]
    return big(len(encoded)) + b"".join(encoded)


def texts_by_name(values: Mapping[str, str]) -> bytes:
    """map<text, text>"""
    packed = [_sized(text(name)) + _sized(text(values[name])) for name in sorted(values)]
    return big(len(values)) + b"".join(packed)


def date(time_s: float) -> bytes:
    r"""The UTC day of a time as a `date`, 1970-01-01 is 2**31; times beyond its ends count to the last day. ValueError if it is no number.

    >>> date(86400.0), date(-1.0), date(1e300)
    (b'\x80\x00\x00\x01', b'\x7f\xff\xff\xff', b'\xff\xff\xff\xff')
    """
    if math.isnan(time_s):
        raise ValueError("time is no number")
    number = time_s / DAY_S
    if not -_DAY_ZERO <= number < _DAY_ZERO:
        return big(0 if number < 0 else 2 * _DAY_ZERO - 1)
    return big(math.floor(number) + _DAY_ZERO)


def _raw_id(value: str) -> bytes:
    given_id(value)
    return value.encode()


def _time(value: float) -> bytes:
    if value != value:
        raise ValueError("a time is no number")
    return double(value + 0.0)  # -0.0 is 0.0: they would be two rows


def _version(value: int) -> bytes:
    if not 0 <= value <= _MAX_VERSION:
        raise ValueError(f"version is not within 0..{_MAX_VERSION}: it is the timestamp of the row")
    return bigint(value)


_RANGES = "frozen<list<frozen<tuple<varint, varint>>>>"
COLUMNS: dict[Kind, tuple[str, Callable[[Any], bytes]]] = {
    Kind.TEXT: ("text", text),
    Kind.INTEGER: ("varint", varint),
    Kind.SMALL: ("int", int32),
    Kind.VERSION: ("bigint", _version),
    Kind.TIME: ("double", _time),
    Kind.BOOLEAN: ("boolean", boolean),
    Kind.RANGES: (_RANGES, pairs),
    Kind.WORDS: ("frozen<list<text>>", texts),
    Kind.SHORT_IDS: ("blob", packed_ids),
    Kind.RAW_ID: ("text", _raw_id),
    Kind.TEXTS: ("frozen<map<text, text>>", texts_by_name),
}
"""CQL type, and how a value is written, by the kind of a field."""
