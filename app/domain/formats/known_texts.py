"""Logs whose format string is known: what a server or a CDN writes where nobody has configured another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.format_strings import compiled

__all__ = [
    "ACTIX",
    "ALIBABA_CDN",
    "BUNNY",
    "ENVOY",
    "GIN",
    "GOROUTER",
    "HUAWEI_CDN",
    "KINSTA",
    "NGINX_PROXY_MANAGER",
    "OAUTH2_PROXY",
    "TENCENT_CDN",
    "WP_ENGINE",
]

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


def _with_more(text: str) -> tuple[str, str]:
    """A text in Apache's words as it is, and with columns behind it."""
    return f"apache:{text}", f"apache:{text} %{{more}}n"


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
# Of these vendors it is not documented what their bytes count: as with Apache's %b, they prove nothing.
ALIBABA_CDN = Format(
    name="alibaba_cdn",
    title="Offline log of Alibaba Cloud's CDN; what its bytes count is not documented, and there are no ranges.",
    example="\n".join(
        f'[31/Jul/2020:16:46:{second} +0800] 203.0.113.9 - 12 "-" "GET http://films.example.com/films/1.mp4" {rest} HIT "curl/8.5.0" "video/mp4"'
        for second, rest in (("07", "200 191 891"), ("09", "206 191 602"))
    ),
    make_parser=_one_of(
        *_with_more('%t %h %{proxy}n %{ms}T "%{Referer}i" "%r" %>s %I %b %{hit}n "%{User-Agent}i" "%{Content-Type}o"')
    ),
)
HUAWEI_CDN = Format(
    name="huawei_cdn",
    title="Offline log of Huawei Cloud's CDN; what its bytes count is not documented, and the range is the one asked for.",
    example="\n".join(
        f'[31/Jul/2020:16:46:{second} +0800] 203.0.113.9 12 "-" "HTTP/1.1" "GET" "films.example.com" "/films/1.mp4" {rest}'
        for second, rest in (
            ("07", '200 891 HIT "curl/8.5.0" "-"'),
            ("09", '206 602 HIT "curl/8.5.0" "bytes=-290" 192.0.2.1'),
        )
    ),
    make_parser=_one_of(
        *_with_more('%t %h %{ms}T "%{Referer}i" "%H" "%m" "%{Host}i" "%U" %>s %b %{hit}n "%{User-Agent}i" "%{Range}i"')
    ),
)
TENCENT_CDN = Format(
    name="tencent_cdn",
    title="Offline log of Tencent Cloud's CDN; what its bytes count is not documented, and the range is the one asked for.",
    example="\n".join(
        f'202007311646{second} 203.0.113.9 films.example.com /films/1.mp4 {sent} 1 2 {status} NULL 12 "curl/8.5.0" "{asked}" GET HTTP/1.1 hit 51234'
        for second, sent, status, asked in (("07", 891, 200, "NULL"), ("09", 602, 206, "bytes=290-"))
    ),
    make_parser=_one_of(
        "apache:%{%Y%m%d%H%M%S}t %h %v %U %b %{province}n %{isp}n %>s %{Referer}i %{ms}T"
        ' "%{User-Agent}i" "%{Range}i" %m %H %{hit}n %{port}n'
    ),
)
WP_ENGINE = Format(
    name="wp_engine",
    title="nginx at WP Engine: columns between |, without agent, ranges and sizes; it proves no download.",
    example="31/Jul/2020:16:46:07 +0000|v1|203.0.113.9|films.example.com|206|290|127.0.0.1:6788|0.1|0.2|GET /films/1.mp4 HTTP/1.1||\n"
    "31/Jul/2020:16:46:09 +0000|v1|203.0.113.9|films.example.com|200|579|127.0.0.1:6788|0.1|0.2|GET /films/1.mp4 HTTP/1.1||",
    make_parser=_one_of(
        "apache:%{%d/%b/%Y:%H:%M:%S %z}t|v1|%h|%v|%>s|%b|%{upstream}n|%{upstream_time}n|%T|%r|%{more}n|%{rest}n"
    ),
)
KINSTA = Format(
    name="kinsta",
    title="nginx at Kinsta: without bytes, so it proves no download.",
    example="\n".join(
        f'films.example.com 203.0.113.9 [31/Jul/2020:16:46:{second} +0000] GET "/films/1.mp4" HTTP/1.1 {status} "-" "curl/8.5.0" - "/films/1.mp4" - - 0.123 0.120'
        for second, status in (("07", 200), ("09", 206))
    ),
    make_parser=_one_of('apache:%v %h %t %m "%U" %H %>s "%{Referer}i" "%{User-Agent}i" %{rest}n'),
)
ACTIX = Format(
    name="actix",
    title="actix-web behind env_logger; its bytes count the body that the application made, whatever was sent.",
    example="\n".join(
        f'[2020-07-31T16:46:{second}Z INFO  actix_web::middleware::logger] 203.0.113.9 "GET /films/1.mp4 HTTP/1.1" {rest} "-" "curl/8.5.0" 0.000123'
        for second, rest in (("07", "200 579"), ("09", "206 290"))
    ),
    make_parser=_one_of('apache:[%{%Y-%m-%dT%H:%M:%S}tZ %{level}n] %h "%r" %s %b "%{Referer}i" "%{User-Agent}i" %T'),
)
OAUTH2_PROXY = Format(
    name="oauth2_proxy",
    title="oauth2-proxy's requests, with an id or without; there are no ranges.",
    example='203.0.113.9 - 6f7f8b9d - ann@example.com [2020/07/31 16:46:07] films.example.com GET - "/films/1.mp4" HTTP/1.1 "curl/8.5.0" 200 579 0.123\n'
    '203.0.113.9 - ann@example.com [2020/07/31 16:46:09] films.example.com GET - "/films/1.mp4" HTTP/1.1 "curl/8.5.0" 206 290 0.123',
    make_parser=_one_of(
        *(
            f'h2o:%h - {request_id}%u [%{{%Y/%m/%d %H:%M:%S}}t] %v %m %{{upstream}}n "%U" %H "%{{User-Agent}}i" %s %b %T'
            for request_id in ("%{id}n - ", "")
        )
    ),
)
GIN = Format(
    name="gin",
    title="Gin's log of requests: without bytes and agent, so it proves no download.",
    example="\n".join(
        f'[GIN] 2020/07/31 - 16:46:{second} | {status} |    1.234567ms |     203.0.113.9 | GET      "/films/1.mp4"'
        for second, status in (("07", 200), ("09", 206))
    ),
    make_parser=_one_of('apache:[GIN] %{%Y/%m/%d - %H:%M:%S}t | %s | %{took}n | %h | %m "%U"'),
)
