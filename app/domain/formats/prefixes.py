"""What loggers write before a line, or around it: syslog, journalctl, docker, Kubernetes. Told line by line.

A line that its format refuses is tried again behind what stands before it, so that a line without anything costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from app.domain.formats.base import BadLine
from app.domain.formats.remembered import Remembered
from app.domain.formats.times import clf_of_rfc_1123
from app.domain.formats.unknown_heads import ANY, believes
from app.domain.formats.values import shown
from app.domain.formats.wrapped import unwrapped, unwrapped_column, unwrapped_pair

__all__ = ["MOST_HEADS", "behind_prefix", "read_behind", "unknown_head", "without_prefix"]

MOST_HEADS = 4
"""So many may stand one before the other, as where docker's output goes through syslog."""
_PRIORITY = r"(?:<[0-9]{1,3}>)?"
_ISO = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?(?: ?(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?"
_BSD = r"(?:[0-9]{4} )?(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 0-3]?[0-9](?: [0-9]{4})? [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?: [0-9]{4})?"
_FULL = rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_ISO}(?: [A-Z]{{1,5}})?"
_SINCE_BOOT = r"\[ *[0-9]{1,12}\.[0-9]{1,9}\]"
_UNIX = r"[0-9]{9,11}\.[0-9]{3,9}"
_TAG = r"[^\s:\[\]\"{}]{1,64}(?:\[[^\]\s\"]{0,32}\])?:(?=[ {])"
_STRUCTURED = r"(?:-|(?:\[[^\s\]\"]+(?: [^\s=\]\"]+=\"(?:[^\"\\\]]|\\.)*\")*\])+)"
_LEVEL = r"(?:[a-z]{3,8}[0-7]?\.[a-z]{3,7} )?"
"""Facility and severity, as busybox writes them."""
_COLOUR = r"(?:\x1b\[[0-9;]*m)*"
_POD = r"[a-z0-9][a-z0-9.-]{0,240}-(?:[a-z0-9]{5}|[0-9]{1,4})"
"""A name that a deployment, a daemon set or a stateful set gave."""
_CONTAINER = r"[a-z0-9][a-z0-9-]{0,62}"

_PREFIXES = [
    # RFC 5424
    re.compile(rf"(?:[0-9]{{1,5}} )?(?:<[0-9]{{1,3}}>)?1 (?:-|{_ISO}) \S+ \S+ \S+ \S+ {_STRUCTURED} (?:\ufeff)?"),
    # RFC 3164 as written to a file or sent, and journalctl in its forms; nginx can leave the host out
    re.compile(
        rf"{_PRIORITY}(?:{_BSD}|{_ISO}|{_FULL}|{_SINCE_BOOT}|{_UNIX}) (?:[^\s:\[\]\"]{{1,255}} |(?:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+ ))?{_LEVEL}{_TAG} ?"
    ),
    # JSON in syslog, as rsyslog and syslog-ng mark it
    re.compile(r"@cee: ?(?=\{)"),
    # Cloud Foundry
    re.compile(rf" *{_ISO} \[[A-Z]{{2,8}}(?:/[\w.-]{{1,64}}){{0,8}}\] (?:OUT|ERR) "),
    # Fly.io; awslogs: group, stream, time
    re.compile(rf"{_ISO} [\w-]{{1,64}}\[\w{{1,64}}\] [a-z]{{3}} ?\[[a-z]{{3,8}}\] ?"),
    re.compile(rf"(?=\S*/|\S* \S*/)[\w./#-]{{1,512}} [\w./\[\]$#:-]{{1,512}} {_ISO} (?=\S)"),
    # CRI: time, stream, whether the line is whole
    re.compile(rf"{_ISO} (?:stdout|stderr) [FP](?::\S+)? "),
    # docker compose and service, kubectl logs --prefix, kubetail, stern
    re.compile(rf"{_COLOUR}[A-Za-z0-9][\w.@-]{{0,127}} *\| ?{_COLOUR} ?"),
    re.compile(rf"\[(?:pod/[^\]\s]{{1,255}}|{_POD}(?: {_CONTAINER})?)\] "),
    re.compile(rf"(?:{_CONTAINER} )?{_POD} {_CONTAINER} (?=\S)"),
    # Loki's logcli: time, labels
    re.compile(rf"{_ISO}[ \t]\{{(?:\w+=\"(?:[^\"\\]|\\.)*\"(?:, )?)*\}}[ \t]"),
    # CloudWatch: `aws logs tail`, and filter-log-events as text; Papertrail's archive
    re.compile(rf"{_ISO} [\w.-]*/[\w./\[\]$-]* "),
    re.compile(r"EVENTS\t[^\t]{1,99}\t[0-9]{13}\t[^\t]{1,512}\t"),
    re.compile(rf"[0-9]{{1,20}}\t{_ISO}\t{_ISO}\t[0-9]{{1,20}}(?:\t[^\t]{{0,255}}){{5}}\t"),
    # daemontools, s6 and runit: TAI64N
    re.compile(r"@[0-9a-f]{24} "),
    # grep over several files, with line numbers or without; before an IPv6 address a line number would pass for a part of it
    re.compile(
        r"(?:(?:/[\w./-]{1,255}|[\w.-]{0,99}\.(?:log|gz)[\w.-]{0,99}):(?:[0-9]{1,12}:)?|[0-9]{1,12}:)(?=[0-9]{1,3}(?:\.[0-9]{1,3}){3} )"
    ),
    # Python's logging as it is without a format
    re.compile(r"(?:DEBUG|INFO|WARNING):[\w.]{1,99}:"),
    # servers of Python (gunicorn, hypercorn): time, process, level; Ambassador writes one word before Envoy's text
    re.compile(rf"\[{_ISO}\] \[[0-9]{{1,10}}\] \[[A-Z]{{4,8}}\] |ACCESS (?=\[)"),
]
_BARE_TIME = re.compile(rf"{_PRIORITY}(?:{_ISO}|{_BSD}) {{1,2}}(?=[^ ])")
"""docker logs -t and kubectl logs --timestamps; syslog without a tag, whose host is then read as a virtual host."""
_FLUENTD = re.compile(rf"({_ISO})\t\S{{1,255}}\t\{{(?=\s*\")")
"""Fluentd's file: time, tag, record."""
_ADDRESS = r"(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3}|(?=[0-9A-Fa-f:]{0,40}::|(?:[0-9A-Fa-f]{1,4}:){6})[0-9A-Fa-f:.]{2,45})"
_CLF = r"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}[: ][0-9]{2}:[0-9]{2}"
_RFC_1123 = r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} (?:GMT|UTC)"
_QUOTED_BEFORE = re.compile(
    rf'(?=\S+"|\S+ "|\S+ \S+ ")(?:"(?={_ADDRESS}"))?({_ADDRESS})"? "?([^" \[]{{0,255}})"? "?([^"\[]{{0,255}}?)"? (\[(?={_CLF})|{_RFC_1123}|{_ISO})'
)
"""Client, ident and user in quotes or without, then the time: one of them has quotes."""
_QUOTED_HOST = re.compile(
    rf'"([\w.*-]{{1,255}}(?::[0-9]{{1,5}})?)" (?={_ADDRESS} \S{{1,255}} [^"\[]{{1,255}} \[{_CLF})'
)
_ALL_QUOTED = re.compile(
    rf'"({_ADDRESS})" "([^"]{{0,255}})" "([^"]{{0,255}})" "?(\[{_CLF}[^"\]]{{0,20}}\])"? ("(?:[^"\\]|\\.)*+") "([0-9]{{3}})" "([0-9]{{1,19}}|-)"'
)
"""Gcore and others put each column into quotes."""
_BARE_REQUEST = re.compile(r" ([A-Z]{3,9} [^\s\"]{1,4096}) ([0-9]{3})(?=[ ]|\Z)")
_FIRST_ADDRESS = rf"(?:(?<!:)|(?=[0-9]{{1,3}}\.)){_ADDRESS}"
"""Behind a colon an IPv6 address has no beginning that can be told."""
_START = re.compile(
    rf"""(?:(?<=[\s\])}}|:>,;])|(?<!.))(?:
        \{{\s*"(?:[^"\\]|\\.){{1,100}}"\s*:|                                                  # an object
        {_FIRST_ADDRESS}(?:,\s?{_ADDRESS}){{0,9}}(?::[0-9]{{1,5}})?(?:\ (?!{_ADDRESS}\ )[^\s\["]{{1,255}}|\ "[^\s\["]{{0,255}}"){{1,4}}\ \[{_CLF}|  # the common family
        {_FIRST_ADDRESS}:[0-9]{{1,5}}\ \[{_CLF}|                                                  # HAProxy
        [0-9]{{10}}\.[0-9]{{3}}\ +[0-9]{{1,9}}\ \S{{2,45}}\ [A-Z_]{{3,50}}/[0-9]{{3}}\ |    # Squid
        (?:http|https|h2|wss?|grpcs)\ [0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9:.]{{8,18}}Z\ app/|    # a load balancer of Amazon
        (?:[A-Za-z0-9][\w.-]{{0,252}}(?::[0-9]{{1,5}})?\ -\ )?+\[[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9:.]{{8,18}}Z\]\ "[A-Z]{{3,9}}\                  # Envoy, Cloud Foundry's router
    )""",
    re.VERBOSE | re.DOTALL,
)
"""How lines of access logs begin that can be told by that alone."""
_MARK = re.compile(
    rf"{_ISO}|{_BSD}|{_UNIX}|[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}|[0-9]{{4}}[-/][0-9]{{2}}[-/][0-9]{{2}}|[\])}}|:>]\s*\Z|\t\Z"
)
"""What a logger wrote has a time in it, or ends as loggers do."""
_LOGGED_ADDRESS = re.compile(rf"(?:{_ISO}|{_BSD})[ \t]+{_ADDRESS}[ \t]+(?=\S)")
_ANY_ADDRESS = re.compile(rf"(?<![\w.-]){_ADDRESS}(?![\w-])")
_OBJECT = re.compile(r'\s*\{\s*"')
_FURTHEST = 512
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class _Behind(NamedTuple):
    """A line behind what stands before it."""

    rest: str | None
    """Behind what is known, or None."""
    unknown: str | None = None
    """Behind the head of an unknown logger, or None."""
    head: str = ""
    """That head."""


