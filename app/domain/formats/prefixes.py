"""What loggers write before a line, or around it: syslog, journalctl, docker, Kubernetes. Told line by line.

A line that its format refuses is tried again behind what stands before it, so that a line without anything costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from json import JSONDecoder, dumps
from typing import Any

from app.domain.formats.base import BadLine

__all__ = ["MOST_HEADS", "behind_prefix", "without_prefix"]

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
    # docker logs -t and kubectl logs --timestamps; syslog without a tag, whose host is then read as a virtual host
    re.compile(rf"{_PRIORITY}(?:{_ISO}|{_BSD}) {{1,2}}(?=[^ ])"),
]
_FLUENTD = re.compile(rf"({_ISO})\t\S{{1,255}}\t\{{(?=\s*\")")
"""Fluentd's file: time, tag, record."""
_QUOTED_CLIENT = re.compile(r'"([0-9A-Fa-f.:]{2,45})" (?=\S+ \S+ \[)')
"""Twisted writes the client so."""
_DECODE = JSONDecoder().decode
_SAID = (
    "log",
    "MESSAGE",
    "message",
    "event.original",
    "line",
    "event",
    "event.line",
    "textPayload",
    "LogMessage",
    "LogEntry",
    "short_message",
    "Message",
    "_raw",
    "result._raw",
    "content.message",
)
"""Where the line is in an object around it."""
_WRAPPED = re.compile(
    rf'\s*\{{.{{0,65536}}?"(?:{"|".join(path.rpartition(".")[2] for path in _SAID)}|_source)"\s*:', re.DOTALL
)
_AROUND = (
    "stream",
    "time",
    "attrs",
    "tag",
    "__REALTIME_TIMESTAMP",
    "_PID",
    "SYSLOG_IDENTIFIER",
    "kubernetes",
    "docker",
    "container_id",
    "@timestamp",
    "timestamp",
    "date",
    "host",
    "source_type",
    "input",
    "ecs",
    "fields",
    "labels",
    "LogSource",
    "SourceModuleName",
    "_messagetime",
    "content",
    "preview",
    "logName",
    "nodeName",
    "sourcetype",
    "syslogtag",
)
"""Keys that shippers write around a line; one of them at least must be there."""


def without_prefix(line: str) -> str | None:
    """The line behind what a logger wrote before it, or None where nothing stands there.

    >>> without_prefix("Dec 23 15:31:15 host1 nginx[12]: 10.0.0.1 - - [")
    '10.0.0.1 - - ['
    >>> without_prefix('{"log":"10.0.0.1 - - [\\\\n","stream":"stdout","time":"2024-07-31T10:00:00Z"}')
    '10.0.0.1 - - ['
    >>> without_prefix("10.0.0.1 - - [") is None
    True
    """
    if line[:1] in "{ " and _WRAPPED.match(line):
        return _unwrapped(line)
    if line[:1] == '"' and (client := _QUOTED_CLIENT.match(line)) is not None:
        return f"{client[1]} {line[client.end() :]}"
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


def _unwrapped(line: str) -> str | None:
    """The text that a shipper or the store behind it wrote an object around: `_SAID`."""
    try:
        record = _DECODE(line.rstrip(" ,"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    if isinstance(record.get("_source"), dict):
        return dumps(record["_source"])  # Elasticsearch's
    text = next((found for path in _SAID if isinstance(found := _at(record, path), str)), None)
    if text is None or (len(record) > 1 and not any(name in record for name in _AROUND)):
        return None
    text = text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
    return text.strip(" \r\n").replace("\n", "\\n")


def _at(record: dict[str, Any], path: str) -> Any:
    name, dot, inner = path.partition(".")
    found = record.get(name)
    return found.get(inner) if dot and isinstance(found, dict) else None if dot else found


def behind_prefix(parse: Callable[[str], tuple[Any, ...] | None]) -> Callable[[str], tuple[Any, ...] | None]:
    """A parser that reads lines behind what stands before them, too. What it refuses it refuses as `parse` does."""

    def parse_behind(line: str) -> tuple[Any, ...] | None:
        try:
            return parse(line)
        except BadLine as bad:
            return read_behind(parse, line, bad)

    return parse_behind


def read_behind(parse: Callable[[str], tuple[Any, ...] | None], line: str, first: BadLine) -> tuple[Any, ...] | None:
    """The line that `parse` refused with `first`, read behind its prefixes. Raises the last refusal."""
    try:
        for _ in range(MOST_HEADS):
            rest = without_prefix(line)
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
