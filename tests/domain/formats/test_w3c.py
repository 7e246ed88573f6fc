"""The lines: Microsoft's examples of an IIS 6 and an IIS 5 log, an IIS 8 log, and the example of the W3C's draft of the format
(times alone, with a #Date directive; no client, no status). None of them has ranges: those lines follow the field names."""

from __future__ import annotations

import pytest

from app.domain.formats import FORMATS, FormatOptions
from app.domain.records import HitFlag, Parsed
from tests.domain.formats.reading import hit, parsed, read, reject

IIS6 = "#Fields: date time c-ip cs-username s-ip s-port cs-method cs-uri-stem cs-uri-query sc-status cs(User-Agent)"
IIS5 = "#Fields: date time c-ip cs-username s-ip s-port cs-method cs-uri-stem cs-uri-query sc-status sc-bytes cs(User-Agent) cs(Referer)"
IIS8 = (
    "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer)"
    " sc-status sc-substatus sc-win32-status time-taken"
)
MSIE10 = "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; WOW64; Trident/6.0)"


@pytest.mark.parametrize(
    ("fields", "line", "expected"),
    [
        (
            IIS6,
            "2002-05-02 17:42:15 172.22.255.255 - 172.30.255.255 80 GET /images/picture.jpg - 200 "
            "Mozilla/4.0+(compatible;MSIE+5.5;+Windows+2000+Server)",
            hit(
                1020361335.0, "172.22.255.255", "Mozilla/4.0 (compatible;MSIE 5.5; Windows 2000 Server)",
                "GET /images/picture.jpg", "GET", 200,
            ),
        ),
        (
            IIS5,
            "2007-04-11 15:53:49 201.235.121.101 - 131.21.230.15 80 GET /items.htm - 200 878 "
            "Mozilla/4.0+(compatible;+MSIE+5.0;+Windows+95;+DigExt) http://www.ccc.com/link.htm",
            hit(
                1176306829.0, "201.235.121.101", "Mozilla/4.0 (compatible; MSIE 5.0; Windows 95; DigExt)",
                "GET /items.htm", "GET", 200, bytes_sent=878, flags=1,
            ),
        ),
        (
            IIS8,
            "2012-08-18 19:46:57 ::1 GET / - 80 - ::1 Mozilla/5.0+(compatible;+MSIE+10.0;+Windows+NT+6.2;+WOW64;+Trident/6.0) - 200 0 0 0",
            hit(1345319217.0, "::1", MSIE10, "GET /", "GET", 200),
        ),
        (
            IIS8,
            "2012-08-18 19:46:57 ::1 GET /favicon.ico - 80 - ::1 "
            "Mozilla/5.0+(compatible;+MSIE+10.0;+Windows+NT+6.2;+WOW64;+Trident/6.0) - 404 0 2 0",
            hit(1345319217.0, "::1", MSIE10, "GET /favicon.ico", "GET", 404),
        ),
        (
            IIS8,
            "2012-08-18 19:46:57 ::1 GET /msweb-brand.png v=1 80 - ::1 - http://localhost/ 200 0 0 0",
            hit(1345319217.0, "::1", "-", "GET /msweb-brand.png?v=1", "GET", 200),
        ),
    ],
)  # fmt: skip
def test_lines_of_iis_read_in_all_fields(fields: str, line: str, expected: Parsed) -> None:
    assert read("w3c", line, ("#Version: 1.0", fields)) == expected


@pytest.mark.parametrize(
    ("clock", "seconds"), [("00:34:23", 2063), ("12:21:16", 44476), ("12:45:52", 45952), ("12:57:34", 46654)]
)
def test_lines_of_the_draft_take_their_date_from_the_directive(clock: str, seconds: int) -> None:
    head = ("#Version: 1.0", "#Date: 12-Jan-1996 00:00:00", "#Fields: time cs-method cs-uri")
    assert read("w3c", f"{clock} GET /foo/bar.html", head) == hit(
        821404800.0 + seconds, None, None, "GET /foo/bar.html", "GET", 200
    )


def test_times_alone_without_a_date_directive_are_bad_time() -> None:
    assert reject("w3c", "00:34:23 GET /foo", ("#Fields: time cs-method cs-uri",)) == "bad_time"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("x-content-range", "bytes+0-289/579", (0, 289, 732, 579)),
        ("sc(Content-Range)", '"bytes 0-289/*"', (0, 289, 732, None)),
        ("sc(Content-Range)", "-", (None, None, 732, None)),
    ],
)
def test_a_content_range_column_gives_offsets_and_size(name: str, text: str, expected: tuple[int | None, ...]) -> None:
    head = (f"#Fields: date time c-ip cs-method cs-uri-stem sc-status sc-bytes {name}",)
    line = f"2020-07-31 16:46:07 203.0.113.9 GET /a 206 732 {text}"
    assert read("w3c", line, head) == (1596213967.0, "203.0.113.9", "-", "GET /a", "GET", 206, *expected, 1, {})


