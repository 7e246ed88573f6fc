"""`name=value` pairs between blanks, as many servers and libraries of Go write their requests: names as those of `json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.json_lines import RecordParser
from app.domain.formats.prefixes import behind_prefix
from app.domain.formats.values import shown
from app.domain.formats.wrapped import pairs_of

__all__ = ["FORMAT"]

_FEWEST = 4
_EXAMPLE = "\n".join(
    f'time=2020-07-31T16:46:{second}Z level=info msg="request served" method=GET path=/films/1.mp4 status=206 size={size} '
    f'remote_addr=203.0.113.9:51234 user_agent="curl/8.5.0" content_range="bytes {span}/579"'
    for second, size, span in (("07", 290, "0-289"), ("09", 289, "290-578"))
)


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    """Raises ValueError where the field map is wrong."""
    hit = RecordParser(options).hit

    def parse(line: str) -> tuple[Any, ...]:
        pairs = pairs_of(line)
        if pairs is None or len(pairs) < _FEWEST:
            raise BadLine("bad_columns", f"not name=value between blanks: {shown(line)}")
        return hit(pairs, line)

    return behind_prefix(parse, options.heads)


FORMAT = Format(
    name="logfmt",
    title="name=value between blanks (logfmt), in any order; the names are those of json.",
    example=_EXAMPLE,
    make_parser=make_parser,
)
