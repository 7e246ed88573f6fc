"""A format string is compiled to a reader of the lines that it describes, by the meaning of the server's own words."""

from __future__ import annotations

import json
import math
import time as clocks
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.formats import FORMATS, BadLine, FormatOptions
from app.domain.formats.format_strings import MAX_CHARS, SERVERS, FormatTextError, compiled, is_format_string
from app.domain.records import REASONS, HitFlag, Parsed
from tests.domain.formats.format_string_lines import damaged, formats_with_lines
from tests.properties import examples, part
from tests.together import together

CASES = Path(__file__).resolve().parents[2] / "data" / "cases" / "real_servers.jsonl"
H, A, E, N, TWO = HitFlag.HEADERS_COUNTED, HitFlag.ABORTED, HitFlag.ENDED, HitFlag.ANNOUNCED, HitFlag.HTTP2
ENCODED, PLAIN, MULTIPART = HitFlag.ENCODED, HitFlag.PLAIN, HitFlag.PLACELESS
HTTPLOG = (
    "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 206 2750 - - {ts} 1/1/1/1/0 0/0 "
    '{{curl/8}} {{bytes 0-2499/5000}} "GET /a HTTP/1.1"'
)


def read(text: str, line: str) -> Parsed:
    values = compiled(text).format.make_parser((), FormatOptions())(line)
    assert type(values) is tuple
    return Parsed._make(values)


def flags(text: str, line: str) -> int:
    return read(text, line).flags


NGINX = '$remote_addr [$time_local] "$request" $status '
NGINX_LINE = '203.0.113.9 [31/Jul/2020:16:46:07 +0000] "GET /a HTTP/1.1" 200 '
APACHE = 'apache:%h %l %u %t "%r" %>s '
APACHE_LINE = '203.0.113.9 - - [31/Jul/2020:16:46:07 +0000] "GET /a HTTP/1.1" 200 '
APACHE_LINE_2 = APACHE_LINE.replace("HTTP/1.1", "HTTP/2.0")
SQUID = "%ts.%03tu %>a %rm %ru %>Hs "
SQUID_LINE = "1596213967.250 203.0.113.9 GET http://a.example/b 200 "
HAPROXY = "%ci [%trl] %{+Q}r %ST "
ENVOY = '%START_TIME% %DOWNSTREAM_REMOTE_ADDRESS% "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% '
ENVOY_LINE = '2020-07-31T16:46:07.250Z 203.0.113.9:4711 "GET /a HTTP/1.1" 200 '


# -- what bytes a column counts, and how a response ended


@together(
    ("text", "line", "sent", "said"),
    [
        (NGINX + "$body_bytes_sent", NGINX_LINE + "500", 500, 0),
        (
            NGINX + "$body_bytes_sent $sent_http_content_length $request_completion",
            NGINX_LINE + "500 - OK",
            500,
            E | HitFlag.UNSIZED,
        ),
        (NGINX + "$body_bytes_sent $sent_http_content_length $request_completion", NGINX_LINE + "500 500 OK", 500, E),
        (APACHE.replace("apache", "tomcat") + "%b %X", APACHE_LINE + "500 +", 500, N),
        (APACHE.replace("apache", "tomcat") + "%B %X", APACHE_LINE + "500 X", 500, N | A),
        (APACHE.replace("apache", "tomcat-no-sendfile") + "%B %X", APACHE_LINE + "500 +", 500, E),
        (APACHE.replace("apache", "tomcat-no-sendfile") + "%b %D", APACHE_LINE + "- 12", 0, 0),
        ('%{client}a - %u %t "%r" %s %{CLF}O %X', APACHE_LINE + "500 +", 500, N | E),
        ('%h %l %u %t "%r" %s %b "%{o,Content-Encoding}"', APACHE_LINE + '500 "gzip"', 500, ENCODED),
        (NGINX + "$bytes_sent", NGINX_LINE + "500", 500, H),
        (NGINX + "$bytes_sent $body_bytes_sent", NGINX_LINE + "700 500", 500, 0),
        (APACHE + "%b", APACHE_LINE + "500", 500, N),
        (APACHE + "%b", APACHE_LINE + "-", 0, N),
        (APACHE + "%B", APACHE_LINE + "500", 500, N),
        (APACHE + "%O", APACHE_LINE + "500", 500, H),
        (APACHE + "%b %O", APACHE_LINE + "500 700", 700, H),
        (APACHE.replace("apache", "lighttpd") + "%b", APACHE_LINE + "500", 500, 0),
        (APACHE.replace("apache", "h2o") + "%b", APACHE_LINE + "500", 500, 0),
        (APACHE.replace("apache", "varnish") + "%b", APACHE_LINE + "500", 500, N),
        (HAPROXY + "%B", NGINX_LINE + "500", 500, H),
        (SQUID + "%<st", SQUID_LINE + "500", 500, H),
        (ENVOY + "%BYTES_SENT%", ENVOY_LINE + "500", 500, 0),
        (NGINX, NGINX_LINE, None, 0),
    ],
)
def test_the_word_tells_which_bytes_are_counted(text: str, line: str, sent: int | None, said: int) -> None:
    found = read(text, line)
    assert (found.bytes_sent, found.flags) == (sent, said)


