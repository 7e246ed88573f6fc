"""JSON lines: one object a line, its fields found by a map (json_fields)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.json_fields import Find, Lookups, lookups
from app.domain.formats.times import clf_time, epoch_time, iso_time
from app.domain.formats.values import REQUESTS, STATUSES, byte_range, content_range, count, joined_request, shown
from app.domain.records import HitFlag

__all__ = ["FORMAT"]

_HEADERS_COUNTED = int(HitFlag.HEADERS_COUNTED)
_EXAMPLE = """\
{"time": "2020-07-31T16:46:07Z", "ip_address": "203.0.113.9", "user_agent": "curl/8.5.0", "request": "GET /films/1.mp4 HTTP/1.1", "status": 206, "range": "0-289"}
{"@timestamp": "2020-07-31T18:46:09.5+02:00", "client": {"ip": "203.0.113.9"}, "user_agent": {"original": "curl/8.5.0"}, "http": {"request": {"method": "GET"}, "response": {"status_code": 206, "body": {"bytes": 289}}}, "url": {"path": "/films/1.mp4"}, "content_range": "bytes 290-578/579"}
{"ts": 1596213971.25, "request": {"remote_ip": "203.0.113.9", "method": "GET", "uri": "/films/2.mp4", "headers": {"User-Agent": ["curl/8.5.0"]}}, "status": 200, "size": 1157}"""

# numbers stay text: whatever their length, they go the way of numbers in any other format
_DECODE = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).decode


def _record(line: str) -> dict[str, Any]:
    try:
        record = _DECODE(line)
    except (ValueError, RecursionError):
        raise BadLine("bad_columns", f"not JSON: {shown(line)}" if line.strip() else "a blank line") from None
    if not isinstance(record, dict):
        raise BadLine("bad_columns", f"not a JSON object: {shown(line)}")
    return record


def _time(text: str | None) -> float:
    """ISO 8601, the common log format's time, or an epoch in s, ms, µs or ns."""
    if text is None:
        raise BadLine("bad_time", "no field with the time")
    if len(text) > 64:
        raise BadLine("bad_time", f"no date and time: {shown(text)}")
    if text[4:5] == "-":
        return iso_time(text)
    return clf_time(text) if text[2:3] == "/" else epoch_time(text)


def _parse(fields: Lookups, line: str) -> tuple:
    record = _record(line)
    find = fields.of(record)
    time = _time(find["time"](record))
    ip_address = find["ip_address"](record)
    user_agent = find["user_agent"](record)
    if user_agent is None and ip_address is not None:
        user_agent = "-"
    request, method = _request(find, record)
    status = find["status"](record)
    code = 200 if status is None else STATUSES[status]
    lo, hi, total = _range(find, record)
    sent, flags = _sent(find, record)
    size = find["total_bytes"](record)
    if size is not None:
        total = count(size, "the size")
    return time, ip_address, user_agent, request, method, code, lo, hi, sent, total, flags


def _request(find: dict[str, Find], record: dict[str, Any]) -> tuple[str | None, str | None]:
    """A whole request line, or one made of method, path and query."""
    whole = find["request"](record)
    if whole is not None and not whole.startswith("/"):
        return REQUESTS[whole]
    method = find["method"](record)
    if whole is None:
        whole = find["path"](record)
        if whole is None:
            return None, None
        query = find["query"](record)
        if query and query != "-" and "?" not in whole:
            whole = f"{whole}?{query.removeprefix('?')}"
    return joined_request(method, REQUESTS[whole][0]) if method else REQUESTS[whole]


def _range(find: dict[str, Find], record: dict[str, Any]) -> tuple[int | None, int | None, int | None]:
    text = find["content_range"](record)
    if text is not None and text not in ("-", ""):
        return content_range(text)
    text = find["range"](record)
    if text is not None and text not in ("-", ""):
        return content_range(text) if "/" in text else (*byte_range(text), None)
    first, last = find["lo"](record) or "-", find["hi"](record) or "-"
    if first == last == "-":
        return None, None, None
    if "-" in (first, last):
        raise BadLine("bad_range", f"only one end of the range: {shown(first)}, {shown(last)}")
    return *byte_range(f"{first}-{last}"), None


def _sent(find: dict[str, Find], record: dict[str, Any]) -> tuple[int | None, int]:
    body = find["bytes_sent"](record)
    if body is not None:
        return count(body, "bytes sent"), 0
    sent = count(find["all_bytes_sent"](record) or "-", "bytes sent")
    return sent, 0 if sent is None else _HEADERS_COUNTED


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    """Raises ValueError where the field map is wrong."""
    return partial(_parse, lookups(options.json_fields))


FORMAT = Format(
    name="json",
    title="JSON lines; WEBLOGS_JSON_FIELDS maps fields to paths, the names of nginx, Caddy, ECS and others are known.",
    example=_EXAMPLE,
    make_parser=make_parser,
)