def without_prefix(line: str, heads: str = ANY) -> str | None:
    """The line behind what a logger wrote before it, or None where nothing stands there. `heads`: as in FormatOptions.

    >>> without_prefix("Dec 23 15:31:15 host1 nginx[12]: 10.0.0.1 - - [")
    '10.0.0.1 - - ['
    >>> without_prefix('{"log":"10.0.0.1 - - [\\\\n","stream":"stdout","time":"2024-07-31T10:00:00Z"}')
    '10.0.0.1 - - ['
    >>> without_prefix("10.0.0.1 - - [") is None
    True
    """
    found = _RESTS[line]
    if found.unknown is None:
        return found.rest
    if believes(heads, found.head):
        return found.unknown
    if found.rest is None:
        raise BadLine(
            "bad_columns",
            f"behind a head that the first lines do not have; WEBLOGS_HEADS=any passes over it: {shown(line)}",
        )
    return found.rest


def unknown_head(line: str) -> str:
    """The head of an unknown logger before a line, perhaps behind what is known; empty where there is none."""
    for _ in range(MOST_HEADS):
        found = _RESTS[line]
        if found.unknown is not None or found.rest is None:
            return found.head
        line = found.rest
    return ""


def _behind(line: str) -> _Behind:
    known = _known(line)
    if known is not None:
        return _Behind(known)
    bare = _BARE_TIME.match(line)
    if bare is None:
        return _behind_any(line) or _Behind(None)
    begun = _START.search(line[: 2 * _FURTHEST], bare.end())
    is_more = begun is not None and len(line[bare.end() : begun.start()].split()) > 1
    # a sender's words before a line that begins by itself are no host of it
    return (_behind_any(line) if is_more else None) or _Behind(line[bare.end() :])


