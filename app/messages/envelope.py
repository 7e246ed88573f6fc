"""Lines from shippers that can set no header: one JSON object a message, with the line and an id of it. Pure."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

__all__ = ["Envelope", "unwrap"]

_decode = msgspec.json.Decoder().decode
_LINE = ("line", "message")


class Envelope(NamedTuple):
    """What a message holds."""

    line: str
    id: str | None
    """Sent again under the same id, a line counts once; empty if the shipper wrote null."""


def unwrap(value: bytes) -> Envelope | None:
    """`{"id": …, "line": …}` or `{"id": …, "message": …}`, the id absent or not; None for anything else, JSON logs included.

    >>> unwrap(b'{"id": "7", "line": "a\\\\tb"}')
    Envelope(line='a\\tb', id='7')
    >>> unwrap(b'{"line": "x", "status": 200}'), unwrap(b'10.0.0.1 - -')
    (None, None)
    """
    if not value.startswith(b"{") or b"\n" in value.rstrip():
        return None
    try:
        found = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    names = set(found)
    line = found.get("line", found.get("message"))
    given = found.get("id")
    if (
        len(names & set(_LINE)) != 1
        or not names <= {*_LINE, "id"}
        or not isinstance(line, str)
        or not isinstance(given, str | None)
    ):
        return None
    return Envelope(line, "" if given is None and "id" in found else given)
