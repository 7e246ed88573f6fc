"""Where the json format finds each field: the names that servers and shippers use, and the map that a setting gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from difflib import get_close_matches
from functools import partial
from typing import Any, NamedTuple

from app.domain.formats.json_profiles import PROFILES, Profile, profile_of

__all__ = ["FIELDS", "JsonPlan", "Lookups", "Said", "lookups"]

FIELDS: dict[str, tuple[str, ...]] = {
    "time": (
        "time", "@timestamp", "timestamp", "ts", "time_iso8601", "time_local", "msec", "datetime", "StartUTC", "EdgeStartTimestamp",
        "start_time", "requestTime", "requestTimeEpoch", "unixtime", "started_at", "date", "@t", "timeUnixNano",
    ),
    "ip_address": (
        "ip_address", "clientip", "client_ip", "remote_addr", "remote_ip", "request.client_ip", "request.remote_ip", "client.ip",
        "source.ip", "source.address", "client.address", "ip", "c-ip", "ClientHost", "ClientIP", "request.remote_addr",
        "client", "remoteIP", "remoteIp", "remoteAddr", "remotehost", "sourceIp", "clientIp", "callerIpAddress", "remote_host",
        "remoteAddress", "req.remoteAddress", "network.client.ip", "request.ip", "remote", "request.remote_address", "request.remoteAddress", "client.addr",
    ),
    "user_agent": (
        "user_agent", "user_agent.original", "http_user_agent", "agent", "request.headers.User-Agent", "request_User-Agent",
        "cs(User-Agent)", "ClientRequestUserAgent", "userAgent", "ua", "requestHeaders.User-Agent",
        "request.headers.user-agent", "req.headers.user-agent", "headers.user-agent", "http.useragent", "request.user-agent",
        "http.request.header.user-agent", "request.user_agent", "request.userAgent", "request.agent",
    ),
    "request": ("request", "request_line", "requested_url"),
    "method": (
        "method", "request_method", "request.method", "http.request.method", "verb", "cs-method", "RequestMethod", "ClientRequestMethod",
        "httpMethod", "http_method", "http.method", "req.method",
    ),
    "path": (
        "path", "request_uri", "uri", "request.uri", "url.original", "url.path", "url", "cs-uri-stem", "RequestPath", "ClientRequestURI",
        "requestPath", "resourcePath", "request.path", "request.url", "http.url", "req.url", "ClientRequestPath",
    ),
    "query": ("url.query", "cs-uri-query", "query", "args", "query_string", "request_query", "request.query", "req.query"),
    "protocol": (
        "server_protocol", "request.proto", "protocol", "proto", "http.version", "httpversion", "http_version", "RequestProtocol",
        "ClientRequestProtocol", "cs-version", "cs-protocol-version", "network.protocol.version",
        "request_protocol", "httpVersion", "request_proto", "req.httpVersion",
    ),
    "forwarded": (
        "http_x_forwarded_for", "x_forwarded_for", "request.headers.X-Forwarded-For", "request_X-Forwarded-For", "x-forwarded-for",
        "http.request.header.x-forwarded-for", "forwarded_for", "remote_ip", "real_ip", "x_real_ip", "http_x_real_ip", "http_cf_connecting_ip",
        "http_true_client_ip",
    ),
    "status": (
        "status", "http.response.status_code", "response.status_code", "response", "status_code", "sc-status", "DownstreamStatus",
        "EdgeResponseStatus", "statusCode", "http_code", "return_code", "http_status", "httpStatus",
        "http.status_code", "response.status", "res.statusCode", "responseCode", "code", "response.statusCode", "response.code", "response_status",
        "response_code",
    ),
    "range": ("byte_range", "range"),
    "content_range": (
        "content_range", "sent_http_content_range", "resp_headers.Content-Range", "response.headers.Content-Range",
        "http.response.headers.content-range", "downstream_Content-Range", "resp_headers.content-range",
        "response.headers.content-range", "res.headers.content-range", "response_headers.content-range", "http.response.header.content-range",
        "response.content_range", "response.contentRange",
    ),
    "content_length": (
        "content_length", "sent_http_content_length", "resp_headers.Content-Length", "response.headers.Content-Length",
        "http.response.headers.content-length", "downstream_Content-Length", "sc-content-len",
        "response.headers.content-length", "res.headers.content-length", "response_headers.content-length", "http.response.header.content-length",
        "response.content_length", "response.contentLength",
    ),
    "content_encoding": (
        "content_encoding", "sent_http_content_encoding", "resp_headers.Content-Encoding", "response.headers.Content-Encoding",
        "http.response.headers.content-encoding", "downstream_Content-Encoding",
        "response.headers.content-encoding", "res.headers.content-encoding", "response_headers.content-encoding",
        "http.response.header.content-encoding", "response.content_encoding", "response.contentEncoding",
    ),
    "compression_ratio": ("compression_ratio", "gzip_ratio", "GzipRatio", "EdgeResponseCompressionRatio"),
    "content_type": (
        "content_type", "sent_http_content_type", "resp_headers.Content-Type", "response.headers.Content-Type",
        "http.response.mime_type", "downstream_Content-Type", "sc-content-type",
        "response.headers.content-type", "res.headers.content-type", "response_headers.content-type", "http.response.header.content-type", "response.content_type", "response.contentType",
    ),
    "referer": (
        "referer", "http_referer", "referrer", "http.request.referrer", "request.headers.Referer", "request_Referer", "cs(Referer)",
        "ClientRequestReferer", "http.request.header.referer",
    ),
    "virtual_host": (
        "virtual_host", "http_host", "server_name", "vhost", "request.host", "url.domain", "RequestHost", "ClientRequestHost",
        "cs-host", "x-host-header", "authority", "server.address",
    ),
    "duration_s": ("duration_s", "request_time"),
    "duration_ms": ("duration_ms",),
    "duration_us": ("duration_us",),
    "duration_ns": ("duration_ns", "event.duration"),
    "cache_result": (
        "cache_result", "upstream_cache_status", "cache_status", "CacheCacheStatus", "x-edge-result-type", "fastly_cache_status",
    ),
    "edge": ("edge", "x-edge-location", "EdgeColoCode", "fastly_server", "pop"),
    **{
        f"cmcd_{name}": (
            f"cmcd_{name}", f"http_cmcd_{name}", f"request.headers.CMCD-{name.capitalize()}", f"request.headers.Cmcd-{name.capitalize()}",
            f"request_CMCD-{name.capitalize()}", f"request_Cmcd-{name.capitalize()}", f"cs(CMCD-{name.capitalize()})", f"cmcd-{name}",
        )
        for name in ("object", "request", "session", "status")
    },
    "lo": ("lo", "sc-range-start"),
    "hi": ("hi", "sc-range-end"),
    "bytes_sent": (
        "body_bytes_sent", "http.response.body.bytes", "size", "bytes", "DownstreamContentSize", "EdgeResponseBodyBytes",
        "response.body_bytes_sent", "response.length", "network.bytes_written", "http.response.body.size",
        "response.bytes",
    ),
    "all_bytes_sent": ("bytes_sent", "http.response.bytes", "sc-bytes", "EdgeResponseBytes", "response.size", "bytes_read", "http.response.size", "response_bytes"),
    "total_bytes": ("total_bytes", "object_size"),
    "ended": (
        "ended", "request_completion", "completion", "response_flags", "connection_status", "x-edge-detailed-result-type",
        "termination_state",
    ),
}  # fmt: skip
"""Field to the paths tried in this order; dots go into nested objects, but a key with dots in it is found first. Where a line has none
of them, a key is taken that differs from one in case, or in `_`, `-` and dots: `RemoteAddr`, `user-agent`.