@together(
    ("text", "line", "said"),
    [
        (NGINX + "$request_completion", NGINX_LINE + "OK", E),
        (NGINX + "$request_completion", NGINX_LINE, A),
        (NGINX + '"$request_completion"', NGINX_LINE + '""', A),
        (NGINX + '"$request_completion"', NGINX_LINE + '"-"', A),
        (APACHE + "%X", APACHE_LINE + "X", A),
        (APACHE + "%X", APACHE_LINE + "+", E),
        (APACHE + "%X", APACHE_LINE + "-", E),
        (APACHE + "%X", APACHE_LINE_2 + "X", TWO),
        (APACHE + "%X", APACHE_LINE_2 + "+", TWO),
        (APACHE.replace("apache", "lighttpd") + "%X", APACHE_LINE + "X", A),
        (HAPROXY + "%ts", NGINX_LINE + "--", E),
        (HAPROXY + "%ts", NGINX_LINE + "CD", A),
        (HAPROXY + "%tsc", NGINX_LINE + "SD--", A),
        (HAPROXY + "%tsc", NGINX_LINE + "----", E),
        (HAPROXY + "%ts", NGINX_LINE + "cD", A),
        (HAPROXY + "%ts", NGINX_LINE + "LR", 0),
        (HAPROXY + "%ts", NGINX_LINE + "PR", 0),
        (SQUID + "%Ss", SQUID_LINE + "TCP_MISS_ABORTED", A),
        (SQUID + "%Ss", SQUID_LINE + "TCP_MISS", 0),
        (SQUID + "%Ss/%03>Hs", SQUID_LINE + "TCP_HIT_ABORTED/200", A),
        (ENVOY + "%RESPONSE_FLAGS%", ENVOY_LINE + "DC", A),
        (ENVOY + "%RESPONSE_FLAGS%", ENVOY_LINE + "UF,DC", A),
        (ENVOY + "%RESPONSE_FLAGS%", ENVOY_LINE + "-", 0),
    ],
)
def test_the_servers_own_word_for_the_end_is_understood(text: str, line: str, said: int) -> None:
    assert flags(text, line) == said


@pytest.mark.parametrize(
    ("request_text", "said"),
    [("GET /a HTTP/1.1", 0), ("GET /a HTTP/2.0", TWO), ("GET /a HTTP/2", TWO), ("GET /a HTTP/3.0", TWO), ("GET /a", 0)],
)
def test_a_later_protocol_is_flagged_from_the_request_line(request_text: str, said: int) -> None:
    assert flags(NGINX, NGINX_LINE.replace("GET /a HTTP/1.1", request_text)) == said


@pytest.mark.parametrize(("protocol", "said"), [("HTTP/1.1", 0), ("HTTP/2.0", TWO), ("h2", TWO), ("HTTP/3", TWO)])
def test_a_later_protocol_is_flagged_from_a_column_of_its_own(protocol: str, said: int) -> None:
    assert flags(NGINX + "$server_protocol", NGINX_LINE + protocol) == said


# -- what the response was


@pytest.mark.parametrize(
    ("encoding", "said"), [("gzip", ENCODED), ("br", ENCODED), ("identity", PLAIN), ("-", PLAIN), ("gzip, br", ENCODED)]
)
def test_an_encoding_is_flagged_and_so_is_that_there_was_none(encoding: str, said: int) -> None:
    assert flags(NGINX + '"$sent_http_content_encoding"', NGINX_LINE + f'"{encoding}"') == said
    assert flags(APACHE + '"%{Content-Encoding}o"', APACHE_LINE + f'"{encoding}"') == said


def test_an_answer_of_several_ranges_is_flagged() -> None:
    assert flags(NGINX + '"$sent_http_content_type"', NGINX_LINE + '"multipart/byteranges; boundary=1"') == MULTIPART
    assert flags(NGINX + '"$sent_http_content_type"', NGINX_LINE + '"video/mp4"') == 0


@pytest.mark.parametrize(
    ("line", "total"),
    [
        (NGINX_LINE, 500),
        (NGINX_LINE.replace(" 200 ", " 206 "), None),
        (NGINX_LINE.replace("GET", "POST"), None),
        (NGINX_LINE.replace(" 200 ", " 304 "), None),
    ],
)
def test_a_content_length_is_the_size_of_a_whole_answer_to_a_get(line: str, total: int | None) -> None:
    assert read(NGINX + "$sent_http_content_length", line + "500").total_bytes == total


def test_the_length_of_an_encoded_answer_is_no_size() -> None:
    text = NGINX + "$sent_http_content_length $sent_http_content_encoding"
    assert read(text, NGINX_LINE + "500 gzip").total_bytes is None
    assert read(text, NGINX_LINE + "500 -").total_bytes == 500


