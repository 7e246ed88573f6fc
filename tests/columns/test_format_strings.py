"""Lines of a format string read as columns are the lines that its parser reads, field for field and part for part."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.columns.blocks import LineColumns
from app.columns.formats import has_columns, read_block
from app.columns.hits import HitColumns
from app.domain.extras import EXTRAS
from app.domain.formats.base import FormatOptions
from app.domain.formats.format_strings import compiled
from app.domain.lines import ReadLines, read_lines
from tests.columns.combined_logs import FORMAT_STRING, GOOD, ODD, ODD_LINES, line_of, with_endings
from tests.columns.test_combined import parts_of
from tests.domain.formats.format_string_lines import damaged, formats_with_lines
from tests.domain.formats.reading import ODD_TEXTS
from tests.properties import examples, part

ARRIVED = 4_100_000_000.0
ALL_FIELDS = FormatOptions(fields=",".join(EXTRAS))
RANGE = '"bytes 0-99/200"'
TEXTS = {
    "nginx:combined": '203.0.113.9 - ann [31/Jul/2020:16:46:07 +0000] "GET /a HTTP/1.1" 206 100 "-" "curl/8"',
    'nginx:$remote_addr [$time_iso8601] "$request" $status $bytes_sent "$http_user_agent" "$sent_http_content_range" $request_completion': (
        f'203.0.113.9 [2020-07-31T16:46:07+00:00] "GET /a HTTP/2.0" 206 100 "curl \\"8\\"" {RANGE} OK'
    ),
    "nginx:$msec|$remote_addr|$request_method|$request_uri|$status|$sent_http_content_length|$sent_http_content_type": (
        "1596213967.250|203.0.113.9|GET|/a?b=1|200|500|multipart/byteranges; boundary=1"
    ),
    'nginx:$remote_addr [$time_iso8601] "$request" $status $body_bytes_sent "$sent_http_content_range" $sent_http_content_length "$sent_http_content_type"': (
        f'203.0.113.9 [2020-07-31T16:46:07+00:00] "GET /film.mp4 HTTP/1.1" 206 100 {RANGE} 100 "text/html; charset=utf-8"'
    ),
    'nginx:{"t":"$time_iso8601","c":"$remote_addr","x":"$http_x_forwarded_for","r":"$request","s":$status,"b":$body_bytes_sent,"d":$request_time}': (
        '{"t":"2020-07-31T16:46:07+00:00","c":"10.0.0.1","x":"203.0.113.9, 10.0.0.2","r":"GET /a HTTP/1.1","s":200,"b":500,"d":0.003}'
    ),
    'nginx:$remote_addr [$time_local] "$request" $status $upstream_addr $upstream_response_time $body_bytes_sent $http_host': (
        '203.0.113.9 [31/Jul/2020:16:46:07 +0000] "GET /a HTTP/1.1" 200 10.0.0.1:80 0.001 500 a.example'
    ),
    'apache:%v %h %l %u %t "%m %U%q %H" %>s %b %D "%{Referer}i" "%{User-Agent}i" "%{Content-Range}o" %X': (
        f'a.example 203.0.113.9 - - [31/Jul/2020:16:46:07 +0000] "GET /a?b HTTP/2.0" 206 - 4711 "https://a/" "curl/8" {RANGE} X'
    ),
    'apache:%h %{%d %b %Y %T}t.%{usec_frac}t|%{sec}t "%r" %>s %O': (
        '203.0.113.9 31 Jul 2020 16:46:07.250000|1596213967 "GET /a HTTP/1.1" 200 500'
    ),
    "apache:%{sec}t.%{msec_frac}t %h %m %U %>s %B": "1596213967.250 203.0.113.9 GET /a 200 500",
    "haproxy:httplog": (
        "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 206 2750 - - ---- 1/1/1/1/0 0/0 "
        '{curl/8} {bytes 0-2499/5000} "GET /a HTTP/1.1"'
    ),
    "haproxy:%ci:%cp [%trg] %{+Q}r %ST %B %tsc": '2001:db8::7:4711 [06/Feb/2009:12:14:14 +0000] "GET /a HTTP/1.1" 200 5 CD--',
    "envoy:default": (
        '[2020-07-31T16:46:07.250Z] "GET /a HTTP/1.1" 200 - 0 5 1 - "203.0.113.9" "curl/8" "id" "a.example" "10.0.0.1:80"'
    ),
}  # fmt: skip
"""Format string to a line of it."""
ODD_BITS = [*(bit for bit in ODD_TEXTS if len(bit) < 20), "", "  ", '""', '\\"', "\\\\", '"-"', "a:b", " : ", " : 0.25", ", 10.0.0.2:80", "[::1]", "ſ"]  # fmt: skip
WITHOUT_COLUMNS = [
    "squid:squid",
    '{"start": "%START_TIME%", "client": "%DOWNSTREAM_REMOTE_ADDRESS%", "path": "%REQ(:PATH)%", "code": "%RESPONSE_CODE%"}',
    "%h %t %r %>s",
]


def columns_of(block: LineColumns) -> list[tuple[int, tuple[object, ...]]]:
    """Position and hit of each line that was read as columns."""
    if not len(block.times):
        return []
    packed = HitColumns.of_lines([block]).to_message()
    packed.check()
    return [(hit[14], hit[:12]) for hit in packed.hits("a source")]


def assert_same(text: str, data: bytes, position: int = 0, options: FormatOptions = ALL_FIELDS) -> int:
    """How many lines were read as columns; -1 if it was not tried."""
    name = compiled(text).format.name
    if not has_columns(name):
        return -1
    block = read_block(name, data, ARRIVED, position, every_status=True, options=options)
    if block is None:
        return -1
    read = rows_of(text, data, position, options)
    assert (block.lines, block.hits, block.other.heads) == (read.lines, len(read.hits), read.heads)
    assert block.other.rejects == read.rejects
    assert (block.lowest, block.highest, block.disorder_s) == (read.lowest, read.highest, read.disorder_s)
    by_line = list(zip(block.other.positions, block.other.hits, strict=True))
    columns = columns_of(block)
    assert sorted(columns + by_line, key=lambda one: one[0]) == list(zip(read.positions, read.hits, strict=True))
    counting = read_block(name, data, ARRIVED, position, options=options)
    assert counting is not None and parts_of([counting]) == parts_of([block]) == parts_of([read])
    return len(columns)


def rows_of(text: str, data: bytes, position: int, options: FormatOptions = ALL_FIELDS) -> ReadLines:
    parse = compiled(text).format.make_parser((), options)
    return read_lines(data, parse, ARRIVED, position, fields=options.fields)


@st.composite
def logs(draw: st.DrawFn, line: str) -> bytes:
    """The line several times, nearly always as it is."""
    lines = [draw(damaged(line, draw(st.sampled_from([0, 0, 1, 1, 2])))) for _ in range(draw(st.integers(1, 6)))]
    ends = [draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "\r\r\n"])) for _ in lines]
    data = "".join(one + end for one, end in zip(lines, ends, strict=True)).encode("utf-8", "surrogatepass")
    return data if draw(st.booleans()) else data.rstrip(b"\r\n") or b"\n"


@settings(max_examples=examples(300), deadline=None)
@given(st.data())
def test_any_log_of_any_format_string_gives_the_hits_and_rejects_of_its_parser(data: st.DataObject) -> None:
    text, line, _ = data.draw(formats_with_lines())
    assert_same(text, data.draw(logs(line)), data.draw(st.sampled_from([0, 1, 2**40])))


@pytest.mark.parametrize("text", TEXTS)
@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_any_log_of_a_known_format_string_gives_them_too(text: str, data: st.DataObject) -> None:
    assert_same(text, data.draw(logs(TEXTS[text])))


@pytest.mark.sampled
@pytest.mark.parametrize("text", TEXTS)
def test_a_bit_put_in_or_in_place_of_a_column_at_any_place_gives_the_same(text: str) -> None:
    line = TEXTS[text]
    places = [at for at, one in enumerate(line) if not one.isalnum()]
    odd = [
        line[:at] + bit + line[end:]
        for number, (at, end) in enumerate(zip(places, [*places[1:], len(line)], strict=True))
        for bit in part(number, ODD_BITS)
        for end in (at, at + 1, end)
    ]  # fmt: skip
    data = "".join(f"{one}\n" for one in [*odd, line]).encode("utf-8", "surrogatepass")
    assert assert_same(text, data) >= 1


@pytest.mark.parametrize("text", TEXTS)
def test_lines_as_the_server_writes_them_are_read_as_columns(text: str) -> None:
    assert assert_same(text, f"{TEXTS[text]}\r\n".encode() * 3) == 3


def test_odd_columns_give_the_same_as_good_ones() -> None:
    odd = [line_of(GOOD | {name: text}, "combined_range") for name, texts in ODD.items() for text in texts]
    good = [line_of(GOOD, "combined_range")] * len(odd)
    data = b"\n".join(line for pair in zip(good, [*odd, *ODD_LINES], strict=False) for line in pair)
    assert assert_same(FORMAT_STRING, with_endings(data)) >= len(good)


@pytest.mark.parametrize("text", WITHOUT_COLUMNS)
def test_a_format_string_whose_values_patterns_alone_find_has_no_columns(text: str) -> None:
    assert not has_columns(compiled(text).format.name)


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_a_log_cut_anywhere_between_its_lines_gives_the_same_parts(data: st.DataObject) -> None:
    text, line, _ = data.draw(formats_with_lines())
    name, log = compiled(text).format.name, data.draw(logs(line))
    if not has_columns(name):
        return
    places = [at + 1 for at, one in enumerate(log) if one == ord("\n") and at + 1 < len(log)]
    cuts = [0, *(sorted(data.draw(st.sets(st.sampled_from(places)))) if places else ()), len(log)]
    reads: list[ReadLines | LineColumns] = []
    for begin, end in pairwise(cuts):
        reads.append(
            read_block(name, log[begin:end], ARRIVED, begin, options=ALL_FIELDS) or rows_of(text, log[begin:end], begin)
        )
    assert parts_of(reads) == parts_of([rows_of(text, log, 0)])


@pytest.mark.parametrize(("query", "fields"), [("signed", ""), ("drop", ""), ("keep", "cmcd_br")])
def test_a_block_whose_requests_are_changed_is_left_to_the_parser(query: str, fields: str) -> None:
    data = (TEXTS["nginx:combined"].replace("/a", "/a?Signature=1&CMCD=br%3D5") + "\n").encode()
    assert read_block("nginx:combined", data, ARRIVED, options=FormatOptions(query=query, fields=fields)) is None
