"""Questions that optional fields answer: pages that name files, files that others show, times of responses."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import NotLogged
from app.reports import field_questions
from tests.reports.logs import asked, column, head, index_of, line, timed_line, total, written

PAGES = [
    "https://www.example.com/a",
    "https://WWW.example.com:443/b?x",
    "http://example.com/",
    "https://other.example/p",
    "https://other.example/q",
    "https://notexample.com/",
    "page.html",
    "-",
    "-",
]


@pytest.fixture(params=["log", "index"])
def pages(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = written(tmp_path / "a.log", [line(referer=page, sent=10) for page in PAGES])
    return index_of(path) if request.param == "index" else path


def test_referers_are_counted_by_host_and_requests_without_one_apart(pages: Path) -> None:
    report = field_questions.referers(asked(pages))
    assert report.rows == [
        ("other.example", 2, 2 / 9, 20),
        ("www.example.com", 2, 2 / 9, 20),
        ("example.com", 1, 1 / 9, 10),
        ("notexample.com", 1, 1 / 9, 10),
    ]
    assert (
        total(report, "requests without a referer") == 2 and total(report, "requests whose referer names no host") == 1
    )
    assert (total(report, "requests of these hosts"), total(report, "requests")) == (6, 9)


def test_own_hosts_and_those_below_them_are_left_out(pages: Path) -> None:
    report = field_questions.referers(asked(pages), ("example.com",))
    assert column(report, "requests") == {"other.example": 2, "notexample.com": 1}
    assert (total(report, "requests of own hosts"), total(report, "requests")) == (3, 9)


def test_a_log_without_any_referer_says_so_in_a_note(tmp_path: Path) -> None:
    path = written(tmp_path / "a.log", [line(request="GET /a.png HTTP/1.1")])
    for report in (field_questions.referers(asked(path)), field_questions.hotlinks(asked(path))):
        assert report.rows == [] and head(report)["note"].startswith("no line names a referer")


def test_hotlinks_are_media_that_pages_of_other_hosts_load(tmp_path: Path) -> None:
    lines = [
        line(request="GET /a.png?x=1 HTTP/1.1", referer="https://blog.example/1"),
        line(request="GET /a.png HTTP/1.1", referer="https://blog.example/2", status=304, sent=0),
        line(request="GET /b.mp3 HTTP/1.1", referer="https://blog.example/2", status=206),
        line(request="GET /b.mp3 HTTP/1.1", referer="https://blog.example/2", status=404),
        line(request="GET /c.html HTTP/1.1", referer="https://blog.example/2"),
        line(request="GET /b.mp3 HTTP/1.1", referer="https://Example.com/"),
        line(request="GET /b.mp3 HTTP/1.1"),
    ]
    path = written(tmp_path / "a.log", lines)
    for one in (path, index_of(path)):
        report = field_questions.hotlinks(asked(one), ("example.com",))
        assert report.rows == [("blog.example", 3, 3 / 5, 2, "/a.png", 200)]
        assert [
            total(report, name)
            for name in ("hotlinks", "files", "requests without a referer", "requests for such files")
        ] == [3, 2, 1, 5]
        assert "no line names" not in head(report).get("note", "")
        unnamed = field_questions.hotlinks(asked(one))
        assert column(unnamed, "requests") == {"blog.example": 3, "example.com": 1}
        assert head(unnamed)["note"].startswith("no line names the host that was asked: name yours by --own")


def test_the_virtual_host_of_a_line_is_an_own_host(tmp_path: Path) -> None:
    pages = ("https://example.com/", "https://blog.example/1")
    path = written(
        tmp_path / "a.log", ["example.com:443 " + line(request="GET /a.png HTTP/1.1", referer=page) for page in pages]
    )
    report = field_questions.hotlinks(asked(path))
    assert column(report, "requests") == {"blog.example": 1} and "note" not in head(report)


def test_percentiles_are_the_nearest_rank(tmp_path: Path) -> None:
    times = [at / 100 for at in range(1, 101)]
    lines = [timed_line(seconds) for seconds in reversed(times)]
    lines += [timed_line(1234.5, "GET /b.mp3", 404, 59), timed_line(None, "GET /b.mp3"), timed_line(None, "GET /c.mp3")]
    path = written(tmp_path / "a.log", lines)
    for one in (path, index_of(path)):
        report = field_questions.latency(asked(one), "path")
        assert report.rows == [("/a.mp3", 100, 0.5, 0.95, 0.99), ("/b.mp3", 1, 1230.0, 1230.0, 1230.0)]
        assert (total(report, "requests with a time"), total(report, "requests without a time")) == (101, 2)
        assert total(report, "p50 of all") == "0.51 s"
        assert column(field_questions.latency(asked(one), "status"), "requests") == {200: 100, 404: 1}
        assert column(field_questions.latency(asked(one), "hour"), "p99_s") == {"2015-05-18 10:00": 1.0}


def test_hours_stand_in_the_order_of_time_unless_a_top_is_asked_for(tmp_path: Path) -> None:
    lines = [timed_line(1.0).replace("T10", f"T{hour}") for hour in (12, 11, 12)]
    path = written(tmp_path / "a.log", lines)
    assert [row[0][-5:] for row in field_questions.latency(asked(path), "hour").rows] == ["11:00", "12:00"]
    assert [row[0][-5:] for row in field_questions.latency(asked(path, top=1), "hour").rows] == ["12:00"]


def test_a_log_that_tells_no_time_of_responses_gives_no_numbers(tmp_path: Path) -> None:
    with pytest.raises(NotLogged, match="tells how long its response took"):
        field_questions.latency(asked(written(tmp_path / "a.log", [line()])), "path")