def test_a_content_range_goes_before_the_length_and_stays_with_a_200() -> None:
    text = NGINX + '$sent_http_content_length "$sent_http_content_range"'
    assert read(text, NGINX_LINE.replace("200", "206") + '50 "bytes 10-59/900"')[6:10] == (10, 59, None, 900)
    assert read(text, NGINX_LINE + '50 "bytes 10-59/900"')[6:10] == (10, 59, None, 900)


@pytest.mark.parametrize(
    "header", ["items 0-4/9", "bytes=0-", "bytes 9-1/20", "bytes x", "bytes 0-" + "9" * 5000 + "/*"]
)
def test_a_header_that_is_no_range_of_bytes_costs_the_range_and_not_the_hit(header: str) -> None:
    assert read(NGINX + '"$sent_http_content_range"', NGINX_LINE + f'"{header}"')[6:10] == (None, None, None, None)


def test_what_was_asked_for_and_what_a_server_behind_answered_is_no_range() -> None:
    text = NGINX + '"$http_range" "$upstream_http_content_range"'
    assert read(text, NGINX_LINE + '"bytes=0-4" "bytes 0-4/9"')[6:10] == (None, None, None, None)
    assert any("$sent_http_content_range" in sentence for sentence in compiled(text).warnings)


# -- clients


@pytest.mark.parametrize(
    ("column", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("-", None),
        ("host.example", "host.example"),
    ],
)
def test_the_client_is_the_address_without_its_port(column: str, client: str | None) -> None:
    assert read("nginx:" + NGINX, NGINX_LINE.replace("203.0.113.9", column)).ip_address == client


@pytest.mark.parametrize(
    ("connection", "forwarded", "client"),
    [
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "8.8.4.4, 8.8.8.8, 10.0.0.2", "8.8.8.8"),
        ("10.0.0.1", "-", "10.0.0.1"),
        ("8.8.8.8", "198.51.100.7", "8.8.8.8"),
        ("127.0.0.1", "10.0.0.5, 10.0.0.2", "10.0.0.5"),
    ],
)
def test_behind_a_proxy_the_client_is_the_rightmost_address_that_is_no_proxys(
    connection: str, forwarded: str, client: str
) -> None:
    forwarded = forwarded.replace("198.51.100.7", "1.2.3.4")
    text = NGINX + '"$http_x_forwarded_for"'
    found = read(text, NGINX_LINE.replace("203.0.113.9", connection) + f'"{forwarded}"')
    assert found.ip_address == client.replace("198.51.100.7", "1.2.3.4")


def test_an_address_with_colons_before_a_port_is_read_whole() -> None:
    assert (
        read(
            "apache:%a:%{remote}p " + '%t "%r" %>s', '::1:4711 [31/Jul/2020:16:46:07 +0000] "GET /a HTTP/1.1" 200'
        ).ip_address
        == "::1"
    )


# -- times


@together(
    ("text", "written", "time"),
    [
        ("nginx:$time_iso8601", "2020-07-31T16:46:07+02:00", 1596206767.0),
        ("nginx:$msec", "1596213967.250", 1596213967.25),
        ("nginx:[$time_local] $msec", "[31/Jul/2020:16:46:07 +0000] 1596213967.250", 1596213967.25),
        ("apache:%t", "[31/Jul/2020:16:46:07 +0000]", 1596213967.0),
        ("apache:%{sec}t", "1596213967", 1596213967.0),
        ("apache:%{msec}t", "1596213967250", 1596213967.25),
        ("apache:%{usec}t", "1596213967250000", 1596213967.25),
        ("apache:%{sec}t.%{msec_frac}t", "1596213967.250", 1596213967.25),
        ("apache:[%{%d/%b/%Y:%T}t.%{msec_frac}t %{%z}t]", "[31/Jul/2020:16:46:07.250 +0000]", 1596213967.25),
        ("apache:%{begin:%Y-%m-%dT%H:%M:%S%z}t", "2020-07-31T18:46:07+0200", 1596213967.0),
        ("apache:%{%d.%m.%y %I:%M:%S %p}t", "31.07.20 04:46:07 PM", 1596213967.0),
        ("haproxy:[%t]", "[31/Jul/2020:16:46:07.250]", 1596213967.25),
        ("haproxy:[%T]", "[31/Jul/2020:16:46:07 +0000]", 1596213967.0),
        ("squid:%ts.%03tu", "1596213967.250", 1596213967.25),
        ("squid:[%tl]", "[31/Jul/2020:16:46:07 +0000]", 1596213967.0),
        ("squid:%{%Y-%m-%d %H:%M:%S}tg", "2020-07-31 16:46:07", 1596213967.0),
        ("envoy:[%START_TIME%]", "[2020-07-31T16:46:07.250Z]", 1596213967.25),
        ("envoy:%START_TIME(%s.%3f)%", "1596213967.250", 1596213967.25),
    ],
)
def test_times_are_read_as_the_word_says_they_are_written(text: str, written: str, time: float) -> None:
    server, _, words = text.partition(":")
    rest = {
        "nginx": ' $remote_addr "$request" $status',
        "apache": ' %h "%r" %>s',
        "haproxy": " %ci %{+Q}r %ST",
        "squid": ' %>a "%rm %ru HTTP/%rv" %>Hs',
        "envoy": ' %DOWNSTREAM_REMOTE_ADDRESS% "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE%',
    }[server]
    line = f'{written} 203.0.113.9 "GET /a HTTP/1.1" 200'
    found = read(f"{server}:{words}{rest}", line)
    assert (found.time, found.ip_address, found.request, found.status) == (time, "203.0.113.9", "GET /a", 200)


