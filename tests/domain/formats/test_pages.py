"""A page of HTML that is answered 200 in the place of a film is no film, wherever the line names the type of the response."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from app.columns.formats import read_block
from app.columns.hits import HitColumns
from app.domain.formats import FormatOptions
from app.domain.formats.format_strings import compiled
from app.domain.proof import is_page_instead
from app.domain.records import HitFlag, Parsed
from app.domain.sizes import SizeWitnesses
from tests.domain.formats.reading import parsed, read
from tests.domain.hits import delivery_of
from tests.together import together

NGINX = (
    'nginx:$remote_addr [$time_iso8601] "$request" $status $body_bytes_sent "$http_user_agent"'
    ' "$sent_http_content_range" $sent_http_content_length "$sent_http_content_type"'
)


def string_line(path: str, kind: str, status: int) -> str:
    return f'203.0.113.9 [2020-07-31T16:46:07+00:00] "GET {path} HTTP/1.1" {status} 5000 "curl/8" "-" 5000 "{kind}"'


def of_string(path: str, kind: str, status: int) -> Parsed:
    return parsed(compiled(NGINX).format.make_parser((), FormatOptions()), string_line(path, kind, status))


def of_json(path: str, kind: str, status: int) -> Parsed:
    line = {
        "time_iso8601": "2026-05-29T00:25:33+00:00", "remote_addr": "203.0.113.9", "request": f"GET {path} HTTP/1.1", "status": status,
        "body_bytes_sent": 5000, "sent_http_content_length": 5000, "sent_http_content_type": kind, "request_completion": "OK",
    }  # fmt: skip
    return read("json", json.dumps(line))


def of_w3c(path: str, kind: str, status: int) -> Parsed:
    head = "#Fields: date time c-ip cs-method cs-uri-stem sc-status sc-bytes cs-version x-content-length x-content-type"
    line = f"2026-05-29 10:00:00 203.0.113.9 GET {path} {status} 5300 HTTP/1.1 5000 {kind.replace(' ', '+')}"
    return read("w3c", line, (head,))


def of_squid(path: str, kind: str, status: int) -> Parsed:
    line = f"1596213967.123 9 203.0.113.9 TCP_MISS/{status} 5300 GET http://e.com{path} - HIER_DIRECT/192.0.2.1 {kind.split(';')[0]}"
    return read("squid", line)


Reader = Callable[[str, str, int], Parsed]
READERS = pytest.mark.parametrize("reader", [of_string, of_json, of_w3c, of_squid])


@READERS
@pytest.mark.parametrize("path", ["/films/1.mp4", "/a.zip", "/app.js", "/photo.jpeg", "/a.html.gz"])
@pytest.mark.parametrize("kind", ["text/html", "text/html; charset=utf-8", "application/xhtml+xml"])
def test_a_page_in_the_place_of_a_film_is_no_whole_film(reader: Reader, path: str, kind: str) -> None:
    found = reader(path, kind, 200)
    assert found.flags & HitFlag.PLACELESS
    assert found.total_bytes is None
    assert (delivery_of(found).verdict, delivery_of(found).reason) == ("unknown", "size_unknown")
    assert delivery_of(found, size=60_000_000).verdict != "complete"


@READERS
@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/a.html", "text/html", 200),
        ("/", "text/html", 200),
        ("/watch", "text/html", 200),
        ("/readme.txt", "text/html", 200),
        ("/page.php", "text/html", 200),
        ("/films/1.mp4", "video/mp4", 200),
        ("/films/1.mp4", "text/html", 404),
    ],
)
def test_a_page_under_its_own_name_is_a_file(reader: Reader, path: str, kind: str, status: int) -> None:
    assert not reader(path, kind, status).flags & HitFlag.PLACELESS


@pytest.mark.parametrize("reader", [of_string, of_json])
def test_the_film_that_came_after_a_page_is_whole(reader: Reader) -> None:
    page, film = reader("/a.mp4", "text/html", 200), reader("/a.mp4", "video/mp4", 200)
    film = film._replace(bytes_sent=9000, total_bytes=9000)
    found = delivery_of(page, film)
    assert (found.verdict, found.ranges, found.total_bytes) == ("complete", [[0, 8999]], 9000)


def test_a_page_teaches_no_size_of_a_film() -> None:
    witnesses = SizeWitnesses()
    for number in range(3):
        witnesses.take([of_json("/a.mp4", "text/html", 200)._replace(ip_address=f"203.0.113.{number}", user_agent="a")])
    assert list(witnesses.sizes()) == []


def test_columns_see_the_page_that_the_parser_sees() -> None:
    lines = [
        string_line(path, kind, status)
        for path in ("/a.mp4", "/a.html")
        for kind in ("text/html", "video/mp4")
        for status in (200, 206)
    ]
    data = "".join(f"{line}\n" for line in lines).encode()
    block = read_block(compiled(NGINX).format.name, data, 1.9e9, 0, every_status=True)
    assert block is not None
    packed = HitColumns.of_lines([block]).to_message()
    parse = compiled(NGINX).format.make_parser((), FormatOptions())
    assert [hit[:11] for hit in packed.hits("a source")] == [parsed(parse, line)[:11] for line in lines]


@together(
    ("request_text", "kind", "expected"),
    [
        ("GET /a.mp4?name=b.html", "text/html", True),
        ("GET /a.html?name=b.mp4", "text/html", False),
        ("GET http://e.com/a.mp4", "TEXT/HTML", True),
        ("GET http://e.com/", "text/html", False),
        ("GET /a.mp4", "", False),
        ("GET /wiki/File:a.jpg", "text/html", False),
        ("GET /wiki/%D0%A4%D0%B0%D0%B9%D0%BB%3Aa.jpg?uselang=de", "text/html", False),
        ("GET http://e.com/index.php/Datei:a.b.pdf", "text/html", False),
        ("GET /Fichier:a.jpg", "text/html", False),
        ("GET /wiki/a.jpg", "text/html", True),
        ("GET /rec-12:30:00.mp4", "text/html", True),
        ("GET /wiki/b:c/a.jpg", "text/html", True),
        ("GET /a.mp4?of=/wiki/File:a", "text/html", True),
        (None, "text/html", False),
    ],
)
def test_the_name_of_the_file_and_the_type_of_the_response_decide(
    request_text: str | None, kind: str, expected: bool
) -> None:
    assert is_page_instead(request_text, kind) is expected
