"""CloudFront standard logs: tab-separated; `#Fields` names the columns, else their number does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.clients import clients
from app.domain.formats.named_columns import ColumnReader
from app.domain.formats.values import AGENTS

__all__ = ["FORMAT"]

FIELDS = [
    "date", "time", "x-edge-location", "sc-bytes", "c-ip", "cs-method", "cs(Host)", "cs-uri-stem", "sc-status",
    "cs(Referer)", "cs(User-Agent)", "cs-uri-query", "cs(Cookie)", "x-edge-result-type", "x-edge-request-id",
    "x-host-header", "cs-protocol", "cs-bytes", "time-taken", "x-forwarded-for", "ssl-protocol", "ssl-cipher",
    "x-edge-response-result-type", "cs-protocol-version", "fle-status", "fle-encrypted-fields", "c-port",
    "time-to-first-byte", "x-edge-detailed-result-type", "sc-content-type", "sc-content-len", "sc-range-start",
    "sc-range-end",
]  # fmt: skip
"""The documented order; older logs have the first 23 or 26 of them."""
_COUNTS = (23, 26, 33)
_WIDEST = 1000
"""Columns that a `#Fields` line may name: more is no log."""

_EXAMPLE = """\
#Version: 1.0
#Fields: {fields}
2020-07-31\t16:46:07\tFRA2\t732\t203.0.113.9\tGET\td1.cloudfront.net\t/films/1.mp4\t206\t-\tcurl/8.5.0\t-\t-\tHit\tr1==\t{rest}\t290\t0\t289
2020-07-31\t16:46:09\tFRA2\t731\t203.0.113.9\tGET\td1.cloudfront.net\t/films/1.mp4\t206\t-\tMozilla/5.0%20(X11)\t-\t-\tHit\tr2==\t{rest}\t289\t290\t578"""
_EXAMPLE_REST = "example.com\thttps\t39\t0.001\t-\tTLSv1.3\tTLS_AES_128_GCM_SHA256\tHit\tHTTP/2.0\t-\t-\t11040\t0.001\tHit\tvideo/mp4"


def columns_of(line: str, names: int) -> list[str]:
    """The tab-separated columns; empty ones behind the last name are dropped, others are bad_columns."""
    columns = line.split("\t")
    if len(columns) > names and not any(columns[names:]):
        del columns[names:]
    if len(columns) != names:
        raise BadLine("bad_columns", f"{len(columns) if line else 0} columns, not {names}")
    return columns


class _Parser:
    """Keeps the columns that the last `#Fields` line named."""

    def __init__(self, head: Sequence[str], options: FormatOptions) -> None:
        self._clients, self._fields = clients(options.trusted_proxies), options.fields
        self._by_count = {count: self._columns(FIELDS[:count]) for count in _COUNTS}
        self._named: ColumnReader | None = None
        self._names = 0
        for line in head:
            self._read_head(line)

    def __call__(self, line: str) -> tuple[Any, ...] | None:
        if line.startswith("#"):
            self._read_head(line)
            return None
        if self._named is not None:
            return self._named.hit(columns_of(line, self._names))
        columns = line.split("\t")
        if len(columns) - 1 in self._by_count and columns[-1] == "":
            columns.pop()
        reader = self._by_count.get(len(columns))
        if reader is None:
            raise BadLine(
                "bad_columns",
                f"{len(columns) if line else 0} columns and no #Fields line; 23, 26 or 33 are known without one",
            )
        return reader.hit(columns)

    def _columns(self, names: Sequence[str]) -> ColumnReader:
        return ColumnReader(names, self._clients, AGENTS, fields=self._fields)

    def _read_head(self, line: str) -> None:
        if line.lower().startswith("#fields:"):
            names = line[len("#fields:") :].split()[:_WIDEST]
            self._named, self._names = self._columns(names), len(names)


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    return _Parser(head, options)


FORMAT = Format(
    name="cloudfront",
    title="Amazon CloudFront standard log, with #Fields or with 23, 26 or 33 tab-separated columns.",
    example=_EXAMPLE.format(fields=" ".join(FIELDS), rest=_EXAMPLE_REST),
    make_parser=make_parser,
    head_prefix="#",
)