def test_a_time_without_a_zone_is_read_as_utc_and_that_is_said() -> None:
    assert "the time has no zone: it is read as UTC" in compiled("haproxy:httplog").warnings


@pytest.mark.parametrize("bad", ["[-]", "[31/Foo/2020:16:46:07 +0000]", "[]", "[99/Jul/2020:16:46:07 +0000]"])
def test_a_time_that_is_none_is_rejected_as_bad_time(bad: str) -> None:
    with pytest.raises(BadLine) as caught:
        read(NGINX, NGINX_LINE.replace("[31/Jul/2020:16:46:07 +0000]", bad))
    assert caught.value.reason == "bad_time"


# -- which server, and what is around the text


@together(
    ("text", "server"),
    [
        ('$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent', "nginx"),
        ('%h %l %u %t \\"%r\\" %>s %b', "apache"),
        ("%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %hr %hs %{+Q}r", "haproxy"),
        ("%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt", "squid"),
        ("[%START_TIME%] %DOWNSTREAM_REMOTE_ADDRESS% %REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE%", "envoy"),
        ("{ts} {request>remote_ip} {request>method} {request>uri} {status}", "caddy"),
        (
            '{"t": "%START_TIME%", "c": "%DOWNSTREAM_REMOTE_ADDRESS%", "p": "%REQ(:PATH)%", "s": "%RESPONSE_CODE%"}',
            "envoy",
        ),
        ('{"t":"%{%Y-%m-%dT%H:%M:%S%z}t","ip":"%a","request":"%r","status":"%>s"}', "apache"),
        ("log_format main '$remote_addr [$time_local] '\n    '\"$request\" $status';", "nginx"),
        ('LogFormat "%h %t \\"%r\\" %>s" mine', "apache"),
        ('accesslog.format = "%h %t \\"%r\\" %>s %b"', "lighttpd"),
        ('log-format "%ci [%trl] %{+Q}r %ST"', "haproxy"),
        ("logformat mine %>a [%tl] %rm %ru %>Hs", "squid"),
        ("lighttpd:default", "lighttpd"),
        ("varnish:default", "varnish"),
        ("nginx:combined", "nginx"),
    ],
)
def test_the_words_or_what_stands_before_them_tell_the_server(text: str, server: str) -> None:
    assert compiled(text).server == server


@together(("server", "name"), [(server.name, name) for server in SERVERS.values() for name in server.named])
def test_a_format_known_by_name_compiles_without_a_word_that_is_not_known(server: str, name: str) -> None:
    assert not any("not known" in sentence for sentence in compiled(f"{server}:{name}").warnings)


@together("text", [NGINX, APACHE, HAPROXY, SQUID, ENVOY, "nginx:combined", "squid:squid", 'LogFormat "%h %t %r %>s" x'])
def test_the_name_of_a_compiled_format_compiles_to_the_same(text: str) -> None:
    first = compiled(text)
    again = compiled(first.format.name)
    assert (again.format.name, again.server, again.warnings) == (first.format.name, first.server, first.warnings)


@together(
    ("text", "told"),
    [
        ("$remote_addr $status", ["no time", "no request", "$time_local", '"$request"']),
        ('%t "%r" %>s', ["no client", "%h"]),
        ('%h %t "%r"', ["no status", "%>s"]),
        ("combined", ["several servers", "nginx:combined", "apache:combined"]),
        ("nothing", ["no word of a server", "nginx:"]),
        ("", ["no word of a server"]),
        ("apache:nothing at all", ["no time"]),
        ("$remote_addr$time_local $request $status", ["nothing stands between", "$remote_addr"]),
        ("%h %t %r %>s %{User-Agent}i %{Content-Range}o x", ["hold blanks", "%{User-Agent}i"]),
        ('apache:%h %{%d/%b}t "%r" %>s', ["no year", "no hour"]),
        ('apache:%h %{%Q}t "%r" %>s', ["%Q"]),
        ('envoy:{"t": "%START_TIME%"', ["JSON"]),
        ('envoy:{"t": "%START_TIME% %RESPONSE_CODE%"}', ["more than one word"]),
        ("$remote_addr " * 1000, ["characters"]),
        ("nginx:" + "$a " * 200, ["words"]),
        ("log_format x '$remote_addr", ["closing quote"]),
    ],
)
def test_a_text_that_lines_can_not_be_read_by_is_refused_with_a_sentence(text: str, told: list[str]) -> None:
    with pytest.raises(FormatTextError) as caught:
        compiled(text)
    assert all(piece in str(caught.value) for piece in told), str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_word_that_is_not_known_is_passed_over_and_named() -> None:
    text = NGINX + "$my_own_thing $body_bytes_sent"
    assert compiled(text).warnings == ("$my_own_thing is not known: its column is passed over",)
    assert read(text, NGINX_LINE + "whatever 500").bytes_sent == 500


