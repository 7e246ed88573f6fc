"""One family: each line is read by what stands in it, whatever name the log has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.formats import FORMATS, FormatOptions
from app.domain.formats.base import unread_by
from app.domain.formats.combined import DASH_FOR_BYTES
from app.domain.formats.detection import detect
from app.domain.records import HitFlag
from tests.domain.formats.reading import read, reject
from tests.together import together

NAMES = ["common", "combined", "vhost_combined", "combined_range"]
START = '198.51.100.7 - - [31/Jul/2024:10:00:00 +0000] "GET /f.mp4 HTTP/1.1" 206 500'
LINE = f'{START} "-" "Player/1.0"'
RANGE = (0, 499, 500, 1000)
ENDED, ABORTED = int(HitFlag.ENDED), int(HitFlag.ABORTED)
MEMBERS = {
    "common": START,
    "combined": LINE,
    "range": f'{LINE} "bytes 0-499/1000"',
    "range and ending": f'{LINE} "bytes 0-499/1000" "OK"',
    "no range": f'{LINE} "-"',
    "forwarded": f'{LINE} "203.0.113.9"',
    "more": f'{LINE} "bytes 0-499/1000" 0.003 - "HIT"',
}


@together("name", NAMES)
@together(
    "columns",
    [
        '"bytes 0-499/1000"',
        '"bytes 0-499/1000" 0.003',
        '"203.0.113.1" "bytes 0-499/1000"',
        '"203.0.113.1, 10.0.0.1" "bytes 0-499/1000"',
        '"-" "bytes 0-499/1000"',
        '0.003 0.002 - "bytes 0-499/1000" "MISS"',
        '"Bytes 0-499/1000"',
        ' "bytes 0-499/1000"  0.003 ',
        '[upstream] 10.0.0.5:8080 "bytes 0-499/1000"',
        'rt=0.003 cr="bytes 0-499/1000" cs=HIT',
        'rid="a b" sent_http_content_range:"bytes 0-499/1000"',
        'asked="bytes=0-499" content_range="bytes 0-499/1000"',
        "0.003 [bytes 0-499/1000]",
    ],
)
def test_the_range_is_read_wherever_it_stands_behind_the_agent(name: str, columns: str) -> None:
    found = read(name, f"{LINE} {columns}")
    assert (*found[6:10], found.ip_address, found.user_agent, found.flags) == (*RANGE, "198.51.100.7", "Player/1.0", 0)


@together(
    "columns",
    [
        "",
        '"-"',
        '""',
        '"203.0.113.1"',
        '"203.0.113.1, 10.0.0.1"',
        "0.003",
        '"bytes=0-499"',
        '"items 0-4/9"',
        '"bytes 0-/9"',
        'range="bytes=0-499"',
        'http_range="bytes 0-499/1000"',
        'request_range="bytes 0-499/1000"',
        'nginx_req_range="bytes 0-499/1000"',
        'if_range="bytes 0-499/1000"',
        'upstream_cr="bytes 0-499/1000"',
        'origin_content_range="bytes 0-499/1000"',
        'cookie="bytes 0-499/1000"',
        "[bytes=0-499]",
    ],
)
@together("name", NAMES)
def test_a_line_without_a_range_is_a_hit_without_one(name: str, columns: str) -> None:
    assert read(name, f"{LINE} {columns}")[6:10] == (None, None, 500, None)


def test_of_two_ranges_that_differ_none_is_believed() -> None:
    line = f'{LINE} "bytes 0-499/1000" "bytes 500-999/1000"'
    assert read("combined", line)[6:10] == (None, None, 500, None)
    assert read("combined", f'{LINE} "bytes 0-499/1000" "bytes 0-499/1000"')[6:10] == RANGE


@together(
    ("columns", "flags"),
    [
        ('"bytes 0-499/1000" "OK"', ENDED),
        ('"bytes 0-499/1000" OK', ENDED),
        ('"bytes 0-499/1000" ""', ABORTED),
        ('"bytes 0-499/1000" --', ENDED),
        ('"bytes 0-499/1000" CD', ABORTED),
        ('"bytes 0-499/1000" SD', ABORTED),
        ('"bytes 0-499/1000" CD--', ABORTED),
        ('"bytes 0-499/1000" ----', ENDED),
        ('"bytes 0-499/1000" X', ABORTED),
        ('"bytes 0-499/1000" X 900337', ABORTED),
        ('"-" X 1234 "a"', ABORTED),
        ('"bytes 0-499/1000" "X" 900337', 0),
        ('"bytes 0-499/1000" + 900337', 0),
        ('"bytes 0-499/1000" +', ENDED),
        ('"bytes 0-499/1000" -', ENDED),
        ('"bytes 0-999/1000" -', 0),
        ('"bytes 0-499/1000" TCP_MISS_ABORTED:HIER_DIRECT', ABORTED),
        ('"bytes 0-499/1000" TCP_HIT:HIER_NONE', 0),
        ('"bytes 0-499/1000" "aborted"', ABORTED),
        ('"bytes 0-499/1000" ok', ENDED),
        ('"bytes 0-499/1000" abort', ABORTED),
        ('"bytes 0-499/1000" 0.1 "client_closed"', ABORTED),
        ('"bytes 0-499/1000" "Client disconnected" 0.1', ABORTED),
        ('"bytes 0-499/1000" not_aborted', 0),
        ('"bytes 0-499/1000" "abort.example.com"', 0),
        ('cr="bytes 0-499/1000" comp="OK"', ENDED),
        ('rt="1" cr="bytes 0-499/1000" completion=""', ABORTED),
        ('cr="-" comp=""', ABORTED),
        ('completion="" cr="bytes 0-499/1000" 0.1', ABORTED),
        ('cr="bytes 0-499/1000" request_completion= rt=0.1', ABORTED),
        ('request_completion="OK"', ENDED),
        ('upstream_completion="" 0.1', 0),
        ('upstream_completion="OK"', 0),
        ('x.backend_completion="OK" "bytes 0-499/1000" ""', ABORTED),
        ('be-ended="OK"', 0),
        ('"bytes 0-499/1000" "cancelled"', ABORTED),
        ('"bytes 0-499/1000" "connection reset"', ABORTED),
        ('"bytes 0-499/1000" health="OK"', 0),
        ('"-" X', ABORTED),
        ('"-" ""', ABORTED),
        ('"-" -', 0),
        ("TCP_MISS_ABORTED:HIER_DIRECT", ABORTED),
        ('"bytes 0-499/1000" "CH"', 0),
        ('"CD"', 0),
        ("0.003 X", 0),
    ],
)
def test_the_last_column_says_how_the_response_ended(columns: str, flags: int) -> None:
    assert read("combined_range", f"{LINE} {columns}").flags == flags


@pytest.mark.parametrize("name", ["xff", "x_forwarded_for", "http_x_forwarded_for", "http_x_real_ip"])
def test_forwarded_addresses_are_read_behind_the_names_that_servers_give_them(name: str) -> None:
    alone = read("combined", LINE.replace("198.51.100.7", "10.0.0.1") + ' "203.0.113.9"')
    named = read("combined", LINE.replace("198.51.100.7", "10.0.0.1") + f' {name}="203.0.113.9"')
    assert named.ip_address == alone.ip_address == "203.0.113.9"


@pytest.mark.parametrize(
    ("kind", "flag"),
    [("", 0), ("body", 0), ("with-headers", HitFlag.HEADERS_COUNTED), ("announced", HitFlag.ANNOUNCED)],
)
def test_what_bytes_count_is_named_by_the_setting(kind: str, flag: int) -> None:
    options = FormatOptions(bytes=kind)
    assert read("combined", LINE, (), options).flags == flag
    assert read("combined", f'{LINE} "bytes 0-499/1000" 0.1', (), options).flags == flag


def test_what_is_passed_over_is_counted_and_named() -> None:
    parse = FORMATS["combined"].make_parser((), FormatOptions())
    parse(f'{LINE} "bytes 0-499/1000" 0.003')
    parse(f'{LINE} "bytes 0-499/1000" 0.004')
    parse(f'{LINE} "-" "203.0.113.9"')
    assert unread_by(parse) == {"column 11 was not read: looks like a request time": 2}
    assert unread_by(parse) == {}


def test_a_hyphen_for_bytes_is_counted_where_bytes_are_the_body() -> None:
    line = LINE.replace(" 500 ", " - ")
    for kind, count in (("body", 1), ("", 1), ("announced", 0)):
        parse = FORMATS["combined"].make_parser((), FormatOptions(bytes=kind))
        parse(line)
        assert unread_by(parse).get(DASH_FOR_BYTES, 0) == count


@together(
    "before",
    [
        "Dec 23 15:31:15 198.51.100.7 x - -",
        "a: - -",
        "<13> - -",
        "(none) - -",
        "für - -",
        "1.2.3.4.5: - -",
        "a b c d e",
        "198.51.100.7;203.0.113.9 - -",
    ],
)
def test_a_first_column_that_is_no_client_is_rejected(before: str) -> None:
    assert reject("combined", LINE.replace("198.51.100.7 - -", before)) == "bad_client"


@together(
    ("before", "client"),
    [
        ("198.51.100.7:4711 - -", "198.51.100.7"),
        ("[2001:db8::1]:443 - -", "2001:db8::1"),
        ("2001:DB8:0:0:0:0:0:1 - -", "2001:db8::1"),
        ("::ffff:198.51.100.7 - -", "198.51.100.7"),
        ("198.51.100.7, 10.0.0.1 - -", "198.51.100.7"),
        ("203.0.113.1, 198.51.100.7, 10.0.0.1 - -", "198.51.100.7"),
        ("198.51.100.7,10.0.0.1 - -", "198.51.100.7"),
        ("10.0.0.9, 10.0.0.1 - -", "10.0.0.9"),
        ("unknown, 198.51.100.7 - -", "198.51.100.7"),
        ("example.com:443 198.51.100.7 - ann", "198.51.100.7"),
        ("example.com 198.51.100.7 - Ann Lee", "198.51.100.7"),
        ("198.51.100.7 example.com -", "198.51.100.7"),
        ("198.51.100.7 - Ann Lee", "198.51.100.7"),
        ("198.51.100.7 - [198.51.100.7] - -", "198.51.100.7"),
        ("host-7.example.com - -", "host-7.example.com"),
        ("- - -", None),
        ("example.com:443 - - -", None),
        ("unix: - -", None),
    ],
)
def test_the_client_is_written_one_way(before: str, client: str | None) -> None:
    assert read("combined", LINE.replace("198.51.100.7 - -", before)).ip_address == client


def test_the_client_behind_a_trusted_proxy_is_the_one_that_it_passes_on() -> None:
    line = LINE.replace("198.51.100.7", "10.0.0.2") + ' "203.0.113.7, 10.0.0.1"'
    assert read("combined", line).ip_address == "203.0.113.7"
    assert read("combined", line, (), FormatOptions(trusted_proxies="192.0.2.0/24")).ip_address == "10.0.0.2"
    assert read("combined", f'{LINE} "203.0.113.7"').ip_address == "198.51.100.7"
    trusting = FormatOptions(trusted_proxies="198.51.100.0/24")
    assert read("combined", f'{LINE} "203.0.113.7"', (), trusting).ip_address == "203.0.113.7"
    assert read("combined", f'{LINE} "192.0.2.1:8080"', (), trusting).ip_address == "198.51.100.7"


@pytest.mark.parametrize(
    "when",
    ["2024-07-31T10:00:00+00:00", "2024-07-31T12:00:00+02:00", "2024-07-31T10:00:00Z", "31/Jul/2024:12:00:00 +0200"],
)
def test_times_in_the_bracket_are_of_the_log_or_iso(when: str) -> None:
    assert read("combined", LINE.replace("31/Jul/2024:10:00:00 +0000", when)) == read("combined", LINE)


@pytest.mark.parametrize("protocol", ["HTTP/2.0", "HTTP/2", "HTTP/3", "h2", "h3", "HTTP/3.0"])
def test_newer_protocols_go_as_the_older_ones_do_and_set_their_flag(protocol: str) -> None:
    found = read("combined", LINE.replace("HTTP/1.1", protocol))
    assert (found.request, found.method, found.flags) == ("GET /f.mp4", "GET", HitFlag.HTTP2)


def test_doubled_blanks_and_bare_quotes_are_read() -> None:
    assert read("combined", LINE.replace(" 206 500 ", "  206  500  ") + '  "bytes 0-499/1000"')[6:10] == RANGE
    found = read("combined", f'{START} "-" "say "hi" twice" "bytes 0-499/1000" 0.003')
    assert (found.user_agent, *found[6:10]) == ('say "hi" twice', *RANGE)


# -- mixtures

HEADS = [
    "",
    "Dec 23 15:31:15 host1 nginx: ",
    "<190>Dec  3 15:31:15 nginx[12]: ",
    "<134>1 2024-07-31T10:00:00.123Z host app 12 - - ",
    '<134>1 2024-07-31T10:00:00.123Z host app 12 ID47 [ex@32473 iut="3"] ',
    "2024-07-31T10:00:00.123456+00:00 host nginx: ",
    "2024-07-31T10:00:00+0000 host nginx[12]: ",
    "web-1  | ",
    "web-1  | 2024-07-31T10:00:00.123456789Z ",
    "2024-07-31T10:00:00.1Z stdout F ",
    "2024-07-31T10:00:00.123456789Z ",
    "Dec 23 15:31:15 gw local7.info nginx: ",
    "Mon Dec 23 15:31:15 2024 daemon.info nginx: ",
    "<190>2024 Dec 23 15:31:15 web1 nginx: ",
    "films-5d59c7b4d9-x2x7k nginx ",
    "default films-5d59c7b4d9-x2x7k nginx 2024-07-31T10:00:00.123456789Z ",
    "[films-5d59c7b4d9-x2x7k nginx] ",
    '2024-07-31T10:00:00Z {app="films", pod="films-5d59"} ',
    "2024-07-31T10:00:00.123000+00:00 web/nginx/4f2a ",
    "EVENTS\t3456\t1796000004000\tweb\t",
    "1234\t2024-07-31T10:00:00Z\t2024-07-31T10:00:00Z\t7\tweb1\t10.1.2.3\tLocal7\tInfo\tnginx\t",
    "INFO:wsgi:",
    "web.1.abcdef@node-1    | ",
    "Dec 23 15:31:15 host1 ",
]


@given(st.lists(st.tuples(st.sampled_from(HEADS), st.sampled_from(sorted(MEMBERS))), min_size=1, max_size=20))
def test_any_mix_of_heads_and_members_is_read_as_each_line_alone(mix: list[tuple[str, str]]) -> None:
    """Read by whichever name is found from the mix, with one parser for all lines."""
    lines = [head + MEMBERS[member] for head, member in mix]
    found = detect(lines)
    assert found is not None and found.name in NAMES
    parse = found.make_parser((), FormatOptions())
    for line, (_, member) in zip(lines, mix, strict=True):
        assert parse(line) == read("combined", MEMBERS[member])


@together("name", [name for name, form in FORMATS.items() if not form.head_prefix and name != "cloudfront_realtime"])
@together("head", HEADS[:-1])
def test_every_format_of_single_lines_is_read_behind_a_head(name: str, head: str) -> None:
    line = FORMATS[name].example.split("\n")[-1]
    assert read(name, head + line) == read(name, line)
    assert detect([head + line]) is FORMATS[name]


@pytest.mark.parametrize("name", ["combined_range", "json", "haproxy", "squid"])
def test_lines_in_dockers_json_and_in_journals_are_read(name: str) -> None:
    import json

    line = FORMATS[name].example.split("\n")[-1]
    for wrapped in (
        json.dumps({"log": line + "\n", "stream": "stdout", "time": "2024-07-31T10:00:00.1Z"}),
        json.dumps({"MESSAGE": line, "__REALTIME_TIMESTAMP": "1722420000000000", "SYSLOG_IDENTIFIER": "nginx"}),
    ):
        assert read(name, wrapped) == read(name, line)
        assert detect([wrapped]) is FORMATS[name]


def test_a_zone_may_be_named_by_the_word_utc_or_gmt() -> None:
    line = '203.0.113.9 - - [31/Jul/2020:16:46:07 {}] "GET /a HTTP/1.1" 200 5'
    assert (
        read("common", line.format("UTC")) == read("common", line.format("GMT")) == read("common", line.format("+0000"))
    )


@pytest.mark.parametrize(
    ("before", "client"),
    [
        ("203.0.113.7 10.0.0.5 - -", "203.0.113.7"),
        ("2001:db8::7 10.0.0.5 - -", "2001:db8::7"),
        ("203.0.113.7,10.0.0.9 10.0.0.5 - -", "203.0.113.7"),
        ("- 10.0.0.5 - -", "10.0.0.5"),
        ("198.51.100.1 203.0.113.7 - -", "203.0.113.7"),
        ("198.51.100.1:443 10.0.0.5 - -", "10.0.0.5"),
    ],
)
def test_of_two_addresses_before_the_time_the_first_is_the_forwarded_one(before: str, client: str) -> None:
    hit = FORMATS["combined"].make_parser((), FormatOptions())(
        f'{before} [31/Jul/2020:16:46:07 +0000] "GET /a HTTP/1.1" 200 5 "-" "curl/8"'
    )
    assert hit is not None and hit[1:3] == (client, "curl/8")


def test_a_host_in_quotes_between_time_and_request_is_no_part_of_the_request() -> None:
    hit = FORMATS["combined"].make_parser((), FormatOptions())(
        '203.0.113.7 - - [31/Jul/2020:16:46:07 +0000] "example.com:443" "GET /a HTTP/1.1" 200 5 "-" "curl/8"'
    )
    assert hit is not None and hit[1:6] == ("203.0.113.7", "curl/8", "GET /a", "GET", 200)


@pytest.mark.parametrize(
    ("before", "client"),
    [
        ("203.0.113.5 10.0.0.1", "203.0.113.5"),
        ("10.0.0.5, 203.0.113.5 10.0.0.1", "203.0.113.5"),
        ("10.0.0.5 192.168.1.9", "192.168.1.9"),
        ("198.51.100.1:80 10.0.0.1", "10.0.0.1"),
    ],
)
def test_of_two_addresses_the_first_is_the_client_unless_it_may_be_the_servers_own(before: str, client: str) -> None:
    assert read("common", START.replace("198.51.100.7 -", f"{before} -")).ip_address == client
