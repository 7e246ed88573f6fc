"""A digest of a stream's content that can be stored and gone on with, whatever the sizes of the pieces."""

from __future__ import annotations

import zlib
from typing import NamedTuple, Protocol

from app.errors import InputError

__all__ = ["FINGERPRINT_BYTES", "ContentDigest", "DigestValue", "content_matches"]

FINGERPRINT_BYTES = 1024
"""So much of the beginning of a source is digested to know it again."""

_BLOCK_BYTES = 1 << 20


class DigestValue(NamedTuple):
    """CRC-32 and Adler-32 of the first `length` bytes. Both can be resumed from their value, unlike a keyed hash."""

    length: int = 0
    crc: int = 0
    adler: int = 1


class ContentDigest:
    """Grows with the content.

    >>> a, b = ContentDigest(), ContentDigest()
    >>> a.feed(b"one two"), b.feed(b"one "), b.feed(b"two")
    (None, None, None)
    >>> a.value == b.value
    True
    """

    def __init__(self, value: DigestValue | None = None) -> None:
        self.value = value or DigestValue()

    def feed(self, data: bytes) -> None:
        length, crc, adler = self.value
        self.value = DigestValue(length + len(data), zlib.crc32(data, crc), zlib.adler32(data, adler))


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def content_matches(stream: _Readable, values: set[DigestValue]) -> set[DigestValue]:
    """Those of `values` that are digests of the beginning of `stream`; reads up to the longest of them, once.

    What an archive holds before its damage counts.
    """
    digest = ContentDigest()
    found: set[DigestValue] = set()
    for value in sorted(values):
        while digest.value.length < value.length:
            try:
                data = stream.read(min(_BLOCK_BYTES, value.length - digest.value.length))
            except InputError:
                return found
            if not data:
                return found
            digest.feed(data)
        if digest.value == value:
            found.add(value)
    return found