def test_names_of_formats_are_no_format_strings() -> None:
    assert not any(map(is_format_string, FORMATS))
    assert all(map(is_format_string, ("%h %>s", "$status", "nginx:combined", '{"a": "%r"}')))


# -- the forms that servers write


@pytest.mark.parametrize(("ts", "said"), [("----", H | E), ("CD--", H | A)])
def test_haproxys_own_log_is_read_with_its_captured_range(ts: str, said: int) -> None:
    found = read("haproxy:httplog", HTTPLOG.format(ts=ts))
    assert found == (1233922454.655, "10.0.1.2", "-", "GET /a", "GET", 206, 0, 2499, 2750, 5000, said, {})


def test_haproxys_capture_lines_name_the_headers() -> None:
    text = (
        "capture request header Referer len 64\ncapture request header User-Agent len 200\n"
        "capture response header Content-Type len 40\ncapture response header Content-Range len 60\n"
        'log-format "%ci [%trl] %{+Q}r %ST %B \\"%[capture.req.hdr(0)]\\" \\"%[capture.req.hdr(1)]\\" '
        '\\"%[capture.res.hdr(0)]\\" \\"%[capture.res.hdr(1)]\\""'
    )
    assert compiled(text).warnings == ()
    found = read(text, NGINX_LINE.replace("200", "206") + '700 "https://a/" "curl/8" "video/mp4" "bytes 0-4/9"')
    assert (found.user_agent, found.lo, found.hi, found.total_bytes) == ("curl/8", 0, 4, 9)


def test_all_texts_of_haproxy_are_in_quotes_where_the_text_says_so_once() -> None:
    text = "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B %ft %ts"
    line = '10.0.1.2 - - [06/Feb/2009:12:14:14 +0000] "GET /a HTTP/1.1" 200 2750 "http in" --'
    assert read(text, line).request == "GET /a"


def test_squids_native_log_is_read_with_its_padded_column() -> None:
    line = "1596213967.250     59 203.0.113.9 TCP_MISS_ABORTED/206 4512 GET http://a.example/b - HIER_DIRECT/192.0.2.1 video/mp4"
    assert read("squid:squid", line) == (
        1596213967.25, "203.0.113.9", "-", "GET http://a.example/b", "GET", 206, None, None, 4512, None, H | A, {},
    )  # fmt: skip


def test_a_request_of_several_words_is_put_together() -> None:
    line = '203.0.113.9 [31/Jul/2020:16:46:07 +0000] "GET /a?b=1 HTTP/1.1" 200'
    for text in (
        '%h %t "%m %U%q %H" %>s',
        '$remote_addr [$time_local] "$request_method $uri$is_args$args $server_protocol" $status',
        '$remote_addr [$time_local] "$request_method $request_uri $server_protocol" $status',
        '%>a [%tl] "%rm %ru HTTP/%rv" %>Hs',
        '%ci [%trl] "%HM %HU %HV" %ST',
    ):
        assert read(text, line)[3:5] == ("GET /a?b=1", "GET"), text


def test_a_host_may_stand_right_before_the_path() -> None:
    text = "$remote_addr [$time_local] $request_method $scheme://$host$request_uri $status"
    line = "203.0.113.9 [31/Jul/2020:16:46:07 +0000] GET https://a.example/b?c=1 200"
    assert read(text, line).request == "GET /b?c=1"


def test_columns_of_several_servers_behind_may_hold_commas_and_blanks() -> None:
    text = NGINX + "$upstream_addr $upstream_response_time $body_bytes_sent"
    assert read(text, NGINX_LINE + "10.0.0.1:80, 10.0.0.2:80 0.001, 0.250 : 0.1 500").bytes_sent == 500


@pytest.mark.parametrize("border", ["|", "\t", ";", ","])
def test_a_column_that_may_hold_a_list_ends_where_the_next_one_begins(border: str) -> None:
    text = 'nginx:"$remote_addr"|$upstream_addr|$sent_http_content_encoding|"$time_local"|"$request"|$status|$body_bytes_sent'
    line = '"203.0.113.9"|10.0.0.1:80|gzip|"31/Jul/2020:16:46:07 +0000"|"GET /a HTTP/1.1"|200|500'
    hit = read(text.replace("|", border), line.replace("|", border))
    assert (hit.ip_address, hit.status, hit.bytes_sent, hit.flags) == ("203.0.113.9", 200, 500, int(ENCODED))
    if border != ",":
        assert read(text.replace("|", border), line.replace("80|", "80, 10.0.0.2:80|").replace("|", border)) == hit


