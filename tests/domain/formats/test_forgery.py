"""What a client writes into its agent, or a header that is logged, never makes it a whole download: told by the first lines of the file."""

from __future__ import annotations

import json
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.deliveries import describe
from app.domain.formats import FormatOptions
from app.domain.formats.detection import detect, with_sample
from app.domain.formats.unknown_heads import believes, shapes_of
from app.domain.lines import ReadLines, read_lines
from app.domain.parts import part_of
from app.domain.records import Delivery, HitFlag
from app.domain.tallies import Tally
from app.messages.headers import Headers
from app.messages.origins import Lines
from app.sources.files.beginning import SAMPLE_BYTES, read_beginning
from app.sources.files.read_options import ReadOptions
from app.steps.tokenizer import Tokenizer
from tests.domain.formats import reading

MANY = 20
"""A shape counts that a fifth of the first lines has."""
TIME = "[29/Nov/2026:18:00:00 +0000]"
FORGED = f'203.0.113.66 - - {TIME} "GET /forged HTTP/1.1" 206 5000 "-" "x" "bytes 0-4999/5000"'
FORGED_JSON = json.dumps(
    {
        "time": "2026-11-29T18:00:00Z",
        "remote_addr": "203.0.113.66",
        "request": "GET /forged HTTP/1.1",
        "status": 206,
        "body_bytes_sent": 5000,
        "sent_http_content_range": "bytes 0-4999/5000",
    }
)


def plain(path: str, status: int, sent: int, behind: str) -> str:
    return f'203.0.113.9 - - {TIME} "GET {path} HTTP/1.1" {status} {sent} "-" "curl/8.5.0"{behind}'


def read(lines: list[str], heads: str = "") -> ReadLines:
    found = detect(lines, FormatOptions())
    assert found is not None
    parse = found.make_parser((), with_sample(found, lines, FormatOptions(heads=heads)))
    return read_lines("".join(f"{line}\n" for line in lines).encode(), parse, 1.9e9)


def deliveries(lines: list[str]) -> dict[str, Delivery]:
    tallies: dict[tuple[str, ...], Tally] = {}
    for number, hit in enumerate(read(lines).hits):
        part = part_of(hit, number)
        if part is not None:
            tallies.setdefault(hit[1:4], Tally(0.0)).add(part)
    return {str(key[2]): describe(key, tally, None) for key, tally in tallies.items()}  # type: ignore[arg-type]  # a key has three texts


MAIN = [plain("/a", 206, 100, ' "-"'), plain("/b", 200, 100, ' "-"'), plain("/c", 206, 7, ' "198.51.100.7"')]
"""nginx's usual text: the last column is X-Forwarded-For."""
RANGES = [
    plain("/a", 206, 500, ' "bytes 0-499/500" "OK" "-"'),
    plain("/b", 200, 500, ' "-" "OK" "198.51.100.7"'),
    plain("/c", 206, 100, ' "bytes 0-99/500" "" "-"'),
]


@pytest.mark.parametrize(
    ("others", "forged"),
    [
        (MAIN, plain("/forged", 206, 1000, ' "bytes 0-999/1000"')),
        (MAIN, plain("/forged", 200, 1000, ' "bytes 0-999/1000"')),
        (MAIN, plain("/forged", 200, 1000, ' "OK"')),
        (MAIN[:2], plain("/forged", 206, 1000, ' "bytes 0-999/1000"')),
        (RANGES, plain("/forged", 200, 1000, ' "-" "" "OK"')),
        (RANGES, plain("/forged", 200, 1000, ' "-" "" "bytes 0-999/1000"')),
    ],
)
def test_a_logged_header_of_the_client_is_no_range_and_no_end(others: list[str], forged: str) -> None:
    found = deliveries([*others * 3, forged])
    assert found["GET /forged"].verdict != "complete"


def test_a_range_and_an_end_are_read_where_others_of_the_file_have_them() -> None:
    whole = deliveries(
        [*RANGES * 3, plain("/w", 200, 500, ' "-" "OK" "-"'), plain("/r", 206, 9, ' "bytes 0-8/9" "OK" "-"')]
    )
    assert [whole[f"GET /{name}"].verdict for name in "arw"] == ["complete"] * 3
    later = deliveries([plain("/a", 206, 100, "")] * 60 + [plain("/r", 206, 9, ' "bytes 0-8/9"')])
    assert later["GET /r"].verdict == "complete"  # a column that was added later


HEADS = [
    "2026-11-29 18:00:00,123 - aiohttp.access - INFO - ",
    "2026-11-29T18:00:00.123Z  INFO 1 --- [nio-8080-exec-1] access   : ",
    "[INFO] 2026/11/29 18:00:00 main.go:42: ",
]
APPLICATIONS = [
    "2026-11-29 18:00:00,123 - films.download - INFO - ",
    "2026-11-29T18:00:00.123Z  INFO 1 --- [nio-8080-exec-2] films   : ",
    "[INFO] 2026/11/29 18:00:00 main.go:42: agent: ",
    "2026-11-29 18:00:00 INFO started by ",
    "films - INFO - ",
]


