"""What shippers, and the stores behind them, write around a line: an object of JSON, columns of CSV, pairs of logfmt."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from itertools import islice
from json import JSONDecoder, dumps
from typing import Any

__all__ = ["pairs_of", "requests_in", "unwrapped", "unwrapped_column", "unwrapped_pair"]

_DECODE = JSONDecoder().decode
_SAID = (
    "log", "MESSAGE", "message", "event.original", "line", "event", "event.line", "textPayload", "LogMessage",
    "LogEntry", "short_message", "Message", "_raw", "result._raw", "content.message", "jsonPayload.message",
    "jsonPayload.log", "msg", "body", "body.stringValue", "text", "@rawstring", "@m", "_line", "Log_s",
    "resultDescription", "payload", "full_message", "fields.message",
)  # fmt: skip
"""Where the line is in an object around it."""
_PATHS = [(path, *path.partition(".")[::2]) for path in _SAID]
_PATHS_ANYWHERE = [each for each in _PATHS if each[0] in ("message", "log", "body.stringValue")]
"""Where it is in an object at any depth. Elsewhere stands what a client chose, too: its agent must not pass for a line."""
_AROUND = re.compile(
    r"stream|attrs|resource_?logs|sys?logtag|tag|_PID|_HOSTNAME|SYSLOG_IDENTIFIER|kubernetes|docker|container_id|host|source_?type|input|ecs|fields|labels|LogSource"
    r"|SourceModuleName|content|preview|logName|nodeName|caller|level|severity|PROGRAM|filename|schema|instant"
    r"|_?@?(?:.*(?:time|date|stamp).*|ts|t|dt)",
    re.IGNORECASE | re.DOTALL,
)
"""Keys that loggers and shippers write beside a line; one of them at least must be there."""
_TIME_OF_PARENT = ("@timestamp", "timestamp", "time", "ts", "time_iso8601", "date", "timeUnixNano", "Timestamp")
_CLIENT, _STATUS, _REQUEST = (
    re.compile(rf".*(?:{words})", re.IGNORECASE | re.DOTALL)
    for words in ("(?:remote|client|ip|addr|host).*", "status|code", "(?:request|uri|url|path).*")
)
_OF_CLIENT = re.compile(
    r"(?!jsonPayload\Z).*(?:body|params?|payload|input|query|headers?|form|formdata|args|cookies?)",
    re.IGNORECASE | re.DOTALL,
)
"""Keys below which an application logs what a client sent. `jsonPayload` is Google's for all that a program logged."""
_DEEPEST, _MOST_OBJECTS, _MOST_TEXTS, _LONGEST_CSV = 3, 50, 200, 65_536


