"""weblog_tsv is this system's own format: the lines are those of its worked example (two clients on 31 July 2020)."""

from __future__ import annotations

import pytest

from tests.domain.formats.reading import hit, read, reject
from tests.together import together

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:78.0) Gecko/20100101 Firefox/78.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/84.0.4147.105 Safari/537.36"
FILE_1 = "/6d8a9754-e8c7-4193-8491-58b2122c1c10"
FILE_2 = "/c66c0276-3cc2-47f9-a5ae-42954421a4b1"
MIDNIGHT = 1596153600.0  # 31 July 2020


def row(
    time: str = "2020-07-31 16:46:07",
    ip: str = "63.110.194.22",
    agent: str = FIREFOX,
    request: str = FILE_1,
    status: str = "206",
    byte_range: str = "0-289",
    date: str = "2020-07-31",
) -> str:
    return "\t".join((date, time, ip, agent, request, status, byte_range))


@together(
    ("clock", "ip", "agent", "request_text", "status", "lo", "hi"),
    [
        ("16:46:07", "63.110.194.22", FIREFOX, FILE_1, 206, 0, 289),
        ("12:48:31", "63.110.194.22", FIREFOX, FILE_1, 206, 289, 578),
        ("14:24:08", "63.110.194.22", FIREFOX, FILE_1, 206, 578, 867),
        ("15:05:20", "63.110.194.22", FIREFOX, FILE_1, 206, 867, 1156),
        ("09:00:01", "120.250.243.111", CHROME, FILE_2, 500, 0, 359),
        ("09:00:02", "120.250.243.111", CHROME, FILE_2, 500, 359, 718),
        ("09:00:03", "120.250.243.111", CHROME, FILE_2, 206, 718, 1077),
        ("09:00:04", "120.250.243.111", CHROME, FILE_2, 206, 1077, 1436),
        ("09:00:05", "120.250.243.111", CHROME, FILE_2, 206, 1436, 1795),
    ],
)
def test_the_worked_example_reads_in_all_fields(
    clock: str, ip: str, agent: str, request_text: str, status: int, lo: int, hi: int
) -> None:
    hours, minutes, seconds = map(int, clock.split(":"))
    line = row(f"2020-07-31 {clock}", ip, agent, request_text, str(status), f"{lo}-{hi}")
    expected = hit(MIDNIGHT + hours * 3600 + minutes * 60 + seconds, ip, agent, request_text, "GET", status, lo, hi)
    assert read("weblog_tsv", line) == expected


def test_a_time_of_day_alone_stands_on_the_date_of_its_column() -> None:
    assert read("weblog_tsv", row(time="00:00:59", date="2020-08-01")).time == MIDNIGHT + 86400 + 59


def test_the_date_column_only_informs_where_the_time_has_its_date() -> None:
    assert read("weblog_tsv", row(date="whatever")).time == read("weblog_tsv", row()).time


def test_seconds_may_have_a_fraction() -> None:
    assert read("weblog_tsv", row(time="2020-07-31 00:00:01.250")).time == MIDNIGHT + 1.25
    assert read("weblog_tsv", row(time="00:00:01.123456789")).time == pytest.approx(MIDNIGHT + 1.123456789)


@together(
    ("logged", "request_text", "method"),
    [
        ("GET /a HTTP/1.1", "GET /a", "GET"),
        ("GET /a HTTP/2", "GET /a", "GET"),
        ("HEAD /a", "HEAD /a", "HEAD"),
        ("M-SEARCH * HTTP/1.1", "M-SEARCH *", "M-SEARCH"),
        ("GET /a b HTTP/1.0", "GET /a b", "GET"),
        ("/a", "/a", "GET"),
        ("/a HTTP/1.1", "/a", "GET"),
        ("https://example.com/a", "https://example.com/a", "GET"),
        ("-", "-", None),
        ("", "", None),
        ("get /a", "get /a", None),
        ("GET", "GET", None),
        ("GET  /a", "GET  /a", None),
        ("\\x16\\x03\\x01", "\\x16\\x03\\x01", None),
    ],
)
def test_a_request_keeps_its_text_without_protocol_and_broken_ones_have_no_method(
    logged: str, request_text: str, method: str | None
) -> None:
    found = read("weblog_tsv", row(request=logged))
    assert (found.request, found.method) == (request_text, method)


@pytest.mark.parametrize("text", ["-", ""])
def test_a_line_without_range_is_a_hit_without_offsets(text: str) -> None:
    assert read("weblog_tsv", row(byte_range=text))[6:8] == (None, None)


@pytest.mark.parametrize("client", ["", "-"])
def test_a_client_of_nothing_is_nobody_and_an_agent_of_a_hyphen_stays_one(client: str) -> None:
    assert read("weblog_tsv", row(ip=client, agent="-"))[1:3] == (None, "-")


def test_byte_positions_may_be_of_any_size() -> None:
    assert read("weblog_tsv", row(byte_range=f"{10**30}-{10**1200}"))[6:8] == (10**30, 10**1200)


@together(
    "text", ["5-4", "-5-9", "5", "5-", "-5", "a-b", "0 -5", "1_0-20", "+1-2", "²-³", "٣-٤", "0-" + "9" * 5000, "1-2-3"]
)
def test_a_range_that_is_none_is_bad_range(text: str) -> None:
    assert reject("weblog_tsv", row(byte_range=text)) == "bad_range"


@together("text", ["", "-", "99", "600", "0206", "abc", "2.6", "²06", "٢٠٦", "-206", "20 "])
def test_a_status_outside_100_to_599_is_bad_status(text: str) -> None:
    assert reject("weblog_tsv", row(status=text)) == "bad_status"


def test_status_000_is_a_hit() -> None:
    assert read("weblog_tsv", row(status="000")).status == 0


@together(
    "text", ["", "-", "2020-07-32 16:46:07", "2020-13-01 16:46:07", "2020-07-31 24:00:00", "2020-07-31 16:60:00", "2020-07-31 16:46:61",
             "0001-01-01 00:00:00", "31/07/2020 16:46:07", "٢٠٢٠-07-31 16:46:07", "2020-07-31 16:46"],
)  # fmt: skip
def test_what_is_no_date_and_time_is_bad_time(text: str) -> None:
    assert reject("weblog_tsv", row(time=text)) == "bad_time"


@pytest.mark.parametrize("line", ["", " ", "\t", "a\tb", row() + "\tmore", row().replace("\t", " ")])
def test_another_number_of_columns_is_bad_columns(line: str) -> None:
    assert reject("weblog_tsv", line) == "bad_columns"


def test_the_header_row_is_no_hit_whatever_its_words_are() -> None:
    assert reject("weblog_tsv", "date\ttimestamp\tip_address\tuser_agent\trequest\tstatus\tbyte_range") == "bad_time"
