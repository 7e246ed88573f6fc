"""Columns whose names are in the first line are read by the rules of json, whatever parts them, with the first line or without."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.formats import FORMATS, BadLine, FormatOptions, get
from app.domain.formats.detection import detect
from app.domain.records import HitFlag, Parsed
from app.messages.headers import Headers
from app.messages.origins import Lines
from app.steps.tokenizer import Tokenizer

NAMES = [
    "ClientIP",
    "ClientRequestMethod",
    "ClientRequestURI",
    "EdgeStartTimestamp",
    "EdgeResponseBytes",
    "EdgeResponseStatus",
    "ClientRequestUserAgent",
]
VALUES = ["203.0.113.9", "GET", "/films/1.mp4", "2020-07-31T16:46:07Z", "600", "206", "curl/8.5.0"]
RANGE = ["ResponseHeaders.content-range", "bytes 0-289/579"]


def row(columns: list[str], delimiter: str = ",", quoting: int = csv.QUOTE_MINIMAL) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="").writerow(columns)  # type: ignore[arg-type]  # a constant
    return out.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_cloudflares_columns_are_read_as_its_json_is(delimiter: str, quoting: int) -> None:
    header, line = row([*NAMES, RANGE[0]], delimiter, quoting), row([*VALUES, RANGE[1]], delimiter, quoting)
    found = detect([header, line])
    assert found is not None
    assert found == get(found.name)
    parse = found.make_parser((), FormatOptions())
    assert parse(header) is None
    hit = Parsed._make(parse(line) or ())
    assert (hit.ip_address, hit.request, hit.status, hit.lo, hit.hi, hit.total_bytes) == (
        VALUES[0],
        "GET /films/1.mp4",
        206,
        0,
        289,
        579,
    )
    assert (hit.bytes_sent, hit.flags) == (600, int(HitFlag.HEADERS_COUNTED))


def test_a_message_of_a_later_piece_is_read_by_the_name_of_the_format() -> None:
    found = detect([row(NAMES), row(VALUES)])
    assert found is not None
    message = Lines("a", 0, 0, 1.9e9, row(VALUES).encode(), {Headers.FORMAT: found.name.encode()})
    assert Tokenizer(1).tokenize([message]).hits == 1


@given(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_what_an_agent_holds_stays_in_its_column(agent: str) -> None:
    parse = get("csv:" + row(NAMES)).make_parser((), FormatOptions())
    hit = Parsed._make(parse(row([*VALUES[:-1], agent])) or ())
    assert (hit.user_agent, hit.status, hit.bytes_sent) == (
        agent if agent != '"' or len(agent) < 2 else agent[1:-1],
        206,
        600,
    )


def test_an_empty_column_says_nothing_not_even_that_the_response_broke() -> None:
    parse = get("csv:" + row([*NAMES, "ended", "content_range"])).make_parser((), FormatOptions())
    hit = Parsed._make(parse(row([*VALUES, "", ""])) or ())
    assert (hit.flags & int(HitFlag.ABORTED), hit.lo) == (0, None)


@pytest.mark.parametrize("name", ["csv:", "csv:a,b", "csv:a,a,b,c,d", "csv:1,2,3,4,5", "csv:" + "a" * 9000])
def test_what_names_no_columns_is_no_format(name: str) -> None:
    with pytest.raises(LookupError, match="no names of at least 5 columns"):
        get(name)


def test_a_line_with_another_number_of_columns_is_rejected() -> None:
    with pytest.raises(BadLine, match="6 columns, not 7"):
        get("csv:" + row(NAMES)).make_parser((), FormatOptions())(row(VALUES[:-1]))


@pytest.mark.parametrize("name", ["alibaba_cdn", "huawei_cdn", "tencent_cdn", "wp_engine", "actix"])
def test_where_it_is_not_documented_what_bytes_count_they_are_the_size_of_the_answer(name: str) -> None:
    parse = FORMATS[name].make_parser((), FormatOptions())
    for line in FORMATS[name].example.split("\n"):
        hit = Parsed._make(parse(line) or ())
        assert (hit.flags & int(HitFlag.ANNOUNCED), hit.lo, hit.total_bytes) == (int(HitFlag.ANNOUNCED), None, None)
