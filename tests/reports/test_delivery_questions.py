"""Questions that deliveries answer, on the worked example of one file of 1,000 bytes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from app.domain.key_hits import KeyHits
from app.domain.open_deliveries import OpenDeliveries
from app.domain.tallies import MAX_HITS, Part
from app.domain.windows import Rules
from app.reducing.job import Job, Statistics
from app.reducing.run import deliveries_of
from app.reports import delivery_questions, open_hits
from app.reports.batches import rows_batch
from app.reports.deliveries import deliveries
from app.reports.delivery_questions import Deliveries
from app.reports.facts import Facts
from app.reports.filters import Filters, Sieve
from app.reports.hit_order import HitOrder
from app.reports.open_hits import Judging
from app.reports.reading import Inputs
from simulator.log import LogPlan, SimulatedLog
from tests.reports.logs import asked, column, delivered, head, index_of, line, total, written

RANGES = {"a": ["0-999"], "b": ["0-499", "500-999"], "c": ["0-249"], "d": ["0-99", "900-999"], "e": ["0-1"]}
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def hits(agent_of_e: str = "agent e") -> list[str]:
    lines = []
    for name, ranges in RANGES.items():
        for text in ranges:
            lo, hi = map(int, text.split("-"))
            agent = agent_of_e if name == "e" else f"agent {name}"
            lines.append(
                line(
                    request="GET /film.mp4 HTTP/1.1",
                    status=206,
                    sent=hi - lo + 1,
                    agent=agent,
                    content_range=f"bytes {text}/1000",
                )
            )
    return lines


@pytest.fixture(params=["log", "index"])
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = written(tmp_path / "a.log", hits())
    return index_of(path) if request.param == "index" else path


def test_a_log_whose_lines_name_no_method_has_no_deliveries(tmp_path: Path) -> None:
    path = written(tmp_path / "a.log", [line(request="-"), line(request="-")])
    for each in (path, index_of(path)):
        assert total(delivery_questions.why(Deliveries(asked(each))), "deliveries") == 0


def test_the_curve_of_the_example(example: Path) -> None:
    report = delivery_questions.curve(Deliveries(asked(example)), "/film.mp4")
    reached = column(report, "deliveries")
    assert [reached[f"{step} %"] for step in (10, 25, 50, 100)] == [4, 3, 2, 2]
    assert [column(report, "furthest")[f"{step} %"] for step in (10, 25, 50, 100)] == [4, 4, 3, 3]
    assert total(report, "deliveries") == 5
    assert total(delivery_questions.curve(Deliveries(asked(example)), "/other"), "deliveries") == 0


def test_the_deliveries_that_touch_each_tenth_of_the_example(example: Path) -> None:
    report = delivery_questions.heat(Deliveries(asked(example)), "/film.mp4", 10)
    assert [row[1] for row in report.rows] == [5, 3, 3, 2, 2, 2, 2, 2, 2, 3]
    assert report.names == ["from", "deliveries", "2015-W21"]


def test_what_was_sent_and_wasted_in_the_example(example: Path) -> None:
    report = delivery_questions.waste(Deliveries(asked(example)), 100.0)
    assert (total(report, "sent bytes"), total(report, "wasted bytes")) == (2452, 452)
    files = delivery_questions.files(Deliveries(asked(example)))
    assert files.rows == [("/film.mp4", 5, 2, 3, 0, 0.4, 2452, 452)]


def test_each_wasted_byte_is_in_one_row(tmp_path: Path) -> None:
    twice = line(
        request="GET /film.mp4 HTTP/1.1", status=206, sent=1000, agent="agent a", content_range="bytes 0-999/1000"
    )
    path = written(tmp_path / "a.log", [*hits(BOT), twice, line(agent="agent f", sent=77)])
    report = delivery_questions.waste(Deliveries(asked(path)), None)
    assert column(report, "bytes") == {"never whole": 450, "sent more than once": 1000, "to crawlers": 2}
    assert (total(report, "sent bytes"), total(report, "bytes of unknown deliveries")) == (3529, 77)


def test_the_reasons_of_all_verdicts_are_told_the_unknown_first(tmp_path: Path) -> None:
    path = written(tmp_path / "a.log", [*hits(), line(agent="agent f", sent=77)])
    report = delivery_questions.why(Deliveries(asked(path)))
    assert report.rows[0][0] == "unknown" and sum(row[2] for row in report.rows) == total(report, "deliveries") == 6
    assert {row[1] for row in report.rows if row[0] == "partial"} == {
        "end missing",
        "middle missing (gap)",
        "probe only",
    }


@pytest.mark.parametrize("form", ["weblog_tsv", "combined_range"])
def test_a_log_and_the_file_of_its_hits_give_the_deliveries_of_reduce(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if several processes merge the last hits."""
    monkeypatch.setattr(open_hits, "_SHARED_ROWS", 100)
    log = SimulatedLog(LogPlan(8_000, 3, "mixed", form))
    path = tmp_path / "a.log"
    path.write_text(log.head() + "".join(log.blocks()) + "no line\n", "utf-8")
    judging, statistics = Judging(Rules("last_touch", 3600.0, 600.0)), Statistics()
    reduced = list(deliveries_of(Job([str(path)], rules=judging.rules), statistics))
    found = []
    for one, processes in ((path, 0), (path, 2), (index_of(path), 0)):
        facts = Facts()
        some = deliveries(Inputs([str(one)], processes=processes), judging, Sieve(Filters()), facts)
        found.append((sorted(one for batch in some for one in delivered(batch)), facts))
    assert len(reduced) > 1000
    assert found[0][0] == found[1][0] == found[2][0] == sorted(delivered(rows_batch(reduced)))
    assert found[0][1].hits == statistics.hits and found[0][1].counted == statistics.merged
    for name in ("lines", "heads", "hits", "counted", "rejects", "first", "last"):
        assert getattr(found[0][1], name) == getattr(found[1][1], name) == getattr(found[2][1], name), name


