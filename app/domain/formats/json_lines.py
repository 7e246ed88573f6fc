"""JSON lines: one object a line, its fields found by a map (json_fields)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from app.domain.cmcd import read_cmcd
from app.domain.extras import NO_EXTRAS, duration_s, extras_reader
from app.domain.formats.base import BYTES_KINDS, BadLine, Format, FormatOptions, LineParser
from app.domain.formats.clients import addresses_of, clients
from app.domain.formats.endings import ENDED_WITHOUT_ORIGIN, ending_of_field
from app.domain.formats.json_fields import Said, lookups, record_of
from app.domain.formats.json_profiles import Profile
from app.domain.formats.prefixes import behind_prefix
from app.domain.formats.times import clf_of_rfc_1123, clf_time, epoch_time, iso_time
from app.domain.formats.unnamed import said_elsewhere, status_elsewhere
from app.domain.formats.values import (
    AGENTS,
    ENCODINGS,
    REQUESTS,
    STATUSES,
    content_range,
    content_type_flags,
    count,
    ends,
    is_early,
    joined_request,
    protocol_flags,
    ratio_flags,
    shown,
)
from app.domain.formats.wrapped import requests_in
from app.domain.proof import is_page_instead
from app.domain.records import HitFlag

__all__ = ["FORMAT", "RecordParser"]

_HEADERS_COUNTED, _HTTP2, _ENCODED = int(HitFlag.HEADERS_COUNTED), int(HitFlag.HTTP2), int(HitFlag.ENCODED)
_ABORTED, _ANNOUNCED, _UNSIZED, _ENDED = map(int, (HitFlag.ABORTED, HitFlag.ANNOUNCED, HitFlag.UNSIZED, HitFlag.ENDED))
_PLACELESS = int(HitFlag.PLACELESS)
_EXAMPLE = """\
{"time": "2020-07-31T16:46:07Z", "ip_address": "203.0.113.9", "user_agent": "curl/8.5.0", "request": "GET /films/1.mp4 HTTP/1.1", "status": 206, "range": "0-289"}
{"@timestamp": "2020-07-31T18:46:09.5+02:00", "client": {"ip": "203.0.113.9"}, "user_agent": {"original": "curl/8.5.0"}, "http": {"request": {"method": "GET"}, "response": {"status_code": 206, "body": {"bytes": 289}}}, "url": {"path": "/films/1.mp4"}, "content_range": "bytes 290-578/579"}
{"ts": 1596213971.25, "request": {"remote_ip": "203.0.113.9", "method": "GET", "uri": "/films/2.mp4", "headers": {"User-Agent": ["curl/8.5.0"]}}, "status": 200, "size": 1157}"""

_VERSION_2 = re.compile(r"[23](?:\.[0-9.]+)?")
_ZONE_TWICE = re.compile(r"( ?[+-][0-9]{4}) [A-Z]{1,5}\Z")


def _time(text: str | None, record: dict[str, Any]) -> float:
    """ISO 8601, the common log format's time, or an epoch in s, ms, µs or ns. CloudFront's JSON has a field for the date."""
    if text is None:
        raise BadLine("bad_time", "no field with the time")
    if text[4:5] == "-" and len(text) < 28:  # as nearly all write it
        return iso_time(text)
    if text[2:3] == ":" and isinstance(date := record.get("date"), str):
        text = f"{date} {text}"
    if len(text) > 64:
        raise BadLine("bad_time", f"no date and time: {shown(text)}")
    if text[:1] == "[":
        text = text.strip("[]")
    if text[4:5] in ("-", "/"):  # Caddy's wall clocks have slashes
        if len(text) > 27 and text[-1].isalpha():  # Go writes the zone twice
            text = _ZONE_TWICE.sub(r"\1", text)
        return iso_time(text.replace("/", "-"))
    if text[3:5] == ", ":
        text = clf_of_rfc_1123(text) or text
    if text[2:3] == "/":
        # HAProxy's date has no zone
        return clf_time(text if " " in text else f"{text} +0000")
    return epoch_time(text)


class RecordParser:
    """Reads records by the field map of the setting; `writer` names the profile of all, else each is known by its keys."""

    def __init__(self, options: FormatOptions, writer: str = "") -> None:
        self._plan_of = lookups(f"{writer},{options.json_fields}", optional=bool(options.fields)).of
        self._clients = clients(options.trusted_proxies)
        self._extras_of = extras_reader(options.fields) if options.fields else None
        self._kind = BYTES_KINDS[options.bytes] if options.bytes else None
        self._has_heads = "all_bytes_sent=" in options.json_fields.replace(" ", "")
        """The map says so."""

    def read(self, line: str) -> tuple[Any, ...] | None:
        """The hit of a line of JSON. Raises BadLine."""
        record = record_of(line)
        return None if record is None else self.hit(record, line)

    def hit(self, record: dict[str, Any], line: str) -> tuple[Any, ...]:
        """The hit of a record of texts; `line` is shown where there is none. Raises BadLine."""
        plan = self._plan_of(record)
        _, _, profile, has_range, has_sent, has_facts, has_unnamed = plan
        said = plan.said(record)
        get = said.get
        request, method, flags = _request(said, record, profile)
        status = get("status")
        client = get("ip_address")
        if (
            request is None
            or (status is None and (client is None or method is None or next(requests_in(record), None) is not None))
            or ("logger" in record and _is_another_logger(record["logger"]))
        ):
            raise BadLine("no_request", f"no request of an access log: {shown(line)}")
        time = _time(get("time"), record)
        ip_address = None if client is None else self._clients.of[client]
        forwarded = get("forwarded")
        if forwarded is not None and (listed := addresses_of(forwarded, ports=True)):
            ip_address = self._clients.behind(ip_address, listed)
        user_agent = get("user_agent")
        if user_agent is None:
            user_agent = None if ip_address is None else "-"
        elif profile is not None and profile.agent_is_encoded:
            user_agent = AGENTS[user_agent]
        elif len(user_agent) > 1 and user_agent[0] == user_agent[-1] == '"':
            # Logstash's pattern of the combined format keeps the quotes of its columns
            user_agent = user_agent[1:-1]
        if status is None:
            status = status_elsewhere(record)
        code = 200 if status is None else STATUSES[status]
        lo, hi, total = _range(said) if has_range else (None, None, None)
        content_type = None
        if has_facts:
            flags |= _facts(said, profile)
            content_type = get("content_type")
        sent, kind = self._sent(said) if has_sent else (None, self._kind or 0)
        if profile is not None and profile.announced and self._kind is None:
            kind = _ANNOUNCED
        if profile is not None and profile.frames_counted and flags & _HTTP2 and not kind:
            kind = _HEADERS_COUNTED
        if total is None and lo is None and code == 200 and method == "GET" and not flags & _ENCODED:
            length = get("content_length")
            total = _length(length)
            if length in ("", "-") and get("ended") in ENDED_WITHOUT_ORIGIN:
                flags |= _UNSIZED
            # a body that is longer than its length is none: some write 0 where there was no head
            total = None if total == 0 and sent and not kind else total
        size = get("total_bytes")
        if size is not None:
            total = count(size, "the size")
        if content_type is not None and code in (200, 206) and is_page_instead(request, content_type):
            flags, lo, hi, total = flags | _PLACELESS, None, None, None
        if kind == _HEADERS_COUNTED and profile is None and self._kind is None:
            kind = _kind_of_unknown(sent, _announced(lo, hi, total), self._has_heads)
        if has_unnamed or (profile is None and line.find("{", 1) > 0):  # another object is in it
            flags, kind = _with_unnamed(record, flags, kind, None if sent is not None else _announced(lo, hi, total))
        extras = NO_EXTRAS if self._extras_of is None else _extras(self._extras_of, said)
        return time, ip_address, user_agent, request, method, code, lo, hi, sent, total, flags | kind, extras

    def _sent(self, said: Said) -> tuple[int | None, int]:
        """Bytes sent, and what they count."""
        body = said.get("bytes_sent")
        if _is_early(said):
            return None, _ANNOUNCED
        if body is not None:
            sent = count(body, "bytes sent")
            kind = _ANNOUNCED if sent is None else 0  # `-` beside a range is no proof of it
        else:
            text = said.get("all_bytes_sent")
            sent = count(text or "-", "bytes sent")
            kind = (0 if text is None else _ANNOUNCED) if sent is None else _HEADERS_COUNTED
        return sent, kind if self._kind is None else self._kind


def _is_early(said: Said) -> bool:
    """Whether the line was written before the response ended."""
    return is_early(said.get("bytes_sent") or said.get("all_bytes_sent") or "")


def _with_unnamed(record: dict[str, Any], flags: int, kind: int, announced: int | None) -> tuple[int, int]:
    """Flags and kind with what stands under other names. `announced`: the length, if no bytes were found: fewer make it no proof."""
    broke, counted = said_elsewhere(record)
    if announced is not None and counted is not None and counted < announced:
        kind = _ANNOUNCED
    return flags & ~_ENDED | _ABORTED if broke else flags, kind


def _kind_of_unknown(sent: int | None, announced: int | None, has_heads: bool) -> int:
    """What a writer that is not known counts. As many as announced are the body, or less than it: they prove nothing. More are
    with heads. Of fewer the end is in doubt whatever they count; where nothing was announced, nothing tells."""
    if sent == announced:
        return _ANNOUNCED
    if has_heads or (sent is not None and announced is not None and sent > announced):
        return _HEADERS_COUNTED
    return _ANNOUNCED if announced is None else 0


def _announced(lo: int | None, hi: int | None, total: int | None) -> int | None:
    """The length of the range, or of the file."""
    return total if lo is None or hi is None else hi - lo + 1


def _is_another_logger(logger: Any) -> bool:
    """Caddy's other loggers write a second line of the same request."""
    return isinstance(logger, str) and logger.startswith(
        ("http.handlers", "http.log.error", "http.reverse_proxy", "admin", "tls", "http.auto")
    )


