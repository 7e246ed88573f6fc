"""Questions that hits answer: what is counted, on which clock, in which order."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from app.domain.extras import EXTRAS
from app.errors import SettingsError
from app.reports import delivery_questions, questions
from app.reports.counting import GroupSums, HitGroups, Plan
from app.reports.delivery_questions import Deliveries
from app.reports.filters import Filters, Sieve
from app.reports.hits import HITS
from app.reports.logs import write_index
from app.reports.reading import Inputs, count
from tests.domain.formats.test_cdn_tsv import LINES as CDN_LINES
from tests.reports.logs import asked, column, head, index_of, line, total, written

BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
AI_BOT = "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)"


def test_the_ten_lines_of_a_cdn_are_counted_without_clients(tmp_path: Path) -> None:
    path = written(tmp_path / "cdn.tsv", CDN_LINES)
    for one in (path, index_of(path)):
        days: dict[str, Any] = {"first_day": date(2020, 8, 24), "last_day": date(2020, 8, 25)}
        jpeg = questions.transfer(asked(one, extensions=("jpeg", "jpg"), **days), "extension")
        assert [total(jpeg, name) for name in ("bytes", "files", "requests")] == [85_251, 8, 8]
        assert total(questions.transfer(asked(one, **days), "day"), "bytes") == 85_411
        hosts = questions.hosts(asked(one))
        assert (total(hosts, "hosts"), hosts.rows) == (0, [(None, 10, 1.0, 85_411)])
        assert questions.countries(asked(one), None, False).rows[0][:2] == ("XX", 10)


def test_equal_rows_stand_in_the_order_of_their_names_and_top_cuts_behind(tmp_path: Path) -> None:
    path = written(tmp_path / "a.log", [line(ip) for ip in ("10.0.0.9", "10.0.0.10", "10.0.0.2", "10.0.0.2")])
    assert [row[0] for row in questions.hosts(asked(path)).rows] == ["10.0.0.2", "10.0.0.10", "10.0.0.9"]
    report = questions.hosts(asked(path, top=2))
    assert [row[0] for row in report.rows] == ["10.0.0.2", "10.0.0.10"]
    assert (total(report, "hosts"), total(report, "share of the hosts shown")) == (3, 0.75)


def test_days_are_those_of_the_clock_that_each_line_writes_unless_a_zone_is_named(tmp_path: Path) -> None:
    lines = [
        line(at=at) for at in ("17/May/2015:23:59:59 -0400", "18/May/2015:00:00:00 -0400", "18/May/2015:23:30:00 +0530")
    ]
    path = written(tmp_path / "a.log", lines)
    for one in (path, index_of(path)):
        report = questions.requests(asked(one), "day")
        assert column(report, "requests") == {"2015-05-17": 1, "2015-05-18": 2}
        assert head(report)["zone"] == "the log's, line by line: -04:00 in 2 hits, +05:30 in 1 hit"
        assert column(questions.requests(asked(one, zone="UTC"), "day"), "requests") == {"2015-05-18": 3}
        berlin = questions.requests(asked(one, zone="Europe/Berlin"), "hour")
        assert [row[0] for row in berlin.rows if row[1]] == ["2015-05-18 05:00", "2015-05-18 06:00", "2015-05-18 20:00"]
        some = asked(one, first_day=date(2015, 5, 18), last_day=date(2015, 5, 18))
        assert total(questions.hosts(some), "requests") == 2


def test_a_zone_beside_the_time_counts_and_not_one_in_an_agent(tmp_path: Path) -> None:
    agent = "x :10 +0900] y"
    path = written(tmp_path / "a.log", [line(agent=agent), line(at="18/May/2015:10:00:00 +0200", agent=agent)])
    assert count(Inputs([str(path)]), Plan(("status",))).facts.zones_s == {0: 1, 7200: 1}


def test_a_zone_in_a_query_is_not_that_of_the_line(tmp_path: Path) -> None:
    heads = ["#Version: 1.0", "#Fields: date time cs-method cs-uri-stem cs-uri-query c-ip sc-status sc-bytes"]
    queries = ["from=2015-05-17T10:05:03+05:30", "-", "to=23:31Z", "to=2015-05-17T23:30:00-09:00"]
    lines = [f"2015-05-17 23:30:00 GET /a.mp3 {query} 192.0.2.1 200 100" for query in queries]
    path = written(tmp_path / "a.log", [*heads, *lines])
    for one in (path, index_of(path)):
        assert column(questions.requests(asked(one), "day"), "requests") == {"2015-05-17": 4}


def test_hours_without_requests_are_rows_of_a_series(tmp_path: Path) -> None:
    path = written(tmp_path / "a.log", [line(at="18/May/2015:10:00:00 +0000"), line(at="18/May/2015:13:00:00 +0000")])
    assert [row[1] for row in questions.requests(asked(path), "hour").rows] == [1, 0, 0, 1]


@pytest.mark.parametrize(
    ("filters", "paths"),
    [
        ({"statuses": ("4xx",)}, ["/c.MP3"]),
        ({"statuses": ("404", "206")}, ["/b.mp3", "/c.MP3"]),
        ({"extensions": ("mp3",)}, ["/b.mp3", "/c.MP3"]),
        ({"no_bots": True}, ["/a", "/b.mp3", "/c.MP3"]),
        ({"countries": ("US",)}, ["/b.mp3"]),
        ({"countries": ("XX",)}, ["/a", "/c.MP3", "/d"]),
        ({"first_day": date(2015, 5, 19)}, ["/d"]),
        ({"last_day": date(2015, 5, 17)}, []),
        ({"no_bots": True, "statuses": ("2xx",)}, ["/a", "/b.mp3"]),
    ],
)
def test_filters_let_through_what_is_asked_for(filters: dict[str, Any], paths: list[str], tmp_path: Path) -> None:
    lines = [
        line(request="GET /a?x=1.mp3 HTTP/1.1"),
        line("66.249.73.135", "GET /b.mp3 HTTP/1.1", 206),
        line(request="GET /c.MP3 HTTP/1.1", status=404),
        line(request="GET /d HTTP/1.1", at="19/May/2015:00:00:00 +0000", agent=BOT),
    ]
    path = written(tmp_path / "a.log", lines)
    for one in (path, index_of(path)):
        report = questions.transfer(asked(one, **filters), "path")
        assert sorted(row[0] for row in report.rows) == paths
        assert (head(report)["hits"], head(report)["hits counted here"]) == (4, len(paths))


def test_crawlers_are_named_by_the_list_and_ai_crawlers_told_apart(tmp_path: Path) -> None:
    path = written(tmp_path / "a.log", [line(agent=agent) for agent in (BOT, BOT, AI_BOT, "a player", "-")])
    report = questions.crawlers(asked(path))
    assert [(row[1], row[3]) for row in report.rows] == [("no", 2), ("yes", 1)]
    assert (total(report, "requests of crawlers"), total(report, "requests of AI crawlers")) == (3, 1)
    assert [row[1] for row in questions.crawlers(asked(path), only_ai=True).rows] == ["yes"]


def test_a_country_that_is_unknown_stands_last_however_many_requests_it_has(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.log", [line("10.0.0.1"), line("10.0.0.2"), line("66.249.73.135"), line("no.such.invalid")]
    )
    report = questions.countries(asked(path), None, False)
    assert [row[:2] for row in report.rows] == [("US", 1), ("XX", 3)]
    assert total(report, "share covered") == 1.0


def test_a_visitor_is_an_address_with_an_agent_and_counts_on_each_day(tmp_path: Path) -> None:
    lines = [line(), line(), line(agent="other"), line(at="19/May/2015:10:00:00 +0000"), line("192.0.2.2")]
    report = questions.visitors(asked(written(tmp_path / "a.log", lines)))
    assert report.rows == [("2015-05-18", 3, 4), ("2015-05-19", 1, 1)]
    assert [total(report, name) for name in ("visitors", "hosts", "requests")] == [3, 2, 5]


def test_paths_not_found_are_those_of_404_and_410_with_their_hosts(tmp_path: Path) -> None:
    lines = [line(request=f"GET {path} HTTP/1.1", status=status, ip=ip) for path, status, ip in
             (("/x?a", 404, "10.0.0.1"), ("/x?b", 404, "10.0.0.2"), ("/y", 410, "10.0.0.1"), ("/z", 403, "10.0.0.1"))]  # fmt: skip
    assert questions.not_found(asked(written(tmp_path / "a.log", lines))).rows == [
        ("/x", 2, 2 / 3, 2),
        ("/y", 1, 1 / 3, 1),
    ]


def test_sums_of_bytes_are_exact_beyond_64_bits_and_larger_numbers_are_told(tmp_path: Path) -> None:
    most = 2**63 - 1
    path = written(tmp_path / "a.log", [line(sent=most), line(sent=most), line(sent=7), line(sent=2**63)])
    for one in (path, index_of(path)):
        for report, name in (
            (questions.requests(asked(one), "status"), "bytes"),
            (delivery_questions.files(Deliveries(asked(one))), "sent_bytes"),
        ):
            assert total(report, name) == 2 * most + 7
            assert head(report)["note"] == "left out of all sums, as too large for 64 bits: 1 number"


def test_the_same_lines_twice_are_counted_once_and_told(tmp_path: Path) -> None:
    lines = [line(at=f"18/May/2015:10:00:{second:02} +0000") for second in range(30)]
    some = asked(written(tmp_path / "a.log", lines), written(tmp_path / "b.log", lines))
    for report in (questions.hosts(some), delivery_questions.files(Deliveries(some))):
        assert head(report)["hits"] == 30 and "in another input" in head(report)["note"]


@pytest.mark.parametrize("other", ["+0000", "-0400"])
@pytest.mark.parametrize("zone", ["", "Europe/Berlin"])
def test_the_period_of_a_file_of_hits_is_that_of_its_log(tmp_path: Path, other: str, zone: str) -> None:
    """A question that asks no times takes it from the metadata, if all lines write one offset."""
    clocks = [f"18/May/2015:{hour:02}:00:07 +0000" for hour in (11, 10, 12)] + [f"18/May/2015:10:30:00 {other}"]
    log = written(tmp_path / "a.log", [line(at=at) for at in clocks])
    periods = {
        head(report)["period"]
        for path in (log, index_of(log))
        for report in (questions.hosts(asked(path, zone=zone)), questions.requests(asked(path, zone=zone), "hour"))
    }
    assert len(periods) == 1


def test_a_log_and_files_of_hits_are_counted_together(tmp_path: Path) -> None:
    first = index_of(written(tmp_path / "a.log", [line("10.0.0.1")]))
    report = questions.hosts(asked(first, written(tmp_path / "b.log", [line("10.0.0.2"), "no line"])))
    assert column(report, "requests") == {"10.0.0.1": 1, "10.0.0.2": 1}
    assert [head(report)[name] for name in ("lines", "hits", "rejects")] == [3, 2, 1]


def test_processes_and_chunks_change_no_number(tmp_path: Path) -> None:
    lines = [
        line(f"10.0.{at % 7}.{at % 250}", f"GET /{at % 90}.mp3 HTTP/1.1", 200 + at % 5, at, agent=f"a{at % 3}")
        for at in range(40_000)
    ]
    lines[5000:5000] = ["damaged", "-"]
    path = written(tmp_path / "a.log", lines)
    plan = Plan(("path", "status", "ip_address"), Filters(statuses=("2xx",)))
    counted = [
        count(Inputs([str(one)], processes=many), plan) for one, many in ((path, 0), (path, 2), (index_of(path), 0))
    ]
    rows = [sorted(one.groups.rows(*plan.keys)) for one in counted]
    assert len(rows[0]) > 5000 and rows[0] == rows[1] == rows[2]
    assert counted[0].facts.rejects == counted[2].facts.rejects == {"bad_columns": 2}
    assert sum(sent for *_, sent in rows[0]) == sum(range(40_000))


def test_groups_are_added_together_on_the_way_so_that_what_waits_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.reports.counting._PENDING_ROWS", 10)
    sums = GroupSums(("status",))
    one = HitGroups({"status": np.array([0, 1])}, {"status": [200, 404]}, np.array([1, 2]), np.array([1, 1]))
    waiting = []
    for _ in range(1000):
        sums.add(one)
        waiting.append(sum(len(groups.requests) for groups in sums._pending))
    assert max(waiting) < 30
    assert sums.table().rows("status") == [(200, 1000, 1000), (404, 2000, 1000)]


def test_an_index_holds_every_field_of_a_hit_and_names_what_it_is_not() -> None:
    from app.domain.records import Parsed

    assert set(HITS.names) == ({*Parsed._fields, "zone_s", "source", "position"} - {"extras"}) | set(EXTRAS)


def test_a_parquet_file_from_elsewhere_is_refused_with_a_sentence(tmp_path: Path) -> None:
    import pyarrow as pa

    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    errors: list[str] = []
    count(Inputs([str(tmp_path / "other.parquet")], errors=errors), Plan(("status",)))
    assert len(errors) == 1 and "is no file of hits that `report index` wrote" in errors[0]


@pytest.mark.parametrize(
    "filters", [Filters(zone="Mars/Olympus"), Filters(zone="../x"), Filters(geoip="no.mmdb", countries=("DE",))]
)
def test_a_zone_or_a_file_of_countries_that_is_none_is_named(filters: Filters) -> None:
    with pytest.raises(SettingsError, match=r"Mars|\.\./x|no\.mmdb"):
        Sieve(filters)


@pytest.mark.long
def test_a_log_of_rejects_alone_or_of_a_first_chunk_of_them_is_counted_with_any_filter(tmp_path: Path) -> None:
    path = written(tmp_path / "a.log", [line(), *["damaged"] * 300_000])
    report = questions.hosts(asked(path, no_bots=True, extensions=("mp3",), countries=("XX",), statuses=("2xx",)))
    assert (total(report, "requests"), head(report)["bad_columns"]) == (1, 300_000)


def test_a_file_of_hits_whose_metadata_are_damaged_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = index_of(written(tmp_path / "a.log", [line()]))
    table = pq.read_table(path)
    for about in (b"{", b"[]", b"{}", b'{"form": 2}', b'{"form": 3}'):
        pq.write_table(table.replace_schema_metadata({b"weblogs_hits": about}), path)
        errors: list[str] = []
        count(Inputs([str(path)], errors=errors), Plan(("status",)))
        assert len(errors) == 1 and "`report index" in errors[0]


def test_lines_that_two_files_of_hits_or_a_log_beside_one_have_are_counted_once_and_told(tmp_path: Path) -> None:
    lines = [line(f"10.0.0.{at % 5}", f"GET /{at % 3}.mp3 HTTP/1.1") for at in range(40)]
    path = written(tmp_path / "a.log", lines)
    index = index_of(path)
    copy, grown = tmp_path / "copy.parquet", tmp_path / "grown.parquet"
    copy.write_bytes(index.read_bytes())
    write_index(Inputs([str(written(tmp_path / "b.log", [*lines, line()]))]), grown)
    for inputs, said in (
        ((index, index), ""),
        ((index, copy), ""),
        ((index, path), "a.parquet"),
        ((index, grown), "a.parquet"),
    ):
        errors: list[str] = []
        some = asked(*inputs)
        some = some._replace(inputs=some.inputs._replace(errors=errors))
        found = [questions.hosts(some), delivery_questions.files(Deliveries(some))]
        for report in found:
            assert (head(report)["lines"], head(report)["hits"], head(report)["hits counted here"]) == (40, 40, 40), (
                inputs
            )
        assert [said in error and "name one of the two" in error for error in errors] == ([True, True] if said else [])
        notes = [value for name, value in found[1].head if name == "note" and "in another input" in str(value)]
        assert len(notes) == (not said)


@pytest.mark.parametrize("quotes", [1, 2])
def test_an_index_keeps_the_optional_fields_that_are_chosen(quotes: int, tmp_path: Path) -> None:
    """The second line has an escaped quote, which the parser reads and no column."""
    agent = "Mozilla/5.0" if quotes == 1 else r"Mozilla \" 5.0"
    referers = ["http://example.com/p", "-", "http://example.com/p", "https://other.example/"]
    path = written(tmp_path / "a.log", [line(agent=agent).replace('"-"', f'"{one}"') for one in referers])
    write_index(Inputs([str(path)]), tmp_path / "all.parquet")
    write_index(Inputs([str(path)]), tmp_path / "one.parquet", "virtual_host")
    assert set(pq.read_schema(tmp_path / "all.parquet").names) == set(HITS.names)
    kept = pq.read_table(tmp_path / "all.parquet").column("referer").to_pylist()
    assert kept == ["http://example.com/p", None, "http://example.com/p", "https://other.example/"]
    errors: list[str] = []
    count(Inputs([str(tmp_path / "one.parquet")], errors=errors), Plan(("referer",)))
    assert len(errors) == 1 and "was written without referer; write it again with `report index`" in errors[0]


def test_a_file_of_hits_of_form_1_answers_all_but_questions_of_optional_fields() -> None:
    old = str(Path(__file__).parents[1] / "data" / "forms" / "hits-1.parquet")
    assert column(questions.requests(asked(Path(old)), "status"), "requests") == {200: 1, 404: 1}
    errors: list[str] = []
    count(Inputs([old], errors=errors), Plan(("referer",)))
    assert len(errors) == 1 and "was written without referer" in errors[0]
