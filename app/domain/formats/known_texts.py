"""Logs whose format string is known: what a server or a CDN writes where nobody has configured another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.format_strings import compiled

__all__ = ["BUNNY", "ENVOY", "GOROUTER", "NGINX_PROXY_MANAGER"]

_ENVOY_LINES = """\
[2020-07-31T16:46:07.059Z] "GET /films/1.mp4 HTTP/2" 200 - 0 579 12 10 "203.0.113.9" "curl/8.5.0" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "films.example.com" "10.0.2.1:80"
[2020-07-31T16:46:09.310Z] "GET /films/1.mp4 HTTP/2" 200 DC via_upstream - "-" 0 290 12 10 "203.0.113.9" "curl/8.5.0" "84961386-6d84-929d-98bd-c5aee93b5c88" "films.example.com" "10.44.1.27:80" inbound|80|| 127.0.0.6:41854 10.44.1.27:80 10.44.1.1:0 outbound_.80_._.films.default.svc.cluster.local default"""
_BUNNY_TEXT = (
    "nginx:$upstream_cache_status|$status|$msec|$body_bytes_sent|$pid|$remote_addr|$http_referer|$request_uri|$hostname"
    "|$http_user_agent|$request_id|$geoip_country_code"
)
_BUNNY_LINES = """\
HIT|206|1596213967059|290|390|203.0.113.9|-|https://films.b-cdn.net/films/1.mp4|DE|curl/8.5.0|322b688bd63fb63f2babe9de30a5d262|DE
MISS|200|1596213969310|579|390|203.0.113.9|https://example.com/|https://films.b-cdn.net/films/1.mp4|DE|Mozilla/5.0 (X11)|8efede47e85d3f1f6ea7a4dde0ee2b97|DE"""
_GOROUTER_TEXT = (
    'nginx:$host - [$time_iso8601] "$request" $status $request_length $body_bytes_sent "$http_referer" "$http_user_agent"'
    ' "$remote_addr" "$upstream_addr" x_forwarded_for:"$http_x_forwarded_for" $http_rest'
)
_GOROUTER_LINES = """\
films.example.com - [2020-07-31T16:46:07.059123Z] "GET /films/1.mp4 HTTP/1.1" 206 0 290 "-" "curl/8.5.0" "10.0.1.2:34567" "10.0.1.4:61012" x_forwarded_for:"203.0.113.9" x_forwarded_proto:"https" vcap_request_id:"322b688b" response_time:0.012 app_id:"8efede47"
films.example.com - [2020-07-31T16:46:09.310022Z] "GET /films/1.mp4 HTTP/1.1" 206 0 289 "-" "curl/8.5.0" "10.0.1.2:34568" "10.0.1.4:61012" x_forwarded_for:"203.0.113.9" x_forwarded_proto:"https" vcap_request_id:"de30a5d2" response_time:0.011 app_id:"8efede47\""""
_NPM_TEXT = (
    'nginx:[$time_local] {}$status - $request_method $scheme $host "$request_uri" [Client $remote_addr] [Length $body_bytes_sent]'
    ' [Gzip $gzip_ratio]{} "$http_user_agent" "$http_referer"'
)
_NPM_LINES = """\
[31/Jul/2020:16:46:07 +0000] - 206 206 - GET https films.example.com "/films/1.mp4" [Client 203.0.113.9] [Length 290] [Gzip -] [Sent-to 192.0.2.1] "curl/8.5.0" "-"
[31/Jul/2020:16:46:09 +0000] 206 - GET https films.example.com "/films/1.mp4" [Client 203.0.113.9] [Length 289] [Gzip -] "curl/8.5.0" "-\""""


def _one_of(*texts: str) -> Callable[[Sequence[str], FormatOptions], LineParser]:
    """Of a line the first of these texts that fits, the one that fitted last before all others."""

    def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
        parsers = [compiled(text).format.make_parser(head, options) for text in texts]

        def parse(line: str) -> tuple[Any, ...] | None:
            refused: BadLine | None = None
            try:
                for at, each in enumerate(parsers):
                    try:
                        found = each(line)
                    except BadLine as bad:
                        # of a line that has the columns of one, its own reason is told
                        refused = bad if refused is None or refused.reason == "bad_columns" else refused
                        continue
                    if at:
                        parsers.insert(0, parsers.pop(at))
                    return found
                assert refused is not None, "there is a text"
                raise refused
            finally:
                del refused  # a frame and an error that name each other: see read_behind

        return parse

    return make_parser


ENVOY = Format(
    name="envoy",
    title="Envoy's default text, and Istio's; the client is the forwarded one, and the flags say which responses broke off.",
    example=_ENVOY_LINES,
    make_parser=_one_of("envoy:default", "envoy:istio"),
)
BUNNY = Format(
    name="bunny",
    title="Bunny CDN's log: cache, status, milliseconds, bytes, zone, client, referer, URL, place, agent, id, country between |.",
    example=_BUNNY_LINES,
    make_parser=_one_of(_BUNNY_TEXT),
)
NGINX_PROXY_MANAGER = Format(
    name="nginx_proxy_manager",
    title="Nginx Proxy Manager's two texts, for hosts that it proxies and for others; there are no ranges.",
    example=_NPM_LINES,
    make_parser=_one_of(
        _NPM_TEXT.format("$upstream_cache_status $upstream_status ", " [Sent-to $server]"), _NPM_TEXT.format("", "")
    ),
)
GOROUTER = Format(
    name="gorouter",
    title="Cloud Foundry's router; the client is the forwarded one. There are no ranges and no sizes.",
    example=_GOROUTER_LINES,
    make_parser=_one_of(_GOROUTER_TEXT),
)
