"""Lines of Heroku's router, as `heroku logs` prints them and as a log drain gets them.

There are no ranges, no sizes and no agents, and its bytes are what the dyno sent: it proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from app.domain.extras import duration_s, extras_reader
from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.clients import clients
from app.domain.formats.prefixes import behind_prefix
from app.domain.formats.times import iso_time
from app.domain.formats.values import PROTOCOLS, STATUSES, count, joined_request, matched
from app.domain.records import HitFlag

__all__ = ["FORMAT"]

_PAIRS = 'method=GET path="/films/1.mp4" host=films.herokuapp.com request_id=8601b555 fwd="203.0.113.9" dyno=web.1 connect=1ms service=18ms'
_EXAMPLE = (
    f"2020-07-31T16:46:07.123456+00:00 heroku[router]: at=info {_PAIRS} status=200 bytes=879 protocol=https\n"
    f'312 <158>1 2020-07-31T16:46:09.310022+00:00 host heroku router - at=error code=H27 desc="Client Request Interrupted" {_PAIRS} status=499 bytes=0 protocol=https'
)
_LINE = re.compile(
    r"(?:[0-9]{1,5} )?(?:<[0-9]{1,3}>)?(?:1 )?([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{8,18}(?:Z|[+-][0-9:]{4,6})?) "
    r"(?:heroku\[router\]:|\S+ heroku router - ) ?(?=at=)(.*)",
    re.DOTALL,
)
_PAIR = re.compile(r'([a-z_]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))(?: |\Z)')


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    its_clients, extras_of = clients(options.trusted_proxies), extras_reader(options.fields)

    def parse(line: str) -> tuple[Any, ...]:
        when, rest = matched(_LINE, line, "Heroku's router").groups()
        said = {name: quoted or plain or "" for name, quoted, plain in _PAIR.findall(rest)}
        if "path" not in said or "status" not in said:
            raise BadLine("bad_columns", "a line of Heroku's router without path or status")
        request, method = joined_request(said.get("method", "-"), said["path"])
        sent = count(said.get("bytes", "-"), "bytes")
        flags = int(HitFlag.ANNOUNCED) | PROTOCOLS[said.get("protocol", "")]
        taken = duration_s(said.get("service", "").removesuffix("ms"), 1000)
        extras = extras_of(duration_s=taken, virtual_host=said.get("host"))
        code, client = STATUSES[said["status"] or "000"], its_clients.of[said.get("fwd", "-")]
        return iso_time(when), client, "-", request, method, code, None, None, sent, None, flags, extras

    return behind_prefix(parse, options.heads)


FORMAT = Format(
    name="heroku",
    title="Heroku's router: it proves no download, for it has no ranges, no sizes and no agents.",
    example=_EXAMPLE,
    make_parser=make_parser,
)