def _request(said: Said, record: dict[str, Any], profile: Profile | None) -> tuple[str | None, str | None, int]:
    """A whole request line, or one made of method, path and query; the flags of its protocol."""
    protocol = said.get("protocol")
    flags = 0
    if protocol is not None and (protocol_flags(protocol) or _VERSION_2.fullmatch(protocol)):
        flags = _HTTP2
    whole = said.get("request")
    if whole is not None and not whole.startswith("/"):
        request, its_method, its_flags = REQUESTS[whole]
        return request, its_method, flags | its_flags
    method = said.get("method")
    if profile is not None and profile.operations and method is not None:
        method = profile.operations.get(method, method)
    if whole is None:
        whole = said.get("path")
        if whole is None:
            return None, None, flags
        if profile is not None and profile.bare_paths and whole[:1] != "/":
            whole = f"/{whole}"
    query = said.get("query") if profile is None or not profile.query_object else _joined_query(record, profile)
    if query and query != "-" and "?" not in whole:
        whole = f"{whole}?{query.removeprefix('?')}"
    request, its_method, its_flags = REQUESTS[whole]
    return *(joined_request(method, request) if method else (request, its_method)), flags | its_flags


def _joined_query(record: dict[str, Any], profile: Profile) -> str:
    """The query of a writer that logs it as an object."""
    parameters = record.get(profile.query_object)
    if not isinstance(parameters, dict):
        return ""
    return "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}"
        for name, value in parameters.items()
        if isinstance(value, str)
    )