`path` and `query` make a request where there is no whole one; `all_bytes_sent` counts the headers, too, and is read where
the body's own bytes are not there. With a map of one's own, `bytes_sent` is what one says it is. `content_length` is the size of
the file where a GET is answered 200. `content_encoding` and `content_type` stand here beside the fields that Parsed has, and so do
those that only app.domain.extras knows. A bare `host` is no virtual host here: many loggers write the machine's or the client's name
there. Profiles know whose it is.
"""
_OPTIONAL = frozenset(
    {
        "referer", "virtual_host", "duration_s", "duration_ms", "duration_us", "duration_ns", "cache_result", "edge",
        "cmcd_object", "cmcd_request", "cmcd_session", "cmcd_status",
    }
)  # fmt: skip
"""Those that optional fields of hits alone need."""
_RANGES = frozenset({"content_range", "range", "lo", "hi"})
_SENT = frozenset({"bytes_sent", "all_bytes_sent"})
_FACTS = frozenset({"ended", "content_encoding", "compression_ratio", "content_type"})
_NAMES_NOBODY = frozenset({"", "-"})
_NAMES_NO_HOST = _NAMES_NOBODY | {"_"}
_SHIPPED = frozenset({"@version", "beat", "ecs", "input", "kubernetes", "log", "source_type"})
"""Keys that shippers add to a line: beside them, `host` is the machine that they ran on."""


Said = dict[str, "str | None"]
"""Field to what a line says of it; None, or no field, where it says nothing."""

_PLANS = 1000
_WIDEST = 100


Search = Callable[[dict[str, Any]], "str | None"]


class JsonPlan(NamedTuple):
    """How lines with certain keys are read."""

    keys: tuple[tuple[str, str, Search], ...]
    """Field, the key whose text it is, and what finds it if the key holds something else."""
    searches: tuple[tuple[str, Search], ...]
    """Field and what finds it, for the others that can be there."""
    profile: Profile | None
    has_range: bool
    has_sent: bool
    has_facts: bool
    """Whether there can be a field that says what was answered, how many bytes were sent, or how: one of _FACTS."""

    def said(self, record: dict[str, Any]) -> Said:
        """What the line says."""
        said: Said = {
            name: value if (value := record[key]).__class__ is str and value.isascii() else search(record)
            for name, key, search in self.keys
        }
        for name, search in self.searches:
            said[name] = search(record)
        return said


class Lookups:
    """Finds the fields of lines. Lines with the same keys share a plan, which leaves out the paths that cannot be there.

    `chosen` are the paths that the setting names; `profile` is the writer of all lines, where the setting names one. `optional`:
    whether the fields of _OPTIONAL are looked for.
    """

    def __init__(
        self, chosen: dict[str, tuple[str, ...]], profile: Profile | None = None, optional: bool = True
    ) -> None:
        self._chosen, self._profile = chosen, profile
        self._names = FIELDS.keys() if optional else FIELDS.keys() - _OPTIONAL
        self._plans: tuple[dict[tuple[str, ...], JsonPlan], ...] = ({}, {})
        """Of lines whose `request` is a text or missing, and of those where it is an object: many paths lead into it."""

    def of(self, record: dict[str, Any]) -> JsonPlan:
        """The plan for this line's keys. At most 1,000 plans of each kind are kept."""
        keys, plans = tuple(record), self._plans[record.get("request").__class__ is dict]
        plan = plans.get(keys)
        if plan is None:
            plan = self._planned(record)
            if len(keys) <= _WIDEST:
                if len(plans) >= _PLANS:
                    plans.clear()
                plans[keys] = plan
        return plan

    def _planned(self, record: dict[str, Any]) -> JsonPlan:
        profile = self._profile or profile_of(record)
        paths = {**FIELDS, **(profile.paths if profile else {}), **self._chosen}
        if "virtual_host" not in self._chosen and not _SHIPPED.isdisjoint(record):
            paths["virtual_host"] = tuple(path for path in paths["virtual_host"] if path != "host")
        passed = {"ip_address": _NAMES_NOBODY, "virtual_host": _NAMES_NO_HOST}
        roots = record.keys() if isinstance(record.get("request"), dict) else record.keys() - {"request"}
        keys, searches = [], []
        for name in self._names:
            steps = _steps(paths[name], record, roots) or _spelled(paths[name], record)
            if not steps:
                continue
            search = partial(_first, steps, passed.get(name, frozenset()))
            if len(steps[0]) == 1 and (len(steps) == 1 or name not in passed):
                keys.append((name, steps[0][0], search))
            else:
                searches.append((name, search))
        names = {name for name, *_ in (*keys, *searches)}
        groups = (not names.isdisjoint(group) for group in (_RANGES, _SENT, _FACTS))
        return JsonPlan(tuple(keys), tuple(searches), profile, *groups)


