"""W3C extended log files: `#Fields` names the columns. IIS and others write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.clients import clients
from app.domain.formats.named_columns import ColumnReader
from app.domain.formats.remembered import Remembered
from app.domain.formats.values import AGENTS

__all__ = ["FORMAT"]

_EXAMPLE = """\
#Software: Microsoft Internet Information Services 10.0
#Version: 1.0
#Date: 2020-07-31 16:46:07
#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port c-ip cs(User-Agent) sc-status sc-bytes x-content-range
2020-07-31 16:46:07 192.0.2.1 GET /films/1.mp4 - 443 203.0.113.9 Mozilla/5.0+(X11;+rv:78.0) 206 732 bytes+0-289/579
2020-07-31 16:46:09 192.0.2.1 GET /films/1.mp4 v=2 443 203.0.113.9 Mozilla/5.0+(X11;+rv:78.0) 206 731 bytes+290-578/579"""

_TOKENS = re.compile(r'"(?:[^"]|"")*"|[^ \t]+')
_WIDEST = 1000
_DATES = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%d-%b-%Y %H:%M:%S", "%d-%b-%Y")


def _unquoted(text: str) -> str:
    return text[1:-1].replace('""', '"') if len(text) >= 2 and text[0] == text[-1] == '"' else text


def _plus_for_space(text: str) -> str:
    return text if " " in text else text.replace("+", " ")


def _agent(text: str) -> str:
    """IIS writes `+` for a space; others percent-encode."""
    if "%20" in text:
        return AGENTS[text]
    return _plus_for_space(text)


_AGENTS = Remembered(_agent, longest=1024)


class _Parser:
    """Keeps the columns that the last `#Fields` line named, and the date of the last `#Date`."""

    def __init__(self, head: Sequence[str], options: FormatOptions) -> None:
        self._clients, self._fields = clients(options.trusted_proxies), options.fields
        self._reader: ColumnReader | None = None
        self._names = 0
        self._date = ""
        for line in head:
            self._read_head(line)

    def __call__(self, line: str) -> tuple[Any, ...] | None:
        if line.startswith("#"):
            self._read_head(line)
            return None
        columns = self._columns(line)
        if not columns:
            raise BadLine("bad_columns", "a blank line")
        if self._reader is None:
            raise BadLine("bad_columns", "no #Fields line before it says what its columns are")
        if len(columns) != self._names:
            raise BadLine("bad_columns", f"{len(columns)} columns, not {self._names}")
        return self._reader.hit(columns)

    def _columns(self, line: str) -> list[str]:
        if "\t" in line:
            columns = [_unquoted(text.strip(" ")) for text in line.split("\t")]
            if len(columns) == self._names:
                return columns
        if '"' in line:
            return [_unquoted(text) for text in _TOKENS.findall(line)]
        columns = line.replace("\t", " ").split(" ")
        return [text for text in columns if text] if "" in columns else columns

    def _read_head(self, line: str) -> None:
        name, _, value = line.partition(":")
        if name.lower() == "#fields":
            names = value.split()[:_WIDEST]
            self._reader, self._names = (
                ColumnReader(names, self._clients, _AGENTS, plain=_plus_for_space, fields=self._fields),
                len(names),
            )
            self._reader.date = self._date
        elif name.lower() == "#date":
            self._date = _date(value.strip()) or self._date
            if self._reader is not None:
                self._reader.date = self._date


def _date(text: str) -> str:
    """`2020-07-31` of a `#Date` directive, or nothing where it is none (the lines' own dates then decide)."""
    for form in _DATES:
        try:
            return datetime.strptime(text[:40], form).strftime("%Y-%m-%d")
        except ValueError:
            continue
    return ""


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    return _Parser(head, options)


FORMAT = Format(
    name="w3c",
    title="W3C extended log file with a #Fields line, as IIS writes it.",
    example=_EXAMPLE,
    make_parser=make_parser,
    head_prefix="#",
)