@pytest.mark.parametrize("head", ["", *HEADS])
@pytest.mark.parametrize("application", APPLICATIONS)
def test_what_an_application_logged_of_its_client_is_no_line(head: str, application: str) -> None:
    lines = [head + plain("/a", 206, 500, ' "bytes 0-499/500"')] * MANY
    for forged in (FORGED, FORGED_JSON):
        assert len(read([*lines, application + forged, f"{application}x: {forged}"]).hits) == MANY


@given(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=20))
def test_nothing_that_a_client_writes_before_its_line_makes_it_one(written: str) -> None:
    lines = [HEADS[0] + plain("/a", 206, 500, ' "bytes 0-499/500"')] * MANY
    assert len(read([*lines, f"{APPLICATIONS[0]}{written}{FORGED}"]).hits) == MANY


@pytest.mark.parametrize("head", HEADS)
def test_the_heads_of_a_files_own_logger_are_passed_over_whatever_their_times_and_levels(head: str) -> None:
    other = head.replace("18:00:00", "19:11:12").replace("INFO", "WARN").replace("exec-1", "exec-7")
    lines = [head + plain("/a", 206, 500, ' "bytes 0-499/500"')] * MANY
    assert len(read([*lines, other + lines[0].removeprefix(head)]).hits) == MANY + 1


@pytest.mark.parametrize(
    ("head", "later"),
    [
        ("31-Jul-2020 23:59:58.123 INFO [http-nio-8080-exec-3] access: ", "01-Aug-2020 00:00:01.004 INFO [http-nio-8080-exec-10] access: "),
        ("31/Jul/2020 23:59:58 app: ", "01/Aug/2020 00:00:01 app: "),
        ("Fri, 31 Jul 2020 23:59:58 GMT app> ", "Sat, 01 August 2020 00:59:58 BST app> "),
        ("7/31/2020 11:59:58 AM INFO access: ", "10/1/2020 12:00:01 PM WARN access: "),
        ("Wednesday 31 December 2020 11:59:58 CEST - access - ", "Thursday 1 January 2021 12:00:01 CET - access - "),
    ],
)  # fmt: skip
def test_a_head_is_its_loggers_when_a_month_a_day_or_a_zone_has_another_name(head: str, later: str) -> None:
    line = plain("/a", 206, 500, ' "bytes 0-499/500"')
    assert len(read([head + line] * 40 + [later + line]).hits) == 41


def test_two_loggers_of_one_file_are_both_its_own() -> None:
    line = plain("/a", 206, 500, ' "bytes 0-499/500"')
    heads = ["2026-11-29 18:00:00 INFO web-a - "] * 85 + ["2026-11-29 18:00:00 INFO web-b - "] * 15
    assert len(read([head + line for head in heads]).hits) == 100


def test_few_heads_bind_no_word_to_its_place() -> None:
    line = plain("/a", 206, 500, ' "bytes 0-499/500"')
    heads = [f"2026-11-29 18:00:00 INFO [req-{name}] access - " for name in ("abcdef", "fedcba")]
    told = shapes_of(heads, 2)
    assert believes(told, heads[0].replace("abcdef", "cafe")) and not believes(told, "INFO [req-abcdef] access - ")
    assert len(read([head + line for head in heads]).hits) == 2


def test_a_line_behind_another_head_says_how_it_would_be_read() -> None:
    lines = [HEADS[0] + plain("/a", 206, 500, ' "bytes 0-499/500"')] * MANY
    (reject,) = read([*lines, APPLICATIONS[3] + FORGED]).rejects
    assert "WEBLOGS_HEADS=any" in reject[1]


def test_the_addresses_of_servers_with_ever_other_ports_are_no_clients() -> None:
    lines = [
        plain(
            "/a", 206, 500, f' "-" "bytes {500 * (n % 2)}-{500 * (n % 2) + 499}/1000" "10.0.2.7:{31873 + 7 * n}"'
        ).replace("203.0.113.9", f"192.168.1.{n}")
        for n in range(40)
    ]
    assert {hit[1] for hit in read(lines).hits} == {f"192.168.1.{n}" for n in range(40)}


def test_with_the_setting_any_head_is_passed_over() -> None:
    lines = [plain("/a", 206, 500, ' "bytes 0-499/500"')] * MANY
    assert len(read([*lines, APPLICATIONS[3] + FORGED], "any").hits) == MANY + 1


def test_a_worker_reads_lines_by_what_the_beginning_of_their_file_told() -> None:
    head = HEADS[0]
    lines = [head + plain("/a", 206, 500, ' "-"')] * MANY
    found = detect(lines, FormatOptions())
    assert found is not None
    told = with_sample(found, lines, FormatOptions())
    value = "\n".join((head + plain("/a", 206, 500, ' "bytes 0-499/500"'), APPLICATIONS[0] + FORGED)).encode()
    headers = {
        Headers.FORMAT: found.name.encode(),
        Headers.HEADS: told.heads.encode(),
        Headers.DOUBTED: told.doubted.encode(),
    }
    read = Tokenizer(1).tokenize([Lines("a", 0, 0, 1.9e9, value, headers)])
    assert (read.hits, len(read.rejects), sum(read.unread.values())) == (1, 1, 1)
    alone = Tokenizer(1).tokenize([Lines("a", 0, 0, 1.9e9, value, {})])
    assert (alone.hits, len(alone.rejects)) == (0, 2)  # lines that no file told anything of: no unknown head


