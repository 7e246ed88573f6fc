"""Standard logs: the six lines are the example of Amazon's description (its third one ends with a tab more). Lines with ranges,
hang-ups and older column counts follow its table of fields, as it has no example of them."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.formats import FORMATS, FormatOptions
from app.domain.formats.cloudfront import FIELDS
from app.domain.records import HitFlag, Parsed
from tests.domain.formats.reading import hit, parsed, read, reject
from tests.together import together

HEADS = ("#Version: 1.0", "#Fields: " + " ".join(FIELDS))
WINDOWS = "Mozilla/5.0%20(Windows%20NT%2010.0;%20Win64;%20x64)%20AppleWebKit/537.36%20(KHTML,%20like%20Gecko)%20Chrome/78.0.3904.108%20Safari/537.36"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/78.0.3904.108 Safari/537.36"
HOST = "d111111abcdef8.cloudfront.net"
COUNTED = int(HitFlag.HEADERS_COUNTED)
ABORTED = int(HitFlag.ABORTED)
HTTP2 = int(HitFlag.HTTP2)
INDEX = 1575493351.0  # 2019-12-04 21:02:31
TLS = "TLSv1.2\tECDHE-RSA-AES128-GCM-SHA256"


def index(request_id: str, taken: str, end: str = "") -> str:
    return (
        f"2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\t{HOST}\t/index.html\t200\t-\t{WINDOWS}\t-\t-\tHit\t{request_id}\t{HOST}"
        f"\thttps\t23\t{taken}\t-\t{TLS}\tHit\tHTTP/2.0\t-\t-\t11040\t{taken}\tHit\ttext/html\t78\t-\t-{end}"
    )


def failed(
    clock: str, edge: str, stem: str, referer: str, agent: str, request_id: str, sent: str, taken: str, port: str
) -> str:
    return (
        f"2019-12-13\t{clock}\t{edge}\t900\t192.0.2.200\tGET\t{HOST}\t{stem}\t502\t{referer}\t{agent}\t-\t-\tError\t{request_id}"
        f"\twww.example.com\thttp\t{sent}\t{taken}\t-\t-\t-\tError\tHTTP/1.1\t-\t-\t{port}\t{taken}\tOriginDnsError\ttext/html\t507\t-\t-"
    )


FAVICON = failed(
    "22:36:27", "SEA19-C1", "/favicon.ico", "http://www.example.com/", WINDOWS, "1pkpNfBQ39sYMnjjUQjmH2w1wdJnbHYTbag21o_3OfcQgPzdL2RSSQ==",
    "675", "0.102", "25260",
)  # fmt: skip
ROOT = failed(
    "22:36:26",
    "SEA19-C1",
    "/",
    "-",
    WINDOWS,
    "3AqrZGCnF_g0-5KOvfA7c9XLcf4YGvMFSeFdIetR1N_2y8jSis8Zxg==",
    "735",
    "0.107",
    "3802",
)
CURL = failed("22:37:02", "SEA19-C2", "/", "-", "curl/7.55.1", "kBkDzGnceVtWHqSCqBUqtA_cEs2T3tFUBbnBNkB9El_uVRhHgcZfcw==", "387", "0.103", "12644")  # fmt: skip


@together("head", [HEADS, ()])
@together(
    ("line", "expected"),
    [
        (index("SOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==", "0.001"), None),
        (index("k6WGMNkEzR5BEM_SaF47gjtX9zBDO2m349OY2an0QPEaUum1ZOLrow==", "0.000"), None),
        (index("f37nTMVvnKvV2ZSvEsivup_c2kZ7VXzYdjC-GUQZ5qNs-89BlWazbw==", "0.001", "\t"), None),
        (
            FAVICON,
            hit(1576276587.0, "192.0.2.200", CHROME, "GET /favicon.ico", "GET", 502, bytes_sent=900, flags=COUNTED),
        ),
        (ROOT, hit(1576276586.0, "192.0.2.200", CHROME, "GET /", "GET", 502, bytes_sent=900, flags=COUNTED)),
        (CURL, hit(1576276622.0, "192.0.2.200", "curl/7.55.1", "GET /", "GET", 502, bytes_sent=900, flags=COUNTED)),
    ],
)
def test_the_documented_lines_read_in_all_fields_with_heads_or_by_their_33_columns(
    head: tuple[Any, ...], line: str, expected: Parsed | None
) -> None:
    page = hit(
        INDEX,
        "192.0.2.100",
        CHROME,
        "GET /index.html",
        "GET",
        200,
        bytes_sent=392,
        total_bytes=78,
        flags=COUNTED | HTTP2,
    )
    assert read("cloudfront", line, head) == (expected or page)


def columns(width: int = 33, /, **changes: str) -> str:
    """A line for one piece of a file, with columns changed by name."""
    values = dict(zip(FIELDS, index("id==", "0.001").split("\t"), strict=True))
    values.update(
        {"sc-status": "206", "sc-content-len": "290", "sc-range-start": "0", "sc-range-end": "289", "sc-bytes": "732"}
    )
    values.update({name.replace("_", "-"): value for name, value in changes.items()})
    return "\t".join(values[name] for name in FIELDS[:width])


def test_on_206_the_content_length_is_that_of_the_part() -> None:
    assert read("cloudfront", columns()) == hit(
        INDEX, "192.0.2.100", CHROME, "GET /index.html", "GET", 206, 0, 289, 732, None, COUNTED | HTTP2
    )


@pytest.mark.parametrize("width", [23, 26])
def test_older_logs_have_23_or_26_columns_and_no_ranges(width: int) -> None:
    assert read("cloudfront", columns(width)) == hit(
        INDEX,
        "192.0.2.100",
        CHROME,
        "GET /index.html",
        "GET",
        206,
        bytes_sent=732,
        flags=COUNTED | (HTTP2 if width == 26 else 0),
    )


@pytest.mark.parametrize("width", [1, 22, 24, 32])
def test_other_numbers_of_columns_need_a_fields_line(width: int) -> None:
    assert reject("cloudfront", columns(width)) == "bad_columns"


def test_a_later_fields_line_changes_the_columns() -> None:
    parse = FORMATS["cloudfront"].make_parser(HEADS, FormatOptions())
    assert parsed(parse, columns())[6:8] == (0, 289)
    assert parse("#Fields: time date sc-range-end sc-range-start c-ip x-edge-location") is None
    assert parse("21:02:31\t2019-12-04\t9\t1\t192.0.2.1\tLAX1") == (
        INDEX,
        "192.0.2.1",
        "-",
        "-",
        None,
        200,
        1,
        9,
        None,
        None,
        0,
        {},
    )
    assert reject("cloudfront", columns(), ("#Fields: date time",)) == "bad_columns"


@together(
    ("logged", "agent"),
    [
        ("curl/7.55.1", "curl/7.55.1"),
        ("My%20Player", "My Player"),
        ("My%2520Player", "My Player"),
        ("100%25", "100%"),
        ("caf%C3%A9", "café"),
        ("caf%E9", "caf\\xe9"),
        ("a+b", "a+b"),
        ("-", "-"),
    ],
)
def test_the_agent_is_decoded_whether_encoded_once_or_twice(logged: str, agent: str) -> None:
    assert read("cloudfront", columns(**{"cs(User-Agent)": logged})).user_agent == agent


@pytest.mark.parametrize(
    ("method", "query", "request_text"),
    [("GET", "-", "GET /index.html"), ("GET", "a=1&b=2", "GET /index.html?a=1&b=2"), ("HEAD", "", "HEAD /index.html")],
)
def test_the_request_is_method_stem_and_query_without_the_host(method: str, query: str, request_text: str) -> None:
    found = read("cloudfront", columns(cs_method=method, cs_uri_query=query, x_host_header="example.com"))
    assert (found.request, found.method) == (request_text, method)


@together(
    ("status", "result", "response_result", "detail", "aborted"),
    [
        ("206", "Hit", "Hit", "Hit", False),
        ("206", "Error", "Hit", "ClientCommError", True),
        ("200", "Error", "Error", "Error", True),
        ("000", "Error", "Error", "ClientHungUpRequest", True),
        ("000", "Error", "Error", "ClientCommError", True),
        ("404", "Error", "Miss", "Error", True),
        ("404", "Error", "Error", "Error", False),
        ("502", "Error", "Error", "OriginDnsError", False),
        ("206", "RefreshHit", "Hit", "-", False),
    ],
)
def test_a_result_that_turned_into_an_error_says_that_the_transfer_broke_off(
    status: str, result: str, response_result: str, detail: str, aborted: bool
) -> None:
    line = columns(
        sc_status=status,
        x_edge_result_type=result,
        x_edge_response_result_type=response_result,
        x_edge_detailed_result_type=detail,
    )
    found = read("cloudfront", line)
    assert found.status == int(status)
    assert found.flags == COUNTED | HTTP2 | (ABORTED if aborted else 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sc_status": "abc"}, "bad_status"),
        ({"date": "2019-12-32"}, "bad_time"),
        ({"time": "-"}, "bad_time"),
        ({"sc_bytes": "x"}, "bad_columns"),
        ({"sc_bytes": "9" * 5000}, "bad_range"),
    ],
)
def test_a_wrong_value_is_rejected_with_its_reason(change: dict[str, str], reason: str) -> None:
    assert reject("cloudfront", columns(**change)) == reason


@pytest.mark.parametrize("change", [{"sc_range_end": "-"}, {"sc_range_start": "290"}, {"sc_range_start": "²"}])
def test_a_range_that_is_none_costs_the_range_and_not_the_hit(change: dict[str, str]) -> None:
    assert read("cloudfront", columns(**change)) == read("cloudfront", columns(sc_range_start="-", sc_range_end="-"))
    assert read("cloudfront", columns(**change))[6:9] == (None, None, 732)


def test_a_blank_line_is_bad_columns() -> None:
    assert reject("cloudfront", "") == "bad_columns"
    assert reject("cloudfront", "", HEADS) == "bad_columns"
