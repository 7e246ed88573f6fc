"""Amazon S3 server access logs: space-separated in a fixed order, more columns may follow."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from app.domain.extras import NO_EXTRAS, duration_s, extras_reader
from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.clients import clients
from app.domain.formats.prefixes import behind_prefix
from app.domain.formats.times import CLF_MINUTES, CLF_SECONDS
from app.domain.formats.values import REQUESTS, STATUSES, count, not_as, shown

__all__ = ["FORMAT"]

_OWNER = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
_EXAMPLE = f"""\
{_OWNER} films [31/Jul/2020:16:46:07 +0000] 203.0.113.9 - 3E57427F3EXAMPLE REST.GET.OBJECT 1.mp4 "GET /films/1.mp4 HTTP/1.1" 206 - 290 579 7 6 "-" "curl/8.5.0" -
{_OWNER} films [31/Jul/2020:16:46:09 +0000] 203.0.113.9 - 891CE47D2EXAMPLE REST.GET.OBJECT 1.mp4 "GET /films/1.mp4 HTTP/1.1" 206 - 289 579 9 8 "-" "curl/8.5.0" - s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuN= - - - films.s3.amazonaws.com TLSv1.2"""

# owner bucket [time] ip requester request-id operation key "uri" status error sent size total-ms turn-around-ms, referer and agent behind
_UNTIL_REQUEST = re.compile(r'\S++ ++\S++ ++\[([^\]\[]{0,64})\] ++(\S++) ++\S++ ++\S++ ++\S++ ++\S++ ++(?=["-])')
# S3 does not escape quotes: the request ends where a status and the columns behind it follow
_UNTIL_REFERER = re.compile(r'(?:"|(?<=-)) ++(\S++) ++\S++ ++(\S++) ++(\S++) ++(\S++) ++\S++ ++(?=["-])')
_PLAIN = re.compile(
    r'\S++ \S++ \[([^\]\[]{0,64})\] (\S++) \S++ \S++ \S++ \S++ "([^"]*+)" ([0-9]{3}) \S++ (\S++) (\S++) (\S++) \S++ (?=["-])'
)
"""Nearly all lines: one blank between the columns, no quote in the request."""
_NO_TIME = re.compile(r'\S+ \S+ \S+ \S+ \S+ [A-Z0-9]+\.\S+ \S+ (?:"[^"]*"|-) [0-9]{3} ')
_HOST = 5
_AGENT = re.compile(r'(?:"[^"]*"|-) (?:"([^"]*)"|(-)(?= |\Z))(?= |\Z)')


def _agent_of(rest: str) -> str:
    """The agent behind the referer; S3 does not escape quotes, so it may reach to the last one of the line."""
    found = _AGENT.match(rest)
    if found and rest.count('"', found.end()) == 0:
        return found[2] or found[1]
    referer_end = rest.find('" "') + 2 if rest.startswith('"') else 2 if rest.startswith('- "') else 1
    last = rest.rfind('"')
    if referer_end < 2 or last <= referer_end:
        raise BadLine("bad_columns", f"no quoted referer and agent: {shown(rest)}")
    return rest[referer_end + 1 : last]


def _split(line: str) -> tuple[str, ...]:
    """Time, address, request, status, bytes sent, size, milliseconds, and what stands behind them."""
    plain = _PLAIN.match(line)
    if plain is not None:
        return *plain.groups(), line[plain.end() :]
    found = _UNTIL_REQUEST.match(line)
    if found is not None:
        start = found.end()
        if line[start] == "-":
            behind = _UNTIL_REFERER.match(line, start + 1)
            if behind is not None:
                return found[1], found[2], "-", *behind.groups(), line[behind.end() :]
        best = None
        for behind in _UNTIL_REFERER.finditer(line, start + 1):
            best = best or behind
            if behind[1].isdigit() and len(behind[1]) == 3:
                best = behind
                break
        if best is not None and line[best.start()] == '"':
            return found[1], found[2], line[start + 1 : best.start()], *best.groups(), line[best.end() :]
    if _NO_TIME.match(line):
        raise BadLine("bad_time", f"no time in brackets behind the bucket: {shown(line)}")
    raise not_as("the columns of an S3 access log", line)


def _extras(of: Callable[..., dict[str, str]], rest: str, user_agent: str, duration: str) -> dict[str, str]:
    """The optional fields: the referer stands before the agent, the host is the sixth column behind it."""
    at = rest.rfind(user_agent)
    behind = rest[at + len(user_agent) :].removeprefix('"').split()
    referer = rest[: max(at - 1, 0)].strip().strip('"')
    host = behind[_HOST] if len(behind) > _HOST else None
    return of(duration_s=duration_s(duration, 1000), referer=referer, virtual_host=host)


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    its_clients = clients(options.trusted_proxies)
    extras_of = extras_reader(options.fields) if options.fields else None

    def parse(line: str) -> tuple[Any, ...]:
        when, client, request_text, status, sent, size, duration, rest = _split(line)
        user_agent = _agent_of(rest)
        time = CLF_MINUTES[when[:17]] + CLF_SECONDS[when[17:]]
        ip_address = its_clients.of[client]
        request, method, flags = REQUESTS[request_text]
        code = STATUSES[status]
        bytes_sent, object_size = count(sent, "bytes sent"), count(size, "object size")
        if bytes_sent is None and method == "GET" and code in (200, 206):
            # `-` is how S3 writes that nothing was sent
            bytes_sent = 0
        # it answers one range alone: as many bytes as the object has are the object
        is_whole = code == 206 and bytes_sent is not None and 0 < bytes_sent == object_size
        return (
            time,
            ip_address,
            user_agent,
            request,
            method,
            code,
            0 if is_whole else None,
            (bytes_sent or 0) - 1 if is_whole else None,
            bytes_sent,
            object_size,
            flags,
            NO_EXTRAS if extras_of is None else _extras(extras_of, rest, user_agent, duration),
        )

    return behind_prefix(parse, options.heads)


FORMAT = Format(
    name="s3",
    title="Amazon S3 server access log: bytes sent and object size.",
    example=_EXAMPLE,
    make_parser=make_parser,
)
