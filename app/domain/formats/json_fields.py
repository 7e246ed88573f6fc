"""Where the json format finds each field: the names that servers and shippers use, and the map that a setting gives."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

__all__ = ["FIELDS", "Lookup", "lookups"]

FIELDS: dict[str, tuple[str, ...]] = {
    "time": (
        "time", "@timestamp", "timestamp", "ts", "time_iso8601", "time_local", "msec", "datetime", "StartUTC", "EdgeStartTimestamp",
    ),
    "ip_address": (
        "ip_address", "clientip", "client_ip", "remote_addr", "remote_ip", "request.client_ip", "request.remote_ip", "client.ip",
        "source.ip", "source.address", "client.address", "ip", "c-ip", "ClientHost", "ClientIP",
    ),
    "user_agent": (
        "user_agent", "user_agent.original", "http_user_agent", "agent", "request.headers.User-Agent", "request_User-Agent",
        "cs(User-Agent)", "ClientRequestUserAgent",
    ),
    "request": ("request", "request_line"),
    "method": (
        "method", "request_method", "request.method", "http.request.method", "verb", "cs-method", "RequestMethod", "ClientRequestMethod",
    ),
    "path": (
        "path", "request_uri", "uri", "request.uri", "url.original", "url.path", "url", "cs-uri-stem", "RequestPath", "ClientRequestURI",
    ),
    "query": ("url.query", "cs-uri-query"),
    "status": (
        "status", "http.response.status_code", "response.status_code", "response", "status_code", "sc-status", "DownstreamStatus",
        "EdgeResponseStatus",
    ),
    "range": ("byte_range", "range"),
    "content_range": (
        "content_range", "sent_http_content_range", "resp_headers.Content-Range", "response.headers.Content-Range",
        "http.response.headers.content-range",
    ),
    "lo": ("lo", "sc-range-start"),
    "hi": ("hi", "sc-range-end"),
    "bytes_sent": (
        "body_bytes_sent", "http.response.body.bytes", "size", "bytes", "DownstreamContentSize", "EdgeResponseBodyBytes",
    ),
    "all_bytes_sent": ("bytes_sent", "http.response.bytes", "sc-bytes", "EdgeResponseBytes"),
    "total_bytes": ("total_bytes", "object_size"),
}  # fmt: skip
"""Field to the paths tried in this order; dots go into nested objects, but a key with dots in it is found first.

`path` and `query` make a request where there is no whole one; `all_bytes_sent` counts the headers, too, and is read where
the body's own bytes are not there. With a map of one's own, `bytes_sent` is what one says it is.
"""


class Lookup:
    """Finds the text of one field in a parsed line."""

    __slots__ = ("_paths",)

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._paths = [(path, path.split(".") if "." in path else None) for path in paths]

    def __call__(self, record: dict[str, Any]) -> str | None:
        """The first path that holds a text or number, as text; of a list its first element. None where there is none."""
        for path, steps in self._paths:
            value = record.get(path)
            if value is None and steps:
                value = _nested(record, steps)
            if isinstance(value, list) and value:
                value = value[0]
            if isinstance(value, str):
                return value
        return None


def _nested(record: Any, steps: list[str]) -> Any:
    for step in steps:
        if not isinstance(record, dict):
            return None
        record = record.get(step)
    return record


def lookups(setting: str) -> dict[str, Lookup]:
    """The lookups of every field, given the setting's text `name=path,name=path`.

    A name may come twice: its paths are tried in order. Names that the setting leaves out keep their usual paths.
    Raises ValueError that names the piece that is wrong.
    """
    chosen: dict[str, tuple[str, ...]] = {}
    for piece in filter(None, (piece.strip() for piece in setting.split(","))):
        name, equals, path = (part.strip() for part in piece.partition("="))
        if not equals or not path:
            raise ValueError(f"{piece!r} in the field map of json is not name=path")
        if name not in FIELDS:
            near = get_close_matches(name, FIELDS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}" if near else f"the names are {', '.join(FIELDS)}"
            raise ValueError(f"{name!r} in the field map of json is no field; {hint}")
        chosen[name] = (*chosen.get(name, ()), path)
    return {name: Lookup(chosen.get(name, paths)) for name, paths in FIELDS.items()}
