"""Azure Storage's classic log (Storage Analytics, `$logs`): columns between semicolons, versions 1.0 and 2.0."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from typing import Any

from app.domain.formats.base import Format, FormatOptions, LineParser
from app.domain.formats.clients import without_port
from app.domain.formats.json_lines import RecordParser
from app.domain.formats.prefixes import behind_prefix
from app.domain.formats.values import not_as

__all__ = ["FORMAT"]

_LINE_OF = (
    '1.0;2020-07-31T16:46:{second}Z;GetBlob;{status};206;18;10;authenticated;films;films;blob;"https://films.blob.core.windows.net:443/films/1.mp4";'
    '"/films/films/1.mp4";252b8fd3-501e-0017-6f01-d3b4b0000000;0;203.0.113.9:50741;2019-12-12;252;0;312;{sent};0;;;"&quot;0x8CB171BA9E94B0B&quot;";'
    'Thursday, 30-Jul-20 00:00:00 GMT;;"curl/8.5.0";;"abc"'
)
_EXAMPLE = "\n".join(
    _LINE_OF.format(second=second, status=status, sent=sent)
    for second, status, sent in (("07.1866410", "Success", 290), ("09.3100220", "NetworkError", 120))
)
_VERSION = re.compile(r"[12]\.0;")
_COLUMN = re.compile(r';("(?:[^"]|"")*"|[^;"]*)(?=;|\Z)')
_COLUMNS = 29
"""Without the version, in 1.0; 2.0 has more behind them."""


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    hit = RecordParser(options, "azure-storage").hit

    def parse(line: str) -> tuple[Any, ...]:
        found = [text.strip('"') for text in _COLUMN.findall(line)] if _VERSION.match(line) else []
        if len(found) < _COLUMNS:
            raise not_as("Azure Storage's log with 30 columns or more between semicolons", line)
        record = {
            "time": found[0],
            "operationName": found[1],
            "statusText": found[2],
            "statusCode": found[3],
            "durationMs": found[4],
            "uri": unescape(found[10]),
            "callerIpAddress": without_port(found[14]),
            "properties": {
                "responseBodySize": found[19] or "-",
                "userAgentHeader": unescape(found[26]) or "-",
                "referrerHeader": unescape(found[27]),
            },
        }
        return hit(record, line)

    return behind_prefix(parse, options.heads)


FORMAT = Format(
    name="azure_storage",
    title="Azure Storage's classic log ($logs): columns between semicolons; the status says which responses broke off.",
    example=_EXAMPLE,
    make_parser=make_parser,
)