def test_filters_choose_deliveries_by_their_key_and_the_day_of_their_first_hit(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.log", [*hits(BOT), line(request="GET /b.mp3 HTTP/1.1", at="18/May/2015:23:00:00 -0400")]
    )
    assert total(delivery_questions.files(Deliveries(asked(path, no_bots=True))), "deliveries") == 5
    assert total(delivery_questions.files(Deliveries(asked(path, extensions=("mp3",)))), "deliveries") == 1
    some = delivery_questions.files(Deliveries(asked(path, first_day=date(2015, 5, 19), zone="UTC")))
    assert [row[0] for row in some.rows] == ["/b.mp3"]
    assert head(some)["from"] == "2015-05-19"


def test_the_day_of_a_delivery_is_that_of_the_clock_that_its_own_lines_write(tmp_path: Path) -> None:
    days = [
        ("28/Mar/2020:12:00:00 +0100", "a"),
        ("28/Mar/2020:12:00:01 +0100", "b"),
        ("30/Mar/2020:00:30:00 +0200", "c"),
    ]
    path = written(tmp_path / "a.log", [line(request=f"GET /{name}.mp3 HTTP/1.1", at=at) for at, name in days])
    for one, processes in ((path, 0), (path, 2), (index_of(path), 0)):
        some = asked(one, processes=processes, first_day=date(2020, 3, 30))
        report = delivery_questions.files(Deliveries(some))
        assert [row[0] for row in report.rows] == ["/c.mp3"]
        assert head(report)["period"] == "2020-03-30 00:30:00 +02:00 to 2020-03-30 00:30:00 +02:00"
        assert head(report)["zone"] == "the log's, line by line: +01:00 in 2 hits, +02:00 in 1 hit"


def test_a_file_of_hits_gives_the_deliveries_of_hits_that_columns_do_not_hold(tmp_path: Path) -> None:
    ranges = ["bytes 0-99/1000", "bytes 100-199/*", ""]
    lines = [line(status=206, sent=sent, content_range=each) for each in ranges for sent in (100, 2**62, 2**62 + 1)]
    path = written(tmp_path / "a.log", lines)
    found = [delivery_questions.files(Deliveries(asked(one))) for one in (path, index_of(path))]
    assert found[0].rows == found[1].rows and found[0].rows[0][6] > 2**62


def test_hits_that_no_column_holds_come_from_a_file_of_hits_too(tmp_path: Path) -> None:
    huge = line(request="GET /huge.mp4 HTTP/1.1", status=206, sent=10, content_range=f"bytes 0-9/{10**17}")
    path = written(tmp_path / "a.log", [*hits(), huge])
    rows = [delivery_questions.files(Deliveries(asked(one))).rows for one in (path, index_of(path))]
    assert rows[0] == rows[1] and ("/huge.mp4", 1, 0, 1, 0, 0.0, 10, 10) in rows[0]


def test_a_time_before_1970_is_a_time_like_any_other(tmp_path: Path) -> None:
    """A server's clock may stand at its beginning, and east of Greenwich that is before 1970."""
    times = ["01/Jan/1970:00:00:00 +1400", "31/Dec/1969:23:00:00 +0000", "02/Jan/1900:00:00:00 +0000"]
    path = written(tmp_path / "a.log", [line(f"10.0.0.{at}", at=time, content_range="bytes 0-99/100", status=206) for at, time in enumerate(times)])  # fmt: skip
    for one in (path, index_of(path)):
        heat = delivery_questions.heat(Deliveries(asked(one)), None, 1)
        assert heat.names[2:] == ["1900-W01", "1970-W01"] and heat.rows == [("0 %", 3, 1, 2)]
        assert head(heat)["period"] == "1900-01-02 00:00:00 +00:00 to 1969-12-31 23:00:00 +00:00"


