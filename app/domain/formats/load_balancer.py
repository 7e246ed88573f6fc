"""Access logs of Amazon's load balancers: Application Load Balancer, and the classic one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from app.domain.extras import duration_s, extras_reader
from app.domain.formats.base import Format, FormatOptions, LineParser
from app.domain.formats.clients import clients, without_port
from app.domain.formats.prefixes import behind_prefix
from app.domain.formats.times import iso_time
from app.domain.formats.values import REQUESTS, STATUSES, headers_counted, matched, protocol_flags
from app.domain.records import HitFlag

__all__ = ["FORMAT"]

_REST = (
    'ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/films/73e2d6bc24d8a067 "Root=1-58"'
    ' "films.example.com" "-" 0 2020-07-31T16:46:07.000000Z "forward" "-" "-" "192.0.2.1:80" "206" "-" "-"'
)
_LINE_OF = (
    "h2 2020-07-31T16:46:{second}Z app/films/50dc6c495c0c9188 203.0.113.9:2817 192.0.2.1:80 0.000 0.001 0.000 206 206 34 {sent}"
    ' "GET https://films.example.com:443/films/1.mp4 HTTP/2.0" "curl/8.5.0" {rest}'
)
_EXAMPLE = "\n".join(
    _LINE_OF.format(second=second, sent=sent, rest=_REST) for second, sent in (("07.186641", 732), ("09.310022", 731))
)
_LINE = re.compile(
    r"(?:(http|https|h2|grpcs|ws|wss) ++)?([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}Z?) ++\S++ ++(\S++) ++\S++ ++([0-9.-]++) ++([0-9.-]++) ++([0-9.-]++) ++"
    r"([0-9]{3}|-) ++(?:[0-9]{3}|-) ++(?:[0-9]++|-) ++([0-9]{1,19}|-) ++\"((?:[^\"\\]|\\.)*+)\"(?: ++\"((?:[^\"\\]|\\.)*+)\"(?:(?: ++\S++){3} ++\"[^\"]*+\" ++\"([^\"]*+)\")?)?(?: .*)?",
    re.DOTALL,
)
_ABORTED = int(HitFlag.ABORTED)
_CLIENT_WENT = 460


def _sum(texts: list[str]) -> str | None:
    """Of the three parts of a duration; None if one of them is -1: nobody answered."""
    parts = [duration_s(text) for text in texts]
    return None if None in parts else f"{sum(map(float, filter(None, parts))):.6f}".rstrip("0").rstrip(".")


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    its_clients = clients(options.trusted_proxies)
    extras_of = extras_reader(options.fields)

    def parse(line: str) -> tuple[Any, ...]:
        found = matched(_LINE, line, "a load balancer's log").groups()
        kind, when, client, *durations, status, sent, request_text, user_agent, host = found
        time = iso_time(when)
        ip_address = its_clients.of[without_port(client)]
        request, method, flags = REQUESTS[request_text.strip()]
        code = STATUSES["000" if status == "-" else status]
        bytes_sent, counted = headers_counted(sent)
        flags |= counted | protocol_flags(kind or "") | (_ABORTED if code == _CLIENT_WENT else 0)
        extras = extras_of(duration_s=_sum(durations), virtual_host=host)
        return time, ip_address, user_agent or "-", request, method, code, None, None, bytes_sent, None, flags, extras

    return behind_prefix(parse, options.heads)


FORMAT = Format(
    name="alb",
    title="Access log of Amazon's Application Load Balancer, or of the classic one; bytes count the headers.",
    example=_EXAMPLE,
    make_parser=make_parser,
)