@together("border", ["\t", "|", ";", "\x1f", ","])
@together(("clock", "written"), [("$time_iso8601", "2020-07-31T16:46:07+00:00"), ("$msec", "1596213967.250")])
def test_tabs_bars_and_commas_part_columns_as_well_as_blanks(border: str, clock: str, written: str) -> None:
    text = border.join(("$remote_addr", clock, "$request", "$status", "$http_user_agent", "$body_bytes_sent"))
    line = border.join(("203.0.113.9", written, "GET /a b HTTP/1.1", "200", "an agent", "500"))
    found = read(text, line)
    assert (int(found.time), found.request, found.user_agent, found.bytes_sent) == (
        1596213967,
        "GET /a b",
        "an agent",
        500,
    )


@pytest.mark.parametrize(
    "line",
    [
        NGINX_LINE.replace(" [", "  [").replace('" ', '"  ') + '  500  "an "odd" agent"',
        NGINX_LINE.replace(" [", "\t[").replace('" ', '"\t') + '\t500\t"an "odd" agent"',
        NGINX_LINE.replace("GET /a", 'GET /a"b" c') + '500 "an "odd" agent" ',
        " " + NGINX_LINE + '500 "an "odd" agent"',
    ],
)
def test_doubled_blanks_tabs_and_quotes_that_nobody_escaped_are_read(line: str) -> None:
    found = read(NGINX + '$body_bytes_sent "$http_user_agent"', line)
    assert (found.status, found.bytes_sent, found.user_agent) == (200, 500, 'an "odd" agent')


@pytest.mark.parametrize("more", [' "another"', " another", ' "one" "more"'])
def test_a_line_with_more_columns_than_the_format_is_none_of_its_lines(more: str) -> None:
    for text in ('$body_bytes_sent "$http_user_agent"', '$body_bytes_sent "$http_user_agent" $request_completion'):
        line = NGINX_LINE + '500 "curl/8"' + (" OK" if "completion" in text else "")
        assert read(NGINX + text, line).user_agent == "curl/8"
        with pytest.raises(BadLine):
            read(NGINX + text, line + more)


def test_json_that_a_text_spells_is_read_with_its_escapes_undone() -> None:
    text = '{"ip":"$remote_addr","t":"$time_iso8601","r":"$request","s":$status,"b":$body_bytes_sent,"a":"$http_user_agent"}'
    line = json.dumps(
        {
            "ip": "203.0.113.9",
            "t": "2020-07-31T16:46:07+00:00",
            "r": 'GET /"a HTTP/2.0',
            "s": 206,
            "b": 5,
            "a": "a\\\u00e9\n\t",
        },
        separators=(",", ":"),
    )
    assert read(text, line)[1:6] == ("203.0.113.9", "a\\\u00e9\n\t", 'GET /"a', "GET", 206)


ENVOY_JSON = {
    "start": "%START_TIME%", "client": "%DOWNSTREAM_REMOTE_ADDRESS%", "method": "%REQ(:METHOD)%", "path": "%REQ(:PATH)%",
    "protocol": "%PROTOCOL%", "code": "%RESPONSE_CODE%", "sent": "%BYTES_SENT%", "flags": "%RESPONSE_FLAGS%",
    "agent": "%REQ(USER-AGENT)%", "range": "%RESP(CONTENT-RANGE)%", "encoding": "%RESP(CONTENT-ENCODING)%",
}  # fmt: skip
ENVOY_LINES = {
    "start": "2020-07-31T16:46:07.250Z", "client": "203.0.113.9:4711", "method": "GET", "path": "/a", "protocol": "HTTP/2", "code": 206,
    "sent": 5, "flags": "DC", "agent": "curl/8", "range": "bytes 0-9/20", "encoding": None,
}  # fmt: skip


@given(st.permutations(list(ENVOY_LINES)), st.booleans(), st.sampled_from(["curl/8", 'a "b" \\ é', None]))
def test_the_keys_of_an_object_stand_in_any_order(order: list[str], spaced: bool, agent: str | None) -> None:
    parse = compiled(json.dumps(ENVOY_JSON)).format.make_parser((), FormatOptions())
    line = json.dumps(
        {key: ENVOY_LINES[key] for key in order} | {"agent": agent}, separators=None if spaced else (",", ":")
    )
    hit = Parsed(1596213967.25, "203.0.113.9", agent or "-", "GET /a", "GET", 206, 0, 9, 5, 20, A | TWO | PLAIN)
    assert parse(line) == parse(line) == hit


def test_an_object_within_an_object_and_the_first_of_a_list_are_found() -> None:
    text = json.dumps(
        {"ts": "{ts}", "request": {"ip": "{request>remote_ip}", "method": "{request>method}", "uri": "{request>uri}",
         "headers": {"User-Agent": ["{request>headers>User-Agent>[0]}"]}}, "status": "{status}", "size": "{size}"}
    )  # fmt: skip
    line = json.dumps(
        {"ts": 1596213967.25, "request": {"ip": "203.0.113.9", "method": "GET", "uri": "/a", "headers": {"User-Agent": ["curl/8"]}},
         "status": 200, "size": 500}
    )  # fmt: skip
    assert read(text, line)[:9] == (1596213967.25, "203.0.113.9", "curl/8", "GET /a", "GET", 200, None, None, 500)


