"""nginx: the text of `log_format`, made of $variables (ngx_http_log_module, ngx_http_core_module)."""

from __future__ import annotations

import re

from app.domain.formats.format_strings.words import (
    COLUMN,
    TEXT_COLUMN,
    Ended,
    Piece,
    Role,
    Variable,
    Word,
    all_bytes,
    body_bytes,
    cut,
    request_header,
    response_header,
)

__all__ = ["NAMED", "WORDS", "pieces"]

WORDS = {
    "remote_addr": Word(Role.CLIENT),
    "realip_remote_addr": Word(Role.CLIENT, rank=3),
    "proxy_protocol_addr": Word(Role.CLIENT, rank=1),
    "proxy_add_x_forwarded_for": Word(Role.FORWARDED, several=True),
    "time_local": Word(Role.TIME, clock="clf"),
    "time_iso8601": Word(Role.TIME, clock="iso", rank=1),
    "msec": Word(Role.TIME, clock="epoch", rank=-1),
    "request": Word(Role.REQUEST, text=True),
    "request_method": Word(Role.METHOD),
    "request_uri": Word(Role.TARGET),
    "uri": Word(Role.TARGET, rank=1),
    "document_uri": Word(Role.TARGET, rank=1),
    "args": Word(Role.QUERY),
    "query_string": Word(Role.QUERY),
    "server_protocol": Word(Role.PROTOCOL),
    "status": Word(Role.STATUS),
    "body_bytes_sent": body_bytes(),
    "bytes_sent": all_bytes(),
    "request_completion": Word(Role.ENDED, ended=Ended.OK_OR_EMPTY),
    "request_time": Word(Role.DURATION),
    "upstream_cache_status": Word(Role.CACHE_RESULT),
    "host": Word(Role.VIRTUAL_HOST),
    "server_name": Word(Role.VIRTUAL_HOST, rank=2),
    "remote_user": TEXT_COLUMN,
    "request_body": TEXT_COLUMN,
    **dict.fromkeys(
        (
            "upstream_addr", "upstream_status", "upstream_response_time", "upstream_connect_time", "upstream_header_time",
            "upstream_response_length", "upstream_bytes_received", "upstream_bytes_sent",
            "upstream_first_byte_time", "upstream_session_time", "upstream_queue_time",
        ),
        Word(Role.NONE, several=True),
    ),
    **dict.fromkeys(
        (
            "binary_remote_addr", "remote_port", "server_addr", "server_port", "hostname", "scheme", "https",
            "is_args", "pipe", "pid", "connection", "connection_requests", "connection_time", "request_length",
            "request_id", "request_filename", "document_root", "realpath_root", "content_length", "content_type", "limit_rate",
            "nginx_version", "tcpinfo_rtt", "tcpinfo_rttvar", "tcpinfo_snd_cwnd", "tcpinfo_rcv_space", "gzip_ratio", "http2", "http3",
            "proxy_host", "proxy_port", "proxy_protocol_port", "proxy_protocol_server_addr", "proxy_protocol_server_port",
            "realip_remote_port", "slice_range", "uid_got", "uid_set", "invalid_referer", "modern_browser", "ancient_browser", "msie",
            "server_alpn", "request_port", "is_request_port", "limit_req_status", "limit_conn_status",
        ),
        COLUMN,
    ),
}  # fmt: skip
"""Name without `$` to its meaning. Headers are no words of the server."""

NAMED = {
    "combined": '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"',
}
"""Formats that the server knows by name."""

_VARIABLE = re.compile(r"\$(?:\{([a-zA-Z0-9_]+)\}|([a-zA-Z0-9_]+))")
_FAMILIES = (
    "cookie_", "arg_", "ssl_", "upstream_", "geoip_", "geoip2_", "jwt_", "otel_", "spdy", "sent_trailer_",
    "proxy_protocol_tlv_",
)  # fmt: skip


def _word(name: str) -> tuple[Word, bool]:
    if name in WORDS:
        return WORDS[name], True
    if name.startswith("http_"):
        return request_header(name[5:]), True
    if name.startswith("sent_http_"):
        return response_header(name[10:]), True
    # what the server behind answered may be another range than what the client got
    return TEXT_COLUMN, name.startswith(_FAMILIES)


def pieces(text: str) -> list[Piece]:
    """The pieces of a text.

    >>> [piece.name for piece in pieces('$remote_addr - "$request"') if isinstance(piece, Variable)]
    ['$remote_addr', '$request']
    """
    return cut(text, _VARIABLE, lambda found: [Variable(found[0], *_word((found[1] or found[2]).lower()))])