def _steps(paths: tuple[str, ...], keys: Container[str], roots: Container[str]) -> list[tuple[str, ...]]:
    """The ways to a field that lines with these keys can have. `roots`: keys that may hold objects."""
    steps: list[tuple[str, ...]] = []
    for path in paths:
        if path in keys:
            steps.append((path,))
        first, *others = path.split(".")
        if others and first in roots:
            steps.append((first, *others))
    return steps


def _spelled(paths: tuple[str, ...], keys: Iterable[str]) -> list[tuple[str, ...]]:
    """The keys that are paths but for their spelling, for lines that have none of the paths."""
    wanted = {_plain(path) for path in paths}
    return [(key,) for key in keys if _plain(key) in wanted]


def _plain(name: str) -> str:
    return re.sub("[_.-]", "", name).lower()


def _first(paths: list[tuple[str, ...]], passed: frozenset[str], record: dict[str, Any]) -> str | None:
    """The first path that holds a text or number, as text; of a list its first element.

    `passed`: a path with one of these in it does not count as long as another one has more.
    """
    found: str | None = None
    for path in paths:
        value: Any = record
        for step in path:
            if not isinstance(value, dict):
                value = None
                break
            value = value.get(step)
        text = _text(value)
        if text is not None:
            found = text
            if text not in passed:
                break
    return found


def _text(value: Any) -> str | None:
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, str):
        return None
    # half a surrogate pair can be escaped in JSON, but no store can take it
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def lookups(setting: str, optional: bool = True) -> Lookups:
    """The lookups of every field, or of all that are not optional, given the setting's text `name=path,name=path`.

    A name may come twice: its paths are tried in order. Names that the setting leaves out keep their usual paths. The name of a
    profile alone says that all lines are of that writer. Raises ValueError that names the piece that is wrong.
    """
    chosen: dict[str, tuple[str, ...]] = {}
    profile: Profile | None = None
    for piece in filter(None, (piece.strip() for piece in setting.split(","))):
        name, equals, path = (part.strip() for part in piece.partition("="))
        if not equals and name in PROFILES:
            profile = PROFILES[name]
            continue
        if not equals or not path:
            raise ValueError(
                f"{piece!r} in the field map of json is not name=path; the known writers are {', '.join(PROFILES)}"
            )
        if name not in FIELDS:
            near = get_close_matches(name, FIELDS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}" if near else f"the names are {', '.join(FIELDS)}"
            raise ValueError(f"{name!r} in the field map of json is no field; {hint}")
        chosen[name] = (*chosen.get(name, ()), path)
    return Lookups(chosen, profile, optional)