# -- real lines


STRINGS = {
    ("nginx", "body"): (
        '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" '
        '"$sent_http_content_range"'
    ),
    ("apache", "announced"): '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" "%{Content-Range}o"',
    ("apache", "with-headers"): '%h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i" "%{Content-Range}o"',
    ("apache_tls", "with-headers"): (
        '{"time":"%{%Y-%m-%dT%H:%M:%S%z}t","ip":"%a","request":"%r","status":"%>s","bytes_sent":"%O","user_agent":"%{User-Agent}i",'
        '"content_range":"%{Content-Range}o"}'
    ),
    ("caddy", "body"): json.dumps(
        {"ts": "{ts}", "request": {"remote_ip": "{request>remote_ip}", "method": "{request>method}", "uri": "{request>uri}",
         "proto": "{request>proto}", "headers": {"User-Agent": ["{request>headers>User-Agent}"]}}, "status": "{status}", "size": "{size}",
         "resp_headers": {"Content-Range": ["{resp_headers>Content-Range}"],
                          "Content-Length": ["{resp_headers>Content-Length}"]}}
    ),
}  # fmt: skip
KINDS = {"body": 0, "with-headers": H, "announced": N}


@together(
    "case",
    [json.loads(line) for line in CASES.read_text().splitlines()],
    ids=lambda case: f"{case['server']}-{case['byte_column']}-{case['case']}",
)
def test_real_lines_are_read_as_the_format_of_the_family_reads_them_with_the_kind_of_bytes(
    case: dict[str, Any],
) -> None:
    text = STRINGS[case["server"], case["byte_column"]]
    family = FORMATS[case["format"]].make_parser((), FormatOptions())
    for line in case["lines"]:
        found, known = read(text, line), Parsed._make(family(line) or ())
        # a dash of Apache's byte column is zero bytes by its documentation; the family cannot know whose column it is
        sent = known.bytes_sent if known.bytes_sent is not None or f" {known.status} - " not in line else 0
        assert found[:8] == known[:8]
        assert (found.bytes_sent, found.total_bytes) == (sent, known.total_bytes)
        assert found.flags & (H | N) == KINDS[case["byte_column"]]
        assert bool(found.flags & TWO) == ("HTTP/2" in line)


# -- printed and read back


@given(formats_with_lines())
def test_lines_printed_by_a_format_string_are_read_back_equal(case: tuple[str, str, Parsed]) -> None:
    text, line, hit = case
    found = read(text, line)
    assert found._replace(time=0.0) == hit._replace(time=0.0)
    assert math.isclose(found.time, hit.time, abs_tol=1e-6)


JSON_WORDS = {
    "client": "$remote_addr", "at": "$time_iso8601", "request": "$request", "code": "$status", "agent": "$http_user_agent",
    "sent": "$body_bytes_sent", "range": "$sent_http_content_range", "done": "$request_completion",
}  # fmt: skip


@given(
    st.permutations(list(JSON_WORDS)),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=2, max_size=20),
    st.booleans(),
)
def test_json_printed_by_nginx_is_read_back_with_any_agent(order: list[str], agent: str, ended: bool) -> None:
    values = {
        "client": "203.0.113.9", "at": "2020-07-31T16:46:07+00:00", "request": "GET /a HTTP/1.1", "code": 206, "agent": agent,
        "sent": 5, "range": "bytes 0-4/9", "done": "OK" if ended else "",
    }  # fmt: skip
    numbers = ("code", "sent")
    text = (
        "{"
        + ",".join(f'"{key}":{JSON_WORDS[key]}' if key in numbers else f'"{key}":"{JSON_WORDS[key]}"' for key in order)
        + "}"
    )
    line = json.dumps({key: values[key] for key in order}, separators=(",", ":"), ensure_ascii=False)
    hit = Parsed(1596213967.0, "203.0.113.9", agent, "GET /a", "GET", 206, 0, 4, 5, 9, E if ended else A)
    assert read(f"log_format x escape=json '{text}';".replace("\\", ""), line) == hit


# -- any input


NAMED = [f"{server.name}:{name}" for server in SERVERS.values() for name in server.named]
TEXTS = [
    *NAMED,
    json.dumps(ENVOY_JSON),
    *STRINGS.values(),
    NGINX + "$upstream_addr x$args",
    APACHE + "%{%d %b %Y %T}t.%{usec_frac}t",
]
GOOD = [
    NGINX_LINE + '500 "-" "curl/8" "bytes 0-4/9"',
    HTTPLOG.format(ts="----"),
    json.dumps(ENVOY_LINES),
    APACHE_LINE + '5 "-" "x"',
    SQUID_LINE,
]


