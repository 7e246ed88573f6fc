"""Reads single lines through a format, for the tests beside this file."""

from __future__ import annotations

import pytest

from app.domain.formats import FORMATS, BadLine, FormatOptions
from app.domain.formats.base import LineParser
from app.domain.records import Parsed

ODD_TEXTS = (
    "\t", " ", '"', "\\", "[", "]", "-", ":", "/", "{", "}", "#Fields:", "null", "206", "bytes 0-4/5", "HTTP/1.1", " HTTP/1.1",
    "9" * 5000, "²", "٣", "\x1c", "\x85", "\ud800",
)  # fmt: skip
"""What parsers must read or reject wherever it stands in a line."""


def read(name: str, line: str, head: tuple[str, ...] = (), options: FormatOptions = FormatOptions()) -> Parsed:
    """The hit of one line."""
    return parsed(FORMATS[name].make_parser(head, options), line)


def parsed(parse: LineParser, line: str) -> Parsed:
    """The hit that a parser makes of a line."""
    values = parse(line)
    assert type(values) is tuple
    return Parsed._make(values)


def reject(name: str, line: str, head: tuple[str, ...] = (), options: FormatOptions = FormatOptions()) -> str:
    """The reason why one line is no hit."""
    with pytest.raises(BadLine) as caught:
        FORMATS[name].make_parser(head, options)(line)
    assert caught.value.detail
    return caught.value.reason


def hit(
    time: float,
    ip_address: str | None,
    user_agent: str | None,
    request: str | None,
    method: str | None,
    status: int,
    lo: int | None = None,
    hi: int | None = None,
    bytes_sent: int | None = None,
    total_bytes: int | None = None,
    flags: int = 0,
) -> Parsed:
    return Parsed(time, ip_address, user_agent, request, method, status, lo, hi, bytes_sent, total_bytes, flags)
