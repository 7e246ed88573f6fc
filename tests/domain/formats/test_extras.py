"""Optional fields: each format gives those that its lines have, in one form, and none unless they are wanted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain import formats
from app.domain.extras import EXTRAS, chosen_extras
from app.domain.formats import FORMATS, FormatOptions
from tests.domain.formats.reading import read
from tests.together import together

ALL = FormatOptions(fields=",".join(EXTRAS))
CLF = '203.0.113.9 - - [31/Jul/2020:16:46:07 +0000] "GET /films/1.mp4 HTTP/1.1" 206 290'
PAGE = "https://example.com/"
NGINX = (
    'nginx:$remote_addr [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $host $request_time'
    ' $upstream_cache_status "$sent_http_content_encoding" "$sent_http_content_type"'
)
NGINX_LINE = f'203.0.113.9 [31/Jul/2020:16:46:07 +0000] "GET / HTTP/1.1" 200 5 "{PAGE}" "curl/8" example.com 0.003 HIT "gzip" "text/html"'
CASES: dict[str, tuple[str, str, dict[str, str]]] = {
    "common": ("common", CLF, {}),
    "combined": ("combined", f'{CLF} "{PAGE}" "curl/8"', {"referer": PAGE}),
    "combined without a referer": ("combined", f'{CLF} "-" "curl/8"', {}),
    "combined, damaged": ("combined", f'{CLF}  "{PAGE}"\t"curl/8"', {"referer": PAGE}),
    "virtual host": (
        "vhost_combined", f'example.com:443 {CLF} "{PAGE}" "curl/8"', {"referer": PAGE, "virtual_host": "example.com:443"},
    ),
    "range": ("combined_range", f'{CLF} "{PAGE}" "curl/8" "bytes 0-289/579"', {"referer": PAGE}),
    "cloudfront": (
        "cloudfront", FORMATS["cloudfront"].example.split("\n")[2],
        {"cache_result": "Hit", "content_type": "video/mp4", "duration_s": "0.001", "edge": "FRA2", "virtual_host": "example.com"},
    ),
    "cloudfront_realtime": (
        "cloudfront_realtime", FORMATS["cloudfront_realtime"].example.split("\n")[0],
        {
            "cache_result": "Hit", "content_type": "video/mp4", "duration_s": "0.003", "edge": "FRA2",
            "virtual_host": "d1.cloudfront.net",
        },
    ),
    "s3": (
        "s3", FORMATS["s3"].example.split("\n")[1].replace('9 8 "-"', f'9 8 "{PAGE}"'),
        {"duration_s": "0.009", "referer": PAGE, "virtual_host": "films.s3.amazonaws.com"},
    ),
    "squid": (
        "squid", FORMATS["squid"].example.split("\n")[0],
        {"cache_result": "TCP_MISS", "content_type": "video/mp4", "duration_s": "0.29"},
    ),
    "haproxy": ("haproxy", FORMATS["haproxy"].example.split("\n")[0], {"duration_s": "0.109"}),
    "alb": (
        "alb", FORMATS["alb"].example.split("\n")[0], {"duration_s": "0.001", "virtual_host": "films.example.com"},
    ),
    "json of nginx": (
        "json",
        json.dumps({
            "time": "2020-07-31T16:46:07Z", "remote_addr": "203.0.113.9", "request": "GET /a HTTP/1.1", "status": 200,
            "body_bytes_sent": 5, "request_time": 0.25, "http_referer": PAGE, "host": "example.com", "upstream_cache_status": "MISS",
            "sent_http_content_encoding": "br", "sent_http_content_type": "text/html",
        }),
        {
            "cache_result": "MISS", "content_type": "text/html", "duration_s": "0.25", "encoding": "br", "referer": PAGE,
            "virtual_host": "example.com",
        },
    ),
    "json of Caddy": (
        "json",
        json.dumps({
            "ts": 1596213967.25, "status": 200, "size": 5, "duration": 0.5, "resp_headers": {"Content-Type": ["text/html"]},
            "request": {"remote_ip": "203.0.113.9", "method": "GET", "uri": "/", "host": "example.com", "headers": {"Referer": [PAGE]}},
        }),
        {"content_type": "text/html", "duration_s": "0.5", "referer": PAGE, "virtual_host": "example.com"},
    ),
    "json of Traefik": (
        "json",
        json.dumps({
            "DownstreamStatus": 200, "RequestPath": "/", "RequestMethod": "GET", "ClientHost": "203.0.113.9", "Duration": 1500000,
            "StartUTC": "2020-07-31T16:46:07Z", "RequestHost": "example.com",
        }),
        {"duration_s": "0.0015", "virtual_host": "example.com"},
    ),
    "nginx's text": (
        NGINX, NGINX_LINE,
        {
            "cache_result": "HIT", "content_type": "text/html", "duration_s": "0.003", "encoding": "gzip", "referer": PAGE,
            "virtual_host": "example.com",
        },
    ),
    "Apache's text": (
        'apache:%v %h %t "%r" %>s %O "%{Referer}i" %D', f'example.com 203.0.113.9 [31/Jul/2020:16:46:07 +0000] "GET / HTTP/1.1" 200 5 "{PAGE}" 1500',
        {"duration_s": "0.0015", "referer": PAGE, "virtual_host": "example.com"},
    ),
    "HAProxy's text": (
        'haproxy:%ci [%trl] %{+Q}r %ST %B %Ta', '203.0.113.9 [31/Jul/2020:16:46:07 +0000] "GET / HTTP/1.1" 200 5 109', {"duration_s": "0.109"},
    ),
    "Squid's text": (
        "squid:squid", FORMATS["squid"].example.split("\n")[0],
        {"cache_result": "TCP_MISS", "content_type": "video/mp4", "duration_s": "0.29"},
    ),
    "Envoy's JSON": (
        'envoy:{"t": "%START_TIME%", "a": "%DOWNSTREAM_REMOTE_ADDRESS%", "m": "%REQ(:METHOD)%", "p": "%REQ(:PATH)%",'
        ' "s": "%RESPONSE_CODE%", "d": "%DURATION%", "h": "%REQ(:AUTHORITY)%"}',
        '{"t": "2020-07-31T16:46:07.000Z", "a": "203.0.113.9:80", "m": "GET", "p": "/", "s": 200, "d": 109, "h": "example.com"}',
        {"duration_s": "0.109", "virtual_host": "example.com"},
    ),
}  # fmt: skip
each_case = together(("name", "line", "extras"), CASES.values(), ids=CASES)


def parsed(name: str, line: str, options: FormatOptions) -> Any:
    return formats.get(name).make_parser((), options)(line)


@each_case
def test_a_line_gives_the_optional_fields_that_it_has(name: str, line: str, extras: dict[str, str]) -> None:
    assert parsed(name, line, ALL)[-1] == extras


@each_case
def test_the_other_fields_are_the_same_with_and_without_them(name: str, line: str, extras: dict[str, str]) -> None:
    plain = parsed(name, line, FormatOptions())
    assert plain == (*parsed(name, line, ALL)[:-1], {})


def test_only_wanted_fields_are_given() -> None:
    line = CASES["virtual host"][1]
    assert read("vhost_combined", line, (), FormatOptions(fields="referer")).extras == {"referer": PAGE}


GENERIC = {"time": "2020-07-31T16:46:07Z", "client_ip": "203.0.113.9", "request": "GET /a HTTP/1.1", "status": 200}
OF_NGINX = {**GENERIC, "remote_addr": "203.0.113.9", "body_bytes_sent": 5}


@together(
    ("record", "virtual_host"),
    [
        (GENERIC | {"host": "web-01"}, None),
        (GENERIC | {"host": "web-01.example.net", "vhost": "example.com"}, "example.com"),
        (GENERIC | {"host": {"name": "web-01"}, "url": {"domain": "example.com"}}, "example.com"),
        (OF_NGINX | {"host": "example.com"}, "example.com"),
        (OF_NGINX | {"host": "web-01", "http_host": "example.com:8080"}, "example.com:8080"),
        (OF_NGINX | {"host": "web-01", "server_name": "example.com"}, "example.com"),
        (OF_NGINX | {"host": "example.com", "server_name": "_"}, "example.com"),
        (OF_NGINX | {"host": "web-01", "@version": "1"}, None),
        (OF_NGINX | {"host": "web-01", "source_type": "file", "server_name": "example.com"}, "example.com"),
    ],
)
def test_a_host_is_the_virtual_host_only_where_its_writer_is_known_to_mean_that(
    record: dict[str, Any], virtual_host: str | None
) -> None:
    extras = {} if virtual_host is None else {"virtual_host": virtual_host}
    line = json.dumps(record)
    assert read("json", line, (), FormatOptions(fields="virtual_host")).extras == extras
    said = FormatOptions(fields="virtual_host", json_fields="virtual_host=host")
    told = record["host"] if isinstance(record["host"], str) else None
    assert read("json", line, (), said).extras == ({} if told is None else {"virtual_host": told})


def test_iis_counts_milliseconds() -> None:
    head = "#Fields: date time cs-method cs-uri-stem c-ip sc-status time-taken cs(Referer) cs-host"
    line = f"2020-07-31 16:46:07 GET /a 203.0.113.9 200 290 {PAGE} example.com"
    extras = {"duration_s": "0.29", "referer": PAGE, "virtual_host": "example.com"}
    assert read("w3c", line, (head,), ALL).extras == extras


def test_a_name_that_is_none_is_named_with_what_comes_close() -> None:
    with pytest.raises(ValueError, match=r"^'referrer' is no optional field; did you mean referer\?$"):
        chosen_extras("edge,referrer")