def unwrapped(line: str, is_line: Callable[[str], bool]) -> str | None:
    """The line in an object around it, or the object in it that is the record of a request; None where there is none.

    `is_line`: whether a text begins as lines of access logs do.
    """
    try:
        record = _DECODE(line.strip(" ,").removeprefix("[").rstrip(" ]") if line[:1] == "[" else line.rstrip(" ,]"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    if isinstance(record.get("_source"), dict):
        return dumps(record["_source"])  # Elasticsearch's
    if isinstance(properties := record.get("properties"), str) and properties[:1] == "{":
        return dumps({**record, "properties": _object(properties)})  # Azure's App Service
    said = [
        found
        for path, name, inner in _PATHS
        if (name in record or path in record) and (found := _text_at(record, path, name, inner)) is not None
    ]
    is_logged = any(map(_AROUND.fullmatch, record))
    if said and (is_logged or len(record) == 1) and (text := next(filter(is_line, said), None)) is not None:
        return _one_line(text)
    inner = next(requests_in(record), None)
    if inner is None:
        # without a text that is told by its beginning: one in an unknown form, or one that stands deep
        anywhere = [text for text in islice(_lines_in(record), _MOST_TEXTS) if is_line(text)] if is_logged else []
        if len(anywhere) == 1:
            return _one_line(anywhere[0])
        text = next((each for each in said if '"' in each), said[0]) if said else None
        return _one_line(text) if text is not None and not anywhere and (is_logged or len(record) == 1) else None
    times = {name: record[name] for name in _TIME_OF_PARENT if isinstance(record.get(name), str | int | float)}
    return dumps({**({} if any(name in inner for name in _TIME_OF_PARENT) else times), **inner})


def _one_line(text: str) -> str:
    text = text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
    return text.strip(" \r\n").replace("\n", "\\n")


def _lines_in(value: Any, depth: int = 8) -> Iterator[str]:
    """What loggers said, at any depth."""
    if isinstance(value, dict):
        yield from (text for path in _PATHS_ANYWHERE if (text := _text_at(value, *path)) is not None)
    if depth and isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _lines_in(one, depth - 1)


def _text_at(record: dict[str, Any], path: str, name: str, inner: str) -> str | None:
    found = record.get(path)
    if found is None and inner and isinstance(outer := record.get(name), dict):
        found = outer.get(inner)
    if isinstance(found, list) and found:
        # journald writes bytes where a line is no plain text
        is_bytes = len(found) > 1 and all(isinstance(one, int) and 0 <= one < 256 for one in found)
        found = bytes(found).decode("utf-8", "backslashreplace") if is_bytes else found[0]
    return found if isinstance(found, str) and found else None


def requests_in(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Objects inside that name a client, a request and a status of their own: the outermost first."""
    level, seen = [record], 0
    for _ in range(_DEEPEST):
        inner = (_named(value) for outer in level for key, value in outer.items() if not _OF_CLIENT.fullmatch(key))
        level = [value for value in inner if isinstance(value, dict)][:_MOST_OBJECTS]
        for one in level:
            seen += 1
            if seen <= _MOST_OBJECTS and all(any(map(name.fullmatch, one)) for name in (_CLIENT, _REQUEST, _STATUS)):
                yield one


def _named(value: Any) -> Any:
    """OpenTelemetry's list of keys and values as an object, in its form for JSON; other values as they are."""
    if not isinstance(value, list) or not all(
        isinstance(one, dict) and {"key", "value"} <= one.keys() for one in value
    ):
        return value
    return {
        str(one["key"]): next(iter(one["value"].values()), None) if isinstance(one["value"], dict) else one["value"]
        for one in value
    }


def _object(text: str) -> Any:
    try:
        return _DECODE(text)
    except (ValueError, RecursionError):
        return text


def unwrapped_column(line: str, is_line: Callable[[str], bool]) -> str | None:
    """The column of a line of CSV, quotes doubled, that is a line of a log itself; None where none or several are."""
    if len(line) > _LONGEST_CSV:
        return None
    try:
        columns = next(csv.reader([line], strict=True))
    except (csv.Error, StopIteration):
        return None
    found = [column for column in columns if '"' in column and is_line(column) and _quoted(column) in line]
    # labels are an object, too
    texts = [column for column in found if not column.startswith("{")] or [max(found, key=len, default="")]
    return texts[0] if len(columns) > 1 and len(texts) == 1 and texts[0] else None


def _quoted(column: str) -> str:
    return '"{}"'.format(column.replace('"', '""'))


_PAIR = re.compile(r'\s*+([\w@][\w.@/-]{0,63})=(?:"((?:[^"\\]|\\.)*+)"|([^\s"]*+))(?=\s|\Z)', re.DOTALL)


def pairs_of(line: str) -> dict[str, Any] | None:
    """The pairs of a line of logfmt; None where anything else stands in it.

    >>> pairs_of('level=info msg="a \\\\"b\\\\"" n=1'), pairs_of("level=info and more")
    ({'level': 'info', 'msg': 'a "b"', 'n': '1'}, None)
    """
    pairs: dict[str, Any] = {}
    at = 0
    while (found := _PAIR.match(line, at)) is not None:
        name, quoted, plain = found.groups()
        pairs[name] = plain if quoted is None else re.sub(r'\\(["\\])', r"\1", quoted)
        at = found.end()
    return None if line[at:].strip() else pairs


def unwrapped_pair(line: str, is_line: Callable[[str], bool]) -> str | None:
    """What a line of logfmt says, where that is a line of a log itself; None where none or several are."""
    found = [text for name, text in (pairs_of(line) or {}).items() if name in _SAID and '"' in text and is_line(text)]
    return found[0] if len(found) == 1 else None