@given(
    st.text(max_size=40) | st.sampled_from(['{"* ": 5}', '{"* ": [5]}', '{"* ": []}', "[1]", "9"]), st.text(max_size=40)
)
def test_what_a_header_of_a_message_says_of_heads_never_raises(told: str, head: str) -> None:
    assert not believes(told, "a ")
    assert believes(told, head) in (True, False)
    assert believes(shapes_of([head] * 3, 3), head)


@pytest.mark.parametrize(("ports", "client"), [(range(40000, 40020), "198.51.100.7"), ([8080] * 20, "10.0.0.5")])
def test_an_address_with_a_port_is_forwarded_where_the_ports_of_a_file_differ(ports: list[int], client: str) -> None:
    lines = [plain("/a", 200, 500, f' "198.51.100.7:{port}"').replace("203.0.113.9", "10.0.0.5") for port in ports]
    assert {hit[1] for hit in read(lines).hits} == {client}


def test_columns_are_read_by_what_the_first_lines_told_too() -> None:
    from app.columns.formats import read_block

    options = FormatOptions(doubted="range:0")
    data = "".join(
        f"{line}\n" for line in (plain("/a", 206, 500, ' "-"'), plain("/b", 206, 500, ' "bytes 0-499/500"'))
    ).encode()
    block = read_block("combined", data, 1.9e9, options=options)
    assert block is not None
    assert [hit[6:8] for hit in block.other.hits] == [(None, None)]


def test_a_named_format_reads_on_to_its_first_hit_for_what_a_file_tells() -> None:
    started = b"".join(
        b"2026-11-29 17:59:59,%03d - films.app - INFO - read the film %d\n" % (n % 1000, n) for n in range(3000)
    )
    got = (HEADS[0] + plain("/a", 206, 500, ' "bytes 0-499/500"') + "\n").encode()
    assert len(started) > SAMPLE_BYTES
    told = read_beginning(BytesIO(started + got * MANY), "films.log", ReadOptions("combined_range"))
    assert told is not None and believes(told.options.heads, HEADS[0])
    alone = read_beginning(BytesIO(started), "films.log", ReadOptions("combined_range"))
    assert alone is not None and not alone.options.heads


SQUID = (
    "1596213967.123    290 203.0.113.9 TCP_MISS/206 30000 GET http://example.com/f.bin - HIER_DIRECT/192.0.2.1 video/mp4 "
    "[User-Agent: curl/8%0D%0AContent-Range: bytes 0-999/1000%0D%0A] [HTTP/1.1 206 OK%0D%0A{}]"
)


def test_a_range_among_the_heads_that_a_client_sent_to_squid_is_none_of_the_response() -> None:
    found = reading.read("squid", SQUID.format("Content-Range: bytes 5000-5999/60000000%0D%0A"))
    assert (found.user_agent, found.lo, found.hi, found.total_bytes) == ("curl/8", 5000, 5999, 60_000_000)
    found = reading.read("squid", SQUID.format("Content-Length: 20%0D%0A"))
    assert (found.lo, found.total_bytes) == (None, None)


def test_the_encoding_among_the_heads_of_squids_response_is_read() -> None:
    gzipped = reading.read("squid", SQUID.format("Content-Encoding: gzip%0D%0AContent-Range: bytes 0-999/1000%0D%0A"))
    assert gzipped.flags & HitFlag.ENCODED
    plain = reading.read("squid", SQUID.format("Content-Range: bytes 0-999/1000%0D%0A"))
    assert not plain.flags & HitFlag.ENCODED


@pytest.mark.parametrize(
    ("captured", "expected"),
    [
        ("{bytes 0-99/100} {}", ("-", None, None, None)),
        ("{curl/8|bytes 0-99/100} {bytes 5-9/600|video/mp4}", ("curl/8", 5, 9, 600)),
        ("{curl/8} {bytes 5-9/600}", ("curl/8", 5, 9, 600)),
        ("{bytes 5-9/600}", ("-", 5, 9, 600)),
        ("{curl/8}", ("curl/8", None, None, None)),
        ("", ("-", None, None, None)),
    ],
)
def test_a_range_among_the_heads_that_haproxy_captured_of_a_request_is_none_of_the_response(
    captured: str, expected: tuple[object, ...]
) -> None:
    line = (
        "203.0.113.9:33317 [31/Jul/2020:16:46:07.655] https~ films/srv1 10/0/30/69/109 206 900 - - ---- 1/1/0/0/0 0/0 "
        f'{captured} "GET /films/1.mp4 HTTP/1.1"'
    )
    found = reading.read("haproxy", line.replace("  ", " "))
    assert (found.user_agent, found.lo, found.hi, found.total_bytes) == expected
