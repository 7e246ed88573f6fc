"""Tab-separated, seven columns by position: date, time, ip_address, user_agent, request, status, byte_range."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from app.domain.extras import NO_EXTRAS
from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.clients import clients
from app.domain.formats.prefixes import MOST_HEADS, read_behind
from app.domain.formats.times import ISO_MINUTES, ISO_SECONDS
from app.domain.formats.values import REQUESTS, STATUSES, byte_range

__all__ = ["FORMAT"]

_EXAMPLE = """\
date\ttime\tip_address\tuser_agent\trequest\tstatus\tbyte_range
2020-07-31\t2020-07-31 16:46:07\t63.110.194.22\tMozilla/5.0 (X11; rv:78.0) Firefox/78.0\tGET /films/1.mp4 HTTP/1.1\t206\t0-289
2020-07-31\t2020-07-31 16:46:09\t63.110.194.22\tMozilla/5.0 (X11; rv:78.0) Firefox/78.0\tGET /films/1.mp4 HTTP/1.1\t206\t290-578
2020-07-31\t2020-07-31 16:46:12\t2001:db8::7\tcurl/8.5.0\t/films/2.mp4\t200\t-"""
_DATE_AND_TIME = 19
"""Characters of `2020-07-31 16:46:07`; a time alone is shorter, even with nanoseconds."""


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    """The columns are read by position, whatever the header's words are."""
    client_of = clients(options.trusted_proxies).of

    def parse(line: str, heads: int = MOST_HEADS) -> tuple[Any, ...] | None:
        """The hot path: everything that repeats is a look-up. `heads`: so many of what loggers write may stand before the line."""
        try:
            try:
                date, time, ip_address, user_agent, request, status, range_text = line.split("\t")
            except ValueError:
                raise BadLine("bad_columns", f"{line.count(chr(9)) + 1 if line else 0} columns, not 7") from None
            if len(time) < _DATE_AND_TIME:
                time = f"{date} {time}"
            seconds = ISO_MINUTES[time[:16]] + ISO_SECONDS[time[16:]]
            first, _, last = range_text.partition("-")
            lo: int | None
            hi: int | None
            if first.isdigit() and last.isdigit() and len(range_text) < 1000 and range_text.isascii():
                lo = int(first)
                hi = int(last)
                if hi < lo:
                    byte_range(range_text)
            else:
                lo, hi = byte_range(range_text)
            code = STATUSES[status]
            text, method, flags = REQUESTS[request]
            return seconds, client_of[ip_address], user_agent, text, method, code, lo, hi, None, None, flags, NO_EXTRAS
        except BadLine as bad:
            if not heads:
                raise
            return read_behind(bare, line, bad, options.heads)

    bare = partial(parse, heads=0)
    return parse


FORMAT = Format(
    name="weblog_tsv",
    title="Tab-separated: date, time (UTC), ip_address, user_agent, request, status, byte_range lo-hi.",
    example=_EXAMPLE,
    make_parser=make_parser,
    header_row=True,
)