def classed(path: Path, processes: int = 0) -> dict[str, int]:
    found = column(delivery_questions.classes(Deliveries(asked(path, processes=processes))), "deliveries")
    return {name: number for name, number in found.items() if number}


def test_the_classes_of_the_example(example: Path) -> None:
    assert classed(example) == {"single": 2, "resumed": 1, "player with seeks": 1, "probe": 1}


@pytest.mark.parametrize(
    ("ranges", "name"),
    [
        (["0-999"], "single"),
        (["0-1", "0-999"], "single"),
        (["0-1", "0-1"], "probe"),
        (["0-299", "300-999"], "resumed"),
        (["0-299", "250-600", "601-999"], "resumed"),
        (["200-299", "300-999"], "resumed"),
        (["0-299", "0-999"], "restarted"),
        (["0-299", "300-400", "0-999"], "restarted"),
        (["500-999", "0-499"], "parallel segments"),
        (["0-249", "500-749", "250-499", "750-999"], "parallel segments"),
        (["0-249", "500-749", "250-300", "750-999"], "player with seeks"),
        (["0-249", "900-999", "250-899"], "parallel segments"),
        (["0-249", "900-999"], "player with seeks"),
        (["0-499", "100-199"], "resumed"),
        (["100-499", "0-999"], "player with seeks"),
    ],
)
def test_the_class_is_that_of_the_order_of_requests(ranges: list[str], name: str, tmp_path: Path) -> None:
    lines = []
    for second, text in enumerate(ranges):
        lo, hi = map(int, text.split("-"))
        at = f"18/May/2015:10:00:{second:02} +0000"
        told = f"bytes {text}/1000"
        lines.append(line(request="GET /film.mp4 HTTP/1.1", status=206, sent=hi - lo + 1, at=at, content_range=told))
    path = written(tmp_path / "a.log", lines)
    assert classed(path) == classed(index_of(path)) == {name: 1}
    assert classed(written(tmp_path / "b.log", lines[::-1])) == {name: 1}


def test_a_crawler_is_one_whatever_it_asks_for_and_bytes_without_a_place_have_no_order(tmp_path: Path) -> None:
    unplaced = [line(request="GET /b.mp4 HTTP/1.1", status=206, sent=sent, agent="x") for sent in (100, 50)]
    nothing = [
        line(request="GET /c.mp4 HTTP/1.1", sent=0, agent="x"),
        line(request="GET /c.mp4 HTTP/1.1", sent=9, agent="x"),
    ]
    mixed = [
        line(request="GET /d.mp4 HTTP/1.1", status=206, sent=sent, agent="x", content_range=told)
        for sent, told in ((100, "bytes 0-99/1000"), (50, "-"))
    ]
    one = line(request="GET /e.mp4 HTTP/1.1", status=206, sent=50, agent="x")
    path = written(tmp_path / "a.log", [line(agent=BOT), line(agent=BOT), *unplaced, *nothing, *mixed, one])
    assert classed(path) == classed(index_of(path)) == {"crawler": 1, "no places": 2, "single": 2}


def test_deliveries_of_one_key_have_a_class_each(tmp_path: Path) -> None:
    days = [("01", "500-999"), ("01", "0-499"), ("05", "0-999"), ("09", "0-1")]
    lines = [
        line(
            request="GET /film.mp4 HTTP/1.1",
            status=206,
            sent=1000,
            at=f"{day}/May/2015:10:00:00 +0000",
            content_range=f"bytes {text}/1000",
        )
        for day, text in days
    ]
    path = written(tmp_path / "a.log", lines)
    assert classed(path) == classed(index_of(path)) == {"parallel segments": 1, "single": 1, "probe": 1}


def test_classes_are_the_same_however_the_lines_are_read_and_each_delivery_has_one(tmp_path: Path) -> None:
    log = SimulatedLog(LogPlan(5_000, 3, "mixed", "combined_range"))
    path = tmp_path / "a.log"
    path.write_text(log.head() + "".join(log.blocks()), "utf-8")
    found = classed(path)
    assert found == classed(path, 2) == classed(index_of(path))
    assert sum(found.values()) == total(delivery_questions.why(Deliveries(asked(path))), "deliveries")
    assert {"single", "resumed"} <= set(found)


def test_what_is_kept_for_the_order_of_a_key_is_bounded_and_forgotten_when_a_delivery_is_over() -> None:
    order, key = HitOrder(), ("192.0.2.1", "x", "GET /a")
    parts = [Part(float(at), at, 0, 9, 10, -1, 0, -1) for at in range(MAX_HITS)]
    merging = OpenDeliveries(Rules("last_touch", 1e9, 600.0))
    for _ in range(3):
        merging.merge([order.note(KeyHits(0, key, None, parts.copy))], 1)
        assert len(order._open[key]) == MAX_HITS
    for delivery in merging.finish():
        order.turn_to(delivery)
    assert len(order.ranges) == MAX_HITS and not order._open
