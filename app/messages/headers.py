"""The headers of `weblogs`: the lines stand in the value as they are."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from app.messages.packing import pack_numbers, unpack_numbers

__all__ = ["HEADERS_FORM", "Headers", "pack_positions", "unpack_positions"]

HEADERS_FORM = 1
"""How the headers are to be read. Without the header `form` it is this one: shippers do not set it."""


class Headers:
    """Names of the headers; every one may be absent."""

    FORM = "form"
    """HEADERS_FORM of who sent it, decimal."""
    SOURCE = "source"
    """Id of the source the lines come from, 32 hex digits."""
    NAME = "name"
    """The source for people: a file name, or POSTED and the key of a request."""
    POSTED = b"post:"
    POSITION = "position"
    """Byte offset of the first line, decimal."""
    POSITIONS = "positions"
    """Byte offset of each line, packed little-endian 64 bits, if they are not in a row."""
    FORMAT = "format"
    BYTES = "bytes"
    """What the byte column counts, as WEBLOGS_BYTES: told by the beginning of a file."""
    HEADS = "heads"
    """Which heads of unknown loggers are passed over: told by the beginning of a file, as FormatOptions.heads."""
    DOUBTED = "doubted"
    """Columns that a client may have written: told by the beginning of a file, as FormatOptions.doubted."""
    HEAD = "head"
    """Head lines in force, joined by newlines."""
    UNORDERED = "unordered"
    """1: the lines come in an order of somebody's choice; no watermark."""
    TOO_LONG = "too_long"
    """The value is the beginning of one line of this many bytes."""
    END = "end"
    """1: the source is read to its end."""
    ID = "id"
    """An id that the shipper gave the message: sent again it counts once."""


def unpack_positions(packed: bytes) -> array[int]:
    """From the header `positions`.

    Raises ValueError if its length is no multiple of eight bytes.
    """
    return unpack_numbers("Q", packed)


def pack_positions(positions: Iterable[int]) -> bytes:
    """For the header `positions`."""
    return pack_numbers("Q", positions)