@st.composite
def damaged_lines(draw: st.DrawFn) -> str:
    return draw(damaged(draw(st.sampled_from(GOOD)), 4))


@settings(max_examples=examples(500))
@given(st.sampled_from(TEXTS), st.one_of(damaged_lines(), st.text()))
def test_any_line_is_a_hit_or_a_reject_with_a_reason(text: str, line: str) -> None:
    try:
        found = read(text, line)
    except BadLine as error:
        assert error.reason in REASONS
        assert 0 < len(error.detail) < 400
        return
    assert math.isfinite(found.time)
    assert found.status == 0 or 100 <= found.status <= 599
    assert (found.lo is None) == (found.hi is None)
    assert found.lo is None or found.hi is None or 0 <= found.lo <= found.hi
    assert all(number is None or number >= 0 for number in (found.bytes_sent, found.total_bytes))
    assert not (found.flags & A and found.flags & E)


@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from([*"$%{}[]()<>\"'\\ :", "h", "remote_addr", "ts", "REQ", "nginx:", "%t", "+Q", "o"]),
            max_size=40,
        ).map("".join),
    )
)
def test_any_text_compiles_or_is_refused_with_a_sentence(text: str) -> None:
    try:
        found = compiled(text)
    except FormatTextError as error:
        assert 0 < len(str(error)) < 600
        return
    assert found.format.name.startswith(found.server)


BITS = ['"', "\\", " ", '" ', '" "', "[", "- ", "/", ":", "a, ", "a : ", "{", '\\"', '"a":"b",', "|", '" 200 ']


@pytest.mark.sampled
@together(("text", "bit"), part(0, list(product(TEXTS, BITS))))
def test_a_line_that_fits_nowhere_takes_no_more_than_linear_time(text: str, bit: str) -> None:
    parse = compiled(text).format.make_parser((), FormatOptions())
    lines = [bit * (32_768 // len(bit)), *(good + bit * (32_768 // len(bit)) for good in GOOD[:3])]
    began = clocks.process_time()
    for line in lines:
        try:
            parse(line)
        except BadLine:
            continue
    assert clocks.process_time() - began < 0.5


def test_a_text_may_be_as_long_as_a_header_carries_and_no_longer() -> None:
    assert compiled(NGINX + "x" * (MAX_CHARS - len(NGINX))).server == "nginx"
    with pytest.raises(FormatTextError, match=str(MAX_CHARS)):
        compiled(NGINX + "x" * MAX_CHARS)


@pytest.mark.parametrize(
    "text",
    ['nginx:$remote_addr [$time_local] "$request" $status', json.dumps(ENVOY_JSON), json.dumps(ENVOY_JSON) + " "],
)
def test_a_reject_names_the_format_string_that_cannot_read_the_line(text: str) -> None:
    parse = compiled(text).format.make_parser((), FormatOptions())
    for line in ("no line of it", "[1]"):
        with pytest.raises(BadLine) as caught:
            parse(line)
        server = "nginx" if "remote_addr" in text else "envoy"
        assert f"the log format of {server} {text.removeprefix('nginx:').strip()[:30]!r}"[:-1] in caught.value.detail
        assert repr(line) in caught.value.detail


@pytest.mark.parametrize("client", ["203.0.113.9", "2001:db8::7"])
@pytest.mark.parametrize(
    "head",
    [
        "Jul 31 16:46:07 web1 nginx: ",
        "group web/x/1 2020-07-31T16:46:07.123Z ",
        "2020-07-31T16:46:07Z app[e7849] fra [info]",
    ],
)
def test_the_head_of_a_logger_is_no_client_whose_user_has_blanks(head: str, client: str) -> None:
    parse = compiled('%h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"').format.make_parser((), FormatOptions())
    line = f'{client} - - [31/Jul/2020:16:46:07 +0000] "GET /a HTTP/1.1" 206 812 "-" "curl/8.5.0"'
    assert parse(head + line) == parse(line)
    named = line.replace(" - - ", " - Ann Lee ")
    assert parse(named) == parse(line)


@pytest.mark.parametrize("between", ["\x01", "\x02", "\x1e", "\x7f", "§", "#", "|"])
def test_a_sign_that_no_value_holds_parts_columns(between: str) -> None:
    words = [
        "$remote_addr",
        "$time_iso8601",
        "$request",
        "$status",
        "$body_bytes_sent",
        "$http_user_agent",
        "$sent_http_content_range",
    ]
    values = [
        "203.0.113.9",
        "2020-07-31T16:46:07+00:00",
        "GET /a HTTP/1.1",
        "206",
        "500",
        "Mozilla/5.0 (X11)",
        "bytes 0-499/1000",
    ]
    hit = compiled(between.join(words)).format.make_parser((), FormatOptions())(between.join(values))
    assert hit is not None
    assert hit[1:9] == ("203.0.113.9", "Mozilla/5.0 (X11)", "GET /a", "GET", 206, 0, 499, 500)
