"""Head lines: which lines name the columns, and which of them are in force at a place."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from app.domain.formats.base import BadLine, Format, FormatOptions
from app.domain.lines import names_columns

__all__ = ["MAX_HEAD_BYTES", "MAX_HEAD_LINES", "HeadRule", "Heads", "head_rule", "junk_before", "text_of"]

MAX_HEAD_LINES = 64
MAX_HEAD_BYTES = 16 << 10
_DIRECTIVE = re.compile(r"\W?\s*[\w-]+(?=:)")


class HeadRule(NamedTuple):
    """How a format's head lines are known."""

    prefix: bytes = b""
    """Lines that begin with it are head lines wherever they stand."""
    is_header: Callable[[str], bool] | None = None
    """For the first line of a source: whether it names the columns."""


def text_of(line: bytes) -> str:
    """One line as text: without its line end, bytes that are no UTF-8 escaped.

    >>> text_of(b"caf\\xe9\\r\\n")
    'caf\\\\xe9'
    """
    return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "backslashreplace")


_JUNK = re.compile(rb"\x00*(?:\xef\xbb\xbf)?\x00*")


def junk_before(data: bytes) -> int:
    """How many bytes stand before the first line that are none of it: a byte order mark, NULs of an unclean shutdown.

    >>> junk_before(b"\\xef\\xbb\\xbf#Fields"), junk_before(b"#Fields")
    (3, 0)
    """
    found = _JUNK.match(data)
    return found.end() if found else 0


def head_rule(form: Format, options: FormatOptions) -> HeadRule:
    """The rule of a format. Where its first line may be a header, it is one if it is no hit and has as many columns."""

    def is_header(line: str) -> bool:
        try:
            return form.make_parser((), options)(line) is None
        except BadLine as bad:
            return names_columns(bad)

    return HeadRule(form.head_prefix.encode(), is_header if form.header_row else None)


class Heads:
    """The head lines in force: at most 64 lines and 16 KiB.

    A later directive (`#Fields: …`) takes the place of an earlier one of the same name; others stay in force.

    >>> heads = Heads()
    >>> for line in ("#Version: 1.0", "#Fields: date", "#Fields: date time"): heads.add(line)
    >>> heads.lines
    ('#Version: 1.0', '#Fields: date time')
    """

    def __init__(self, lines: tuple[str, ...] = ()) -> None:
        self.lines = lines

    def add(self, line: str) -> None:
        name = _directive(line)
        kept = [old for old in self.lines if old != line and (name is None or _directive(old) != name)]
        if len(line) <= MAX_HEAD_BYTES:
            kept.append(line)
        while len(kept) > MAX_HEAD_LINES or sum(map(len, kept)) > MAX_HEAD_BYTES:
            # remarks go first: a directive may be what the lines are read by
            kept.remove(next((old for old in kept if _directive(old) is None), kept[0]))
        self.lines = tuple(kept)


def _directive(line: str) -> str | None:
    match = _DIRECTIVE.match(line)
    return match[0] if match else None
