"""The common family. Apache's manual has one example line for common and one for combined (frank's); nginx and Debian have
none for theirs, and combined_range is a combination of documented fields. The other lines are made from the field tables:
Apache's %v:%p %h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" "%{Content-Range}o"."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.records import HitFlag
from tests.domain.formats.reading import hit, read, reject
from tests.together import together

FRANK = '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326'
FRANK_TIME = 971211336.0
HTTP2 = int(HitFlag.HTTP2)
NAMES = ["common", "combined", "vhost_combined", "combined_range"]
NAV = "Mozilla/4.08 [en] (Win98; I ;Nav)"
LINES = [
    (FRANK, (FRANK_TIME, "127.0.0.1", "GET /apache_pb.gif", "GET", 200, 2326)),
    ('2001:db8::1 - - [31/Jul/2020:22:16:07 +0530] "GET /a HTTP/2.0" 206 10', (1596213967.0, "2001:db8::1", "GET /a", "GET", 206, 10)),
    ('in24.example.com - - [01/Aug/1995:00:00:01 -0400] "GET /b" 304 -', (807249601.0, "in24.example.com", "GET /b", "GET", 304, None)),
    ('10.0.0.1 - Ann Lee [31/Jul/2020:16:46:07 +0000] "POST /c HTTP/1.1" 404 0', (1596213967.0, "10.0.0.1", "POST /c", "POST", 404, 0)),
    ('10.0.0.1 - - [31/Jul/2020:16:46:07 -0330] "-" 408 -', (1596226567.0, "10.0.0.1", "-", None, 408, None)),
    ('10.0.0.1 - - [31/Jul/2020:16:46:07 +0000] "" 400 0', (1596213967.0, "10.0.0.1", "", None, 400, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_common_reads_in_all_fields(line: str, expected: tuple[Any, ...]) -> None:
    time, ip, request, method, status, sent = expected
    flags = HTTP2 if "HTTP/2" in line else 0
    assert read("common", line) == hit(time, ip, "-", request, method, status, bytes_sent=sent, flags=flags)


@together(("line", "expected"), LINES)
@together(
    ("name", "before"), [("combined", ""), ("vhost_combined", "example.com:443 "), ("vhost_combined", "example.com ")]
)
def test_combined_reads_in_all_fields_behind_a_virtual_host_or_not(
    name: str, before: str, line: str, expected: tuple[Any, ...]
) -> None:
    time, ip, request, method, status, sent = expected
    flags = HTTP2 if "HTTP/2" in line else 0
    line = f'{before}{line} "http://www.example.com/start.html" "{NAV}"'
    assert read(name, line) == hit(time, ip, NAV, request, method, status, bytes_sent=sent, flags=flags)


@pytest.mark.parametrize(
    ("text", "sent", "expected"),
    [
        ("bytes 0-499/1234", "500", (0, 499, 500, 1234)),
        ("bytes 500-999/*", "500", (500, 999, 500, None)),
        ("bytes */1234", "0", (None, None, 0, 1234)),
        ("-", "2326", (None, None, 2326, None)),
        (f"bytes {10**30}-{10**31}/{10**32}", "7", (10**30, 10**31, 7, 10**32)),
        ("bytes 0-499/1234", "-", (0, 499, 0, 1234)),
        ("-", "-", (None, None, None, None)),
    ],
)
def test_combined_range_reads_in_all_fields(text: str, sent: str, expected: tuple[Any, ...]) -> None:
    line = f'{FRANK.removesuffix("2326")}{sent} "-" "{NAV}" "{text}"'
    assert read("combined_range", line) == hit(
        FRANK_TIME, "127.0.0.1", NAV, "GET /apache_pb.gif", "GET", 200, *expected
    )


@pytest.mark.parametrize(
    "text",
    ["bytes 9-1/20", "bytes", "0-499/1234", "items 0-4/9", "bytes 0-499/-1", "bytes ²-³/9", "bytes 0-1/" + "9" * 5000],
)
def test_a_content_range_that_is_none_costs_the_range_and_not_the_hit(text: str) -> None:
    line = f'{FRANK} "-" "{NAV}"'
    assert read("combined_range", f'{line} "{text}"') == read("combined_range", f'{line} "-"')


@pytest.mark.parametrize("agent", [r"say \"hi\" \\", r"\xe4\xf6", "käse", r"a \" 206 5 \"b", "-", ""])
def test_escapes_in_the_agent_are_kept_as_written(agent: str) -> None:
    assert read("combined", f'{FRANK} "-" "{agent}"').user_agent == agent


def test_escaped_quotes_do_not_end_a_request() -> None:
    line = r'10.0.0.1 - - [31/Jul/2020:16:46:07 +0000] "GET /a\"b?\\ HTTP/1.1" 200 5 "-" "x"'
    assert read("combined", line).request == r"GET /a\"b?\\"


def test_quotes_that_nobody_escaped_are_read_up_to_the_status() -> None:
    line = '10.0.0.1 - - [31/Jul/2020:16:46:07 +0000] "GET /a"b" HTTP/1.0" 200 5'
    assert read("common", line).request == 'GET /a"b"'
    assert read("combined", f'{line} "-" "say "hi""')[2:4] == ('say "hi"', 'GET /a"b"')
    assert read("combined_range", f'{line} "-" "say "hi"" "bytes 0-4/9"')[2:10] == (
        'say "hi"',
        'GET /a"b"',
        "GET",
        200,
        0,
        4,
        5,
        9,
    )


def test_tabs_and_runs_of_spaces_part_columns_too() -> None:
    line = f'{FRANK} "-" "{NAV}"'
    assert read("combined", line.replace(' "', '\t"').replace(" - ", "  -\t")) == read("combined", line)


def test_more_columns_behind_the_agent_are_passed_over() -> None:
    line = f'{FRANK.replace("127.0.0.1", "198.51.100.7")} "-" "{NAV}"'
    assert read("combined", f'{line} "203.0.113.7, 10.0.0.1"') == read("combined", line)
    assert read("combined", f"{line} 0.012 -") == read("combined", line)


def test_a_tls_hello_on_the_plain_port_is_a_hit_without_method() -> None:
    line = r'10.0.0.1 - - [31/Jul/2020:16:46:07 +0000] "\x16\x03\x01\x02" 400 226 "-" "-"'
    assert read("combined", line) == hit(1596213967.0, "10.0.0.1", "-", r"\x16\x03\x01\x02", None, 400, bytes_sent=226)


@together("name", ["common", "combined", "vhost_combined", "combined_range"])
@together(
    ("time", "reason"),
    [
        ("", "bad_time"),
        ("[] ", "bad_time"),
        ("[-] ", "bad_time"),
        ("[32/Jul/2020:16:46:07 +0000] ", "bad_time"),
        ("[31/Jux/2020:16:46:07 +0000] ", "bad_time"),
        ("[31/Jul/2020:16:46:07] ", "bad_time"),
        ("[31/Jul/2020:16:46:07 +9900] ", "bad_time"),
    ],
)
def test_an_absent_or_broken_time_is_bad_time(name: str, time: str, reason: str) -> None:
    line = f'10.0.0.1 - - {time}"GET /a HTTP/1.1" 200 5'
    before = "example.com:80 " if name == "vhost_combined" else ""
    after = {"common": "", "combined_range": ' "-" "x" "-"'}.get(name, ' "-" "x"')
    assert reject(name, before + line + after) == reason


@together(
    ("name", "line", "reason"),
    [
        ("common", "", "bad_columns"),
        ("common", "   ", "bad_columns"),
        ("common", ' - [01/Aug/1995:00:06:47 -0400] "GET /images/dual-pad.gif HTTP/1.0" 200 141308', "bad_columns"),
        ("combined", FRANK + ' "-" "cut off', "bad_columns"),
        ("common", FRANK.replace(" 200 ", " 20 "), "bad_status"),
        ("common", FRANK.replace(" 200 ", " - "), "bad_status"),
        ("common", FRANK.replace(" 200 ", " 999 "), "bad_status"),
        ("common", FRANK.replace("2326", "12x"), "bad_columns"),
        ("common", FRANK.replace("2326", "9" * 5000), "bad_range"),
        ("common", FRANK.replace("2326", "٣"), "bad_columns"),
    ],
)  # fmt: skip
def test_a_line_of_no_shape_of_the_family_is_rejected_with_its_reason(name: str, line: str, reason: str) -> None:
    assert reject(name, line) == reason
