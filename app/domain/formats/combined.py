"""The common log format and its kin, as Apache and nginx write them.

common           host ident user [time] "request" status bytes
combined         common, then "referer" "agent"; more columns at the end are passed over
vhost_combined   the virtual host, then combined
combined_range   combined, then the response's Content-Range: "bytes 0-499/1234", "bytes 0-499/*" or "-"

Bytes are those of the body (Apache's %b, nginx's $body_bytes_sent). Escapes (`\\"`, `\\\\`, `\\xhh`) are kept as written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.combined_damaged import Shape, read_damaged
from app.domain.formats.times import CLF_MINUTES, CLF_SECONDS
from app.domain.formats.values import REQUESTS, STATUSES, content_range, number

__all__ = ["COMBINED", "COMBINED_RANGE", "COMMON", "VHOST_COMBINED"]

_QUOTED = r'[^"\\]*(?:\\.[^"\\]*)*'
# a user may hold spaces, but `- frank` after two columns is ident and user behind a virtual host
_HOST = r"(\S+) \S+ (?!- [^\[])[^\[]+"
_REST = rf' \[([^\]]{{17}})([^\]]*)\] "({_QUOTED})" ([0-9]{{3}}) ([0-9]+|-)'
_AGENT = rf' "{_QUOTED}" "({_QUOTED})"'
_MORE = rf'(?: (?:"{_QUOTED}"|[^" ]+))*'


def _pattern(text: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(text, re.DOTALL).fullmatch


_match_common = _pattern(_HOST + _REST)
_match_combined = _pattern(_HOST + _REST + _AGENT + _MORE)
_match_vhost = _pattern(r"\S+ " + _HOST + _REST + _AGENT + _MORE)
_match_range = _pattern(_HOST + _REST + _AGENT + rf' "({_QUOTED})"')


def _bytes(text: str) -> int | None:
    return None if text == "-" else number(text, "bytes")


def _parse_common(line: str) -> tuple:
    found = _match_common(line)
    if found is None:
        return _hit_of_damaged(line, Shape.COMMON)
    ip_address, minute, second, request_text, status, sent = found.groups()
    time = CLF_MINUTES[minute] + CLF_SECONDS[second]
    request, method = REQUESTS[request_text]
    return time, ip_address, "-", request, method, STATUSES[status], None, None, _bytes(sent), None, 0


def _parse_combined(match: Callable[[str], re.Match[str] | None], shape: Shape, line: str) -> tuple:
    found = match(line)
    if found is None:
        return _hit_of_damaged(line, shape)
    ip_address, minute, second, request_text, status, sent, user_agent = found.groups()
    time = CLF_MINUTES[minute] + CLF_SECONDS[second]
    request, method = REQUESTS[request_text]
    bytes_sent = int(sent) if sent != "-" and len(sent) < 1000 else _bytes(sent)
    return time, ip_address, user_agent, request, method, STATUSES[status], None, None, bytes_sent, None, 0


def _parse_range(line: str) -> tuple:
    found = _match_range(line)
    if found is None:
        return _hit_of_damaged(line, Shape.RANGE)
    ip_address, minute, second, request_text, status, sent, user_agent, range_text = found.groups()
    time = CLF_MINUTES[minute] + CLF_SECONDS[second]
    request, method = REQUESTS[request_text]
    code = STATUSES[status]
    lo, hi, total = content_range(range_text)
    return time, ip_address, user_agent, request, method, code, lo, hi, _bytes_of_range(sent, lo), total, 0


def _bytes_of_range(text: str, lo: int | None) -> int | None:
    """`-` is how CLF writes that no byte was sent: beside an announced range it must not pass for all of them."""
    return 0 if text == "-" and lo is not None else _bytes(text)


def _hit_of_damaged(line: str, shape: Shape) -> tuple:
    """The hit of a line that the strict pattern refuses; raises BadLine where it can not be read either way."""
    parts = read_damaged(line, shape)
    time = CLF_MINUTES[parts.time[:17]] + CLF_SECONDS[parts.time[17:]]
    request, method = REQUESTS[parts.request]
    code = STATUSES[parts.status]
    lo, hi, total = content_range(parts.content_range)
    if parts.sent != "-" and not (parts.sent.isascii() and parts.sent.isdigit()):
        raise BadLine("bad_columns", f"bytes is no number: {parts.sent[:60]!r}")
    return (
        time,
        parts.ip_address,
        parts.user_agent,
        request,
        method,
        code,
        lo,
        hi,
        _bytes_of_range(parts.sent, lo),
        total,
        0,
    )


def _always(parser: LineParser) -> Callable[[Sequence[str], FormatOptions], LineParser]:
    return lambda head, options: parser


_LINE = '203.0.113.9 - - [31/Jul/2020:16:46:07 +0000] "GET /films/1.mp4 HTTP/1.1" 206 290'
_OTHER = '2001:db8::7 - ann [31/Jul/2020:22:16:09 +0530] "GET /films/1.mp4 HTTP/2.0" 206 289'
_AGENTS = '"https://example.com/" "Mozilla/5.0 (X11; rv:78.0) Firefox/78.0"'

COMMON = Format(
    name="common",
    title='Common log format: host ident user [time] "request" status bytes; the agent is not in it and counts as -.',
    example=f"{_LINE}\n{_OTHER}",
    make_parser=_always(_parse_common),
)
COMBINED = Format(
    name="combined",
    title='Combined log format: common, then "referer" "agent" (the default of nginx).',
    example=f"{_LINE} {_AGENTS}\n{_OTHER} {_AGENTS}",
    make_parser=_always(partial(_parse_combined, _match_combined, Shape.COMBINED)),
)
VHOST_COMBINED = Format(
    name="vhost_combined",
    title="The virtual host with its port, then combined.",
    example=f"example.com:443 {_LINE} {_AGENTS}\nexample.com:80 {_OTHER} {_AGENTS}",
    make_parser=_always(partial(_parse_combined, _match_vhost, Shape.VHOST)),
)
COMBINED_RANGE = Format(
    name="combined_range",
    title='Combined, then the response\'s Content-Range in quotes: "bytes 0-499/1234", "bytes 0-499/*" or "-".',
    example=f'{_LINE} {_AGENTS} "bytes 0-289/579"\n{_OTHER} {_AGENTS} "bytes 290-578/*"',
    make_parser=_always(_parse_range),
)