def test_quoted_and_tab_separated_columns_read_alike() -> None:
    head = ("#Fields: date time c-ip cs(User-Agent) cs-method cs-uri-stem",)
    expected = hit(1596213967.0, "10.0.0.1", 'My "best" player', "GET /a", "GET", 200)
    assert read("w3c", '2020-07-31 16:46:07 10.0.0.1 "My ""best"" player" GET /a', head) == expected
    assert read("w3c", '2020-07-31\t16:46:07\t10.0.0.1\t"My ""best"" player"\tGET\t/a', head) == expected
    assert read("w3c", "2020-07-31\t16:46:07  10.0.0.1 My%20%22best%22%20player GET\t/a", head) == expected


def test_a_later_fields_line_changes_the_columns() -> None:
    parse = FORMATS["w3c"].make_parser((IIS6,), FormatOptions())
    assert parse("#Software: another") is None
    assert parse("#Fields: date time cs-uri-stem") is None
    assert parse("2020-07-31 16:46:07 /a") == (
        1596213967.0,
        None,
        None,
        "/a",
        "GET",
        200,
        None,
        None,
        None,
        None,
        0,
        {},
    )


@pytest.mark.parametrize(
    ("line", "head", "reason"),
    [
        ("2002-05-02 17:42:15 172.22.255.255 - 172.30.255.255 80 GET /images/picture.jpg - 200 x", (), "bad_columns"),
        ("", (IIS6,), "bad_columns"),
        ("   ", (IIS6,), "bad_columns"),
        ("2002-05-02 17:42:15 GET", (IIS6,), "bad_columns"),
        ("2002-05-02 17:42:15 c - s 80 GET /a - 20 x", (IIS6,), "bad_status"),
        ("2002-05-32 17:42:15 c - s 80 GET /a - 200 x", (IIS6,), "bad_time"),
    ],
)
def test_other_lines_are_rejected_with_their_reason(line: str, head: tuple[str, ...], reason: str) -> None:
    assert reject("w3c", line, head) == reason


def test_a_later_date_directive_dates_the_times_behind_it() -> None:
    parse = FORMATS["w3c"].make_parser(("#Date: 1970-01-01", "#Fields: time cs-method cs-uri-stem"), FormatOptions())
    assert parsed(parse, "00:00:01 GET /a")[0] == 1.0
    assert parse("#Date: 1970-01-02 00:00:00") is None
    assert parsed(parse, "00:00:01 GET -")[0:5] == (86401.0, None, None, "GET", None)
    assert parse("#Date: some day") is None
    assert parsed(parse, "00:00:02 - /a")[0:5] == (86402.0, None, None, "/a", None)


def test_a_range_that_is_none_costs_the_range_and_not_the_hit() -> None:
    head = ("#Fields: date time x-content-range",)
    assert read("w3c", "2020-07-31 16:46:07 bytes+9-1/10", head)[6:10] == (None, None, None, None)
    assert read("w3c", "2020-07-31 16:46:07 bytes+1-9/10", head)[6:10] == (1, 9, None, 10)


@pytest.mark.parametrize(("code", "aborted"), [("0", False), ("64", True), ("1236", True), ("-", False)])
def test_what_windows_says_of_the_connection_tells_that_the_client_went(code: str, aborted: bool) -> None:
    head = ("#Fields: date time cs-method cs-uri-stem c-ip sc-status sc-win32-status cs-version",)
    found = read("w3c", f"2020-07-31 16:46:07 GET /a 203.0.113.9 200 {code} HTTP/2", head)
    assert found.flags == HitFlag.HTTP2 | (HitFlag.ABORTED if aborted else 0)


@pytest.mark.parametrize(
    ("name", "text", "flags"),
    [
        ("sc-bytes-body", "400", HitFlag.ANNOUNCED),
        ("sc-bytes-body", "500", HitFlag(0)),
        ("x-body-bytes", "-", HitFlag(0)),
        ("cs-bytes", "400", HitFlag(0)),
        ("x-aborted", "true", HitFlag.ABORTED),
        ("x-aborted", "-", HitFlag(0)),
        ("x-finished", "0", HitFlag.ABORTED),
    ],
)
def test_a_column_whose_name_is_not_known_keeps_a_range_from_being_proof_and_makes_none(
    name: str, text: str, flags: HitFlag
) -> None:
    head = f"#Fields: date time c-ip cs-method cs-uri-stem sc-status cs(User-Agent) sc(Content-Range) {name}"
    line = f"2026-11-29 18:00:00 203.0.113.9 GET /a.mp4 206 curl/8 bytes+0-499/500 {text}"
    found = read("w3c", line, (head,))
    assert (found.lo, found.hi, found.flags) == (0, 499, int(flags))


@pytest.mark.parametrize(("text", "flags"), [("-", HitFlag.ANNOUNCED), ("500", HitFlag.HEADERS_COUNTED)])
def test_a_range_beside_no_bytes_where_they_should_be_is_no_proof(text: str, flags: HitFlag) -> None:
    head = "#Fields: date time c-ip cs-method cs-uri-stem sc-status cs(User-Agent) sc(Content-Range) sc-bytes"
    line = f"2026-11-29 18:00:00 203.0.113.9 GET /a.mp4 206 curl/8 bytes+0-499/500 {text}"
    found = read("w3c", line, (head,))
    assert (found.lo, found.hi, found.flags) == (0, 499, int(flags))
