"""HAProxy's default HTTP log (`option httplog`): client, [accept date], proxies, timers, status, bytes, …, state, …, "request".

`option httpslog` writes the state of TLS behind it.

Captured headers stand in braces, those of the request before those of the response: one that is a Content-Range is the range, one
that is written as a product is the agent. Where both are captured, the range is one of the response's: a client writes the others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from app.domain.extras import duration_s, extras_reader
from app.domain.formats.base import Format, FormatOptions, LineParser
from app.domain.formats.clients import clients, without_port
from app.domain.formats.endings import termination_flags
from app.domain.formats.prefixes import behind_prefix
from app.domain.formats.times import CLF_MINUTES, CLF_SECONDS
from app.domain.formats.values import REQUESTS, STATUSES, content_range, headers_counted, is_early, matched
from app.domain.records import HitFlag

__all__ = ["FORMAT"]

_STATE = "1/1/0/0/0 0/0"
_EXAMPLE = f"""\
203.0.113.9:33317 [31/Jul/2020:16:46:07.655] https~ films/srv1 10/0/30/69/109 206 732 - - ---- {_STATE} {{curl/8.5.0}} {{bytes 0-289/579}} "GET /films/1.mp4 HTTP/1.1"
203.0.113.9:33318 [31/Jul/2020:16:46:09.310] https~ films/srv1 10/0/30/69/109 206 731 - - CD-- {_STATE} {{curl/8.5.0}} {{bytes 290-578/579}} "GET /films/1.mp4 HTTP/1.1\""""
_LINE = re.compile(
    r"(\S++) ++\[([^\]\[]{17})([^\]\[]{0,24})\] ++\S++ ++\S++ ++(?:[+0-9-]*+/)*+\+?([0-9-]++) ++(-1|[0-9]{3}) ++(\+?[0-9]{1,19}) ++\S++ ++\S++ ++(\S{4}) ++[+/0-9-]++ ++[/0-9-]++ ++"
    r"((?:\{[^{}]*+\} *+){0,2})\"(.*?)(?:\"(?: ++[0-9]++/[0-9A-Fa-f]++/[0-9]++/[0-9]++/[01] ++\S*+)?)?",
    re.DOTALL,
)
_ENDED, _ANNOUNCED = int(HitFlag.ENDED), int(HitFlag.ANNOUNCED)
_PRODUCT = re.compile(r"[A-Za-z][\w.+-]*/[0-9][^|{}]*|Mozilla/.*")


def _texts(braces: str) -> list[str]:
    return braces.strip("{} ").split("|")


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    its_clients = clients(options.trusted_proxies)
    extras_of = extras_reader(options.fields)

    def parse(line: str) -> tuple[Any, ...]:
        found = matched(_LINE, line, "HAProxy's HTTP log").groups()
        client, minute, second, duration, status, sent, state, captured, request_text = found
        # the date has no zone unless one was asked for
        time = CLF_MINUTES[minute] + CLF_SECONDS[second if " " in second else f"{second} +0000"]
        ip_address = its_clients.of[without_port(client)]
        request, method, flags = REQUESTS[request_text]
        code = STATUSES["000" if status == "-1" else status]
        flags |= termination_flags(state)
        if is_early(sent):
            bytes_sent, flags = None, flags & ~_ENDED | _ANNOUNCED
        else:
            bytes_sent, counted = headers_counted(sent)
            flags |= counted
        extras = extras_of(duration_s=duration_s(duration, 1000))
        user_agent, lo, hi, total = "-", None, None, None
        asked, parted, answered = captured.partition("} {")
        for text in _texts(answered if parted else asked):
            if text[:5].lower() == "bytes":
                lo, hi, total = content_range(text)
        user_agent = next(filter(_PRODUCT.fullmatch, _texts(asked)), "-")
        return time, ip_address, user_agent, request, method, code, lo, hi, bytes_sent, total, flags, extras

    return behind_prefix(parse, options.heads)


FORMAT = Format(
    name="haproxy",
    title="HAProxy's default HTTP log; captured headers are the agent and the Content-Range, the state says how a response ended.",
    example=_EXAMPLE,
    make_parser=make_parser,
)