def _known(line: str) -> str | None:
    if line[:1] in "{ [" and (inner := unwrapped(line, is_start)) is not None:
        return inner
    if '="' in line[:_FURTHEST] and (value := unwrapped_pair(line, is_start)) is not None:
        return value
    if '""' in line and (column := unwrapped_column(line, is_start)) is not None:
        return column
    if '"' in line[:100] and (quoted := _QUOTED_BEFORE.match(line)) is not None:
        return _without_quotes(quoted, line)
    if line[:1] == '"' and (host := _QUOTED_HOST.match(line)) is not None:
        return f"{host[1]} {line[host.end() :]}"
    if line[:1] == '"' and (columns := _ALL_QUOTED.match(line)) is not None:
        client, ident, user, *rest = columns.groups()
        return f"{client} {ident or '-'} {user or '-'} {' '.join(rest)}{line[columns.end() :]}"
    if line[:1] == '"' and line[-2:] == '""':
        return line[1:-1]  # OpenLiteSpeed writes quotes around its whole line
    if (record := _FLUENTD.match(line)) is not None:
        # of two keys with one name the later counts: this time is that of a record without one
        return f'{{"time": "{record[1]}", {line[record.end() :]}'
    for prefix in _PREFIXES:
        found = prefix.match(line)
        if found is not None:
            return line[found.end() :]
    return None


