"""What passes through the log: messages, and how a row stores their headers and a changelog's batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from app.errors import LogError

__all__ = ["LogRow", "Message", "Pair", "pack_headers", "pack_pairs", "unpack_headers", "unpack_pairs"]


class Message(NamedTuple):
    """One message for one partition of a topic."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]
    timestamp: float
    """UTC seconds since 1970."""


Pair = tuple[bytes, bytes | None]
"""A key and its new value in a changelog; None deletes the key."""


class LogRow(NamedTuple):
    """One row of the log: a message, or a batch of a changelog."""

    offset: int
    packed: int | None
    """None: a message. Else `value` packs this many pairs at offset, offset + 1, …"""
    timestamp: float
    key: bytes | None
    value: bytes | None
    headers: bytes | None
    """Packed; see unpack_headers."""


_encode = msgspec.msgpack.Encoder().encode
_decode_headers = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode
_decode_pairs = msgspec.msgpack.Decoder(list[tuple[bytes, bytes | None]]).decode


def pack_headers(headers: Mapping[str, bytes] | Iterable[tuple[str, bytes]] | None) -> bytes | None:
    """Headers as one blob; None where there are none. A name may occur twice. Raises LogError for other types.

    >>> unpack_headers(pack_headers({"source": b"a"}))
    [('source', b'a')]
    """
    if not headers:
        return None
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    for name, value in pairs:
        if not isinstance(name, str) or not isinstance(value, bytes):
            raise LogError(f"a header is a text and bytes, not {name!r:.40} and {value!r:.40}")
    return _encode(pairs)


def unpack_headers(blob: bytes | None) -> list[tuple[str, bytes]]:
    """The headers in the order in which they were sent."""
    return [] if blob is None else _decode_headers(blob)


def pack_pairs(pairs: Sequence[Pair]) -> bytes:
    """A batch as one blob."""
    return _encode(pairs)


def unpack_pairs(blob: bytes) -> list[Pair]:
    """The pairs of a batch, in order.

    >>> unpack_pairs(pack_pairs([(b"k", b"v"), (b"gone", None)]))
    [(b'k', b'v'), (b'gone', None)]
    """
    return _decode_pairs(blob)
