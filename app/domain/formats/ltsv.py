"""Labelled tab-separated values (ltsv.org): `label:value`, one record a line. Servers are told to write it by their own formats."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.json_lines import RecordParser
from app.domain.formats.prefixes import behind_prefix
from app.domain.formats.values import shown

__all__ = ["FORMAT"]

_FEWEST, _MOST = 4, 200
_LABEL = re.compile(r"[\w.-]+:")
_EXAMPLE = "\n".join(
    "\t".join((f"time:[31/Jul/2020:16:46:{rest}", "status:206", "referer:-", "ua:curl/8.5.0"))
    for rest in (
        "07 +0000]\thost:203.0.113.9\treq:GET /films/1.mp4 HTTP/1.1\tsize:290\tcontent_range:bytes 0-289/579",
        "09 +0000]\thost:203.0.113.9\treq:GET /films/1.mp4 HTTP/1.1\tsize:289\tcontent_range:bytes 290-578/579",
    )
)


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    """Raises ValueError where the field map is wrong."""
    hit = RecordParser(options, "ltsv").hit

    def parse(line: str) -> tuple[Any, ...]:
        pairs = line.split("\t", _MOST)
        record: dict[str, Any] = {
            label: value for label, colon, value in (pair.partition(":") for pair in pairs) if colon
        }
        if len(record) < _FEWEST or len(record) < len(pairs) or _LABEL.match(line) is None:
            raise BadLine("bad_columns", f"not label:value between tabs: {shown(line)}")
        return hit(record, line)

    return behind_prefix(parse, options.heads)


FORMAT = Format(
    name="ltsv",
    title="Labelled tab-separated values (ltsv.org): time, host, req, status, size, ua and others, in any order.",
    example=_EXAMPLE,
    make_parser=make_parser,
)