_RESTS = Remembered(_behind, limit=256, longest=4096)
"""Detection asks for the same lines once for each format."""


def is_start(text: str) -> bool:
    """Whether a text begins as lines of access logs do.

    >>> is_start('{"status": 200}'), is_start('203.0.113.9 - - [31/Jul/2020:16:46:07 +0000] "GET'), is_start("203.0.113.9 went")
    (True, True, False)
    """
    return _START.match(text) is not None


def _without_quotes(quoted: re.Match[str], line: str) -> str:
    """What stands before the time, without quotes around each column: Twisted writes the client so, Fastly ident and user."""
    client, ident, user, time = quoted.groups()
    rest = line[quoted.end() :]
    if time[0] == "[":
        return f"{client} {ident or '-'} {user or '-'} {time}{rest}"
    bare = _BARE_REQUEST.match(rest)
    if bare is not None:
        rest = f' "{bare[1]}" {bare[2]}{" -" if bare.end() == len(rest) else ""}{rest[bare.end() :]}'
    return f"{client} {ident or '-'} {user or '-'} [{clf_of_rfc_1123(time) or time}]{rest}"


def _behind_any(line: str) -> _Behind | None:
    """The line behind what an unknown logger wrote before it, where it can be told by its own beginning."""
    begun = line[: 2 * _FURTHEST]
    if "\x1b" in begun and (plain := _COLOURS.sub("", begun)) != begun:
        return _Behind(plain + line[2 * _FURTHEST :])
    if _OBJECT.match(begun):
        return None
    found = _START.search(begun, 1)
    if found is None or not 0 < found.start() <= _FURTHEST:
        return None
    head = begun[: found.start()]
    is_object = line[found.start()] == "{"
    told = _LOGGED_ADDRESS.sub("00:00:00 ", head)
    if '"' in head or (not is_object and (_MARK.search(head) is None or _ANY_ADDRESS.search(told))):
        return None
    return _Behind(None, line[found.start() :], head)


def behind_prefix(
    parse: Callable[[str], tuple[Any, ...] | None], heads: str = ANY
) -> Callable[[str], tuple[Any, ...] | None]:
    """A parser that reads lines behind what stands before them, too. What it refuses it refuses as `parse` does.

    `heads`: as in FormatOptions.
    """

    def parse_behind(line: str) -> tuple[Any, ...] | None:
        try:
            return parse(line)
        except BadLine as bad:
            return read_behind(parse, line, bad, heads)

    return parse_behind


def read_behind(
    parse: Callable[[str], tuple[Any, ...] | None], line: str, first: BadLine, heads: str
) -> tuple[Any, ...] | None:
    """The line that `parse` refused with `first`, read behind its prefixes. Raises the last refusal."""
    try:
        for _ in range(MOST_HEADS):
            rest = without_prefix(line, heads)
            if rest is None:
                break
            line = rest
            try:
                return parse(line)
            except BadLine as bad:
                # what stands in an object that is no access log may be anything
                first = first if first.reason == "no_request" else bad
        raise first
    finally:
        del first  # a frame and an error that name each other would keep the whole chunk, where nobody looks for cycles
