"""The log of Squid, and Traffic Server's squid.log: epoch, ms, client, result/status, bytes with headers, method, URL, user, hierarchy, type.

With `log_mime_hdrs on` the headers stand in two brackets behind: then the agent and the Content-Range are read, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from app.domain.extras import duration_s, extras_reader
from app.domain.formats.base import Format, FormatOptions, LineParser
from app.domain.formats.clients import clients
from app.domain.formats.endings import ending_flags
from app.domain.formats.prefixes import behind_prefix
from app.domain.formats.times import epoch_time
from app.domain.formats.values import (
    ENCODINGS,
    STATUSES,
    content_range,
    content_type_flags,
    headers_counted,
    joined_request,
    matched,
)
from app.domain.proof import is_page_instead
from app.domain.records import HitFlag

__all__ = ["FORMAT"]

_PLACELESS = int(HitFlag.PLACELESS)

_EXAMPLE = """\
1596213967.123    290 203.0.113.9 TCP_MISS/206 732 GET http://example.com/films/1.mp4 - HIER_DIRECT/192.0.2.1 video/mp4
1596213969.310     12 203.0.113.9 TCP_MISS_ABORTED/206 731 GET http://example.com/films/1.mp4 - HIER_DIRECT/192.0.2.1 video/mp4"""
_LINE = re.compile(
    r"([0-9]{9,10}\.[0-9]{1,6}) +(-?[0-9]{1,12}) +(\S+) +((?:TCP|UDP|NONE|TAG_NONE|ERR_)[A-Z_]*)/([0-9]{3}|-) +([0-9]{1,19}|-) +(\S+) +(\S+) +\S+ +\S+ +(\S+)(?: +(.*))?",
    re.DOTALL,
)
_AGENT = re.compile(r"(?:\[|%0[aA]|\\n|\n)User-Agent: ?(.*?)(?:%0[dD]|\\r|\r|\\n|\n|\]|\Z)", re.IGNORECASE | re.DOTALL)
_ENCODING = re.compile(r"Content-Encoding:(?: |%20)*([A-Za-z][\w-]*)", re.IGNORECASE)
_RANGE = re.compile(r"Content-Range:(?: |%20)*(bytes[ %20]+[0-9]+-[0-9]+/[0-9*]+)", re.IGNORECASE)


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    its_clients = clients(options.trusted_proxies)
    extras_of = extras_reader(options.fields)

    def parse(line: str) -> tuple[Any, ...]:
        found = matched(_LINE, line, "Squid's log").groups()
        when, duration, client, result, status, sent, method_text, url, kind, more = found
        time = epoch_time(when)
        ip_address = its_clients.of[client]
        request, method = joined_request(method_text, url)
        code = STATUSES["000" if status == "-" else status]
        bytes_sent, flags = headers_counted(sent)
        flags |= (ending_flags(result, False, False) or 0) | content_type_flags(kind)
        extras = extras_of(cache_result=result, content_type=kind, duration_s=duration_s(duration, 1000))
        lo = hi = total = None
        user_agent = "-"
        if more:
            # a bracket inside of one is encoded: what a client sent is none of the response's
            asked, _, answered = more.rpartition("] [")
            if agent := _AGENT.search(asked or more):
                user_agent = unquote(agent[1], errors="backslashreplace")
            if ranged := _RANGE.search(answered):
                lo, hi, total = content_range(ranged[1].replace("%20", " "))
            if encoding := _ENCODING.search(answered):
                flags |= ENCODINGS[encoding[1]]
        if code in (200, 206) and is_page_instead(request, kind):
            flags, lo, hi, total = flags | _PLACELESS, None, None, None
        return time, ip_address, user_agent, request, method, code, lo, hi, bytes_sent, total, flags, extras

    return behind_prefix(parse, options.heads)


FORMAT = Format(
    name="squid",
    title="Squid's own log; bytes count the headers, and the result code says which responses broke off.",
    example=_EXAMPLE,
    make_parser=make_parser,
)