def _range(said: Said) -> tuple[int | None, int | None, int | None]:
    """What was answered. A value that is none costs the range, not the hit; what a client asked for is none."""
    text = said.get("content_range")
    if text and text != "-":
        return content_range(text)
    text = said.get("range")
    if text and text != "-":
        if "/" in text:
            return content_range(text)
        first, _, last = text.partition("-")
        return *ends(first, last), None
    return *ends(said.get("lo") or "", said.get("hi") or ""), None


def _facts(said: Said, profile: Profile | None) -> int:
    """The flags of what the line says of the response."""
    flags = 0
    ended = said.get("ended")
    if ended is not None:
        flags = ending_of_field(ended, "" if profile is None else profile.name)
        if flags & _ENDED and _is_early(said):
            flags &= ~_ENDED
    encoding = said.get("content_encoding")
    if encoding is not None:
        flags |= ENCODINGS[encoding]
    ratio = said.get("compression_ratio")
    if ratio is not None:
        flags |= ratio_flags(ratio)
    kind = said.get("content_type")
    return flags if kind is None else flags | content_type_flags(kind)


_CMCD_HEADERS = ("cmcd_object", "cmcd_request", "cmcd_session", "cmcd_status")
_DURATIONS = {"duration_s": 1, "duration_ms": 1000, "duration_us": 10**6, "duration_ns": 10**9}


def _extras(of: Callable[..., dict[str, str]], said: Said) -> dict[str, str]:
    durations = (
        duration_s(text.removesuffix("s"), per_s)
        for name, per_s in _DURATIONS.items()
        if (text := said.get(name)) is not None
    )
    cmcd = [text for name in _CMCD_HEADERS if (text := said.get(name)) is not None]
    return of(
        **(read_cmcd(",".join(cmcd)) if cmcd else {}),
        cache_result=said.get("cache_result"),
        content_type=said.get("content_type"),
        duration_s=next(durations, None),
        edge=said.get("edge"),
        encoding=said.get("content_encoding"),
        referer=said.get("referer"),
        virtual_host=said.get("virtual_host"),
    )


def _length(text: str | None) -> int | None:
    """A Content-Length; None for none, or for what is no number: it costs the size, not the hit."""
    return int(text) if text is not None and len(text) < 20 and text.isascii() and text.isdigit() else None


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    """Raises ValueError where the field map is wrong."""
    return behind_prefix(RecordParser(options).read, options.heads)


FORMAT = Format(
    name="json",
    title="JSON lines; WEBLOGS_JSON_FIELDS maps fields to paths; nginx, Caddy, Traefik, Envoy, CDNs and others are known.",
    example=_EXAMPLE,
    make_parser=make_parser,
)
