"""Segments of HLS and DASH: which ones a client lacks, and how playback went, estimated and measured."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from app.__main__ import main
from app.output.reports.writing import ENDINGS
from app.reports.playback import estimated_stalls, qoe
from app.reports.titles import segment_of, titles
from tests.properties import examples
from tests.reports.logs import asked, column, index_of, line, total, written

ONE, TWO, THREE = "192.0.2.1", "192.0.2.2", "192.0.2.3"


def get(ip: str, path: str, second: int = 0, status: int = 200, sent: int = 1000, query: str = "") -> str:
    return line(ip, f"GET {path}{query} HTTP/1.1", status, sent, at=f"18/May/2015:10:00:{second:02} +0000")


def film(folder: Path) -> Path:
    """Client 1 changes tracks and has all; 2 lacks 2 and 3, one of them answered 404; 3 begins late and fetched another title, too."""
    rows = [get(ONE, "/film/main.m3u8"), get(ONE, "/film/720p/list.m3u8")]
    rows += [get(ONE, f"/film/{track}/seg-{n:03}.ts", n) for n, track in enumerate(["720p", "480p", "720p", "720p"], 1)]
    rows += [
        get(TWO, "/film/480p/seg-001.ts"),
        get(TWO, "/film/480p/seg-002.ts", status=404),
        get(TWO, "/film/480p/seg-004.ts", status=206),
    ]
    rows += [
        get(THREE, "/film/480p/seg-004.ts?v=1"),
        get(THREE, "/other/chunk9.m4s"),
        get(THREE, "/other/init.mp4"),
        get(THREE, "/a1.mp3"),
    ]
    return written(folder / "film.log", rows)


def test_titles_are_joined_by_their_manifest_and_name_the_segments_that_clients_lack(tmp_path: Path) -> None:
    report = titles(asked(film(tmp_path)))
    rows = {row[0]: dict(zip(report.names, row, strict=True)) for row in report.rows}
    assert list(rows) == ["/film/", "/other/"]
    assert rows["/film/"] == {
        "title": "/film/", "clients": 3, "whole": 1, "completion": pytest.approx(1 / 3), "tracks": 2, "segments": 4, "missing": 5,
        "missed_by": 2, "most_missed": "2-3",
    }  # fmt: skip
    assert rows["/other/"]["segments"] == 1 and rows["/other/"]["missing"] == 0 and rows["/other/"]["most_missed"] == ""
    assert total(report, "titles") == 2 and total(report, "whole") == 2


def test_a_title_names_what_each_client_lacks(tmp_path: Path) -> None:
    for name in ("/film/", "/film"):
        assert column(titles(asked(film(tmp_path)), name), "which") == {THREE: "1-3", TWO: "2-3", ONE: ""}
    assert titles(asked(film(tmp_path)), "/nothing").rows == []


def test_a_file_of_hits_tells_the_same(tmp_path: Path) -> None:
    log = film(tmp_path)
    index = index_of(log)
    assert titles(asked(index)).rows == titles(asked(log)).rows
    assert qoe(asked(index), 2500.0).rows == qoe(asked(log), 2500.0).rows


@given(st.text(max_size=12), st.integers(0, 10**12 - 1), st.sampled_from(["ts", "m4s", "MP4", "mp3", "m3u8"]))
@settings(deadline=None, max_examples=60)
def test_a_segment_keeps_its_number(name: str, number: int, ending: str) -> None:
    found = segment_of(f"/t/{name}x{number}.{ending}")
    if ending in ("mp3", "m3u8") or "\n" in name:
        assert found is None or "\n" in name
    else:
        assert found is not None and found.number == number and found.track == f"/t/{name}x{{n}}.{ending}"


def test_a_player_stalls_when_the_next_segment_comes_later_than_all_before_are_played(tmp_path: Path) -> None:
    # 1,000,000 bytes at 2,000 kbit/s are 4 s: fetched at 0 and 2, played until 8; the next at 10 comes 2 s late; then in time
    log = written(tmp_path / "a.log", [get(ONE, f"/f/s{at}.ts", at, sent=1_000_000) for at in (0, 2, 10, 13)])
    report = qoe(asked(log), 2000.0)
    assert column(report, "estimated_stalls") == {"/f/": 1} and column(report, "estimated_stalled_s") == {"/f/": 2.0}
    assert column(report, "measured_stalls") == {"/f/": None} and column(report, "measured_playbacks") == {"/f/": 0}
    assert column(qoe(asked(log), 20_000.0), "estimated_stalls") == {"/f/": 3}


def test_a_pause_of_a_minute_begins_another_playback(tmp_path: Path) -> None:
    late = line(ONE, "GET /f/s3.ts HTTP/1.1", at="18/May/2015:10:02:00 +0000")
    log = written(tmp_path / "a.log", [get(ONE, "/f/s1.ts", 0), get(ONE, "/f/s2.ts", 0), late])
    report = qoe(asked(log), 2.0)
    assert column(report, "playbacks") == {"/f/": 2} and column(report, "estimated_stalls") == {"/f/": 0}


def test_what_players_say_is_told_as_measured_and_their_length_of_segments_is_believed(tmp_path: Path) -> None:
    def said(second: int, text: str) -> str:
        return get(ONE, f"/f/s{second}.ts", second, query=f"?CMCD={quote(text)}")

    log = written(
        tmp_path / "a.log",
        [
            said(0, 'd=4000,mtp=900,sid="a"'),
            said(3, 'd=4000,mtp=800,sid="a"'),
            said(9, 'bs,d=4000,mtp=100,sid="a"'),
            said(1, 'd=4000,sid="b"'),
        ],
    )
    report = qoe(asked(log), 1.0)
    assert column(report, "playbacks") == {"/f/": 2} == column(report, "measured_playbacks")
    assert column(report, "measured_stalls") == {"/f/": 1} and column(report, "measured_kbit_per_s") == {"/f/": 800}
    assert column(report, "estimated_stalls") == {"/f/": 1} and column(report, "estimated_stalled_s") == {"/f/": 1.0}


def test_throughput_is_bytes_by_the_time_of_the_response(tmp_path: Path) -> None:
    def row(number: int, seconds: float | None) -> str:
        told: dict[str, Any] = {} if seconds is None else {"duration_s": seconds}
        request = f"GET /f/s{number}.ts HTTP/1.1"
        return json.dumps(
            {
                "time": "2015-05-18T10:00:00Z",
                "ip_address": ONE,
                "user_agent": "p",
                "request": request,
                "status": 200,
                "bytes_sent": 125_000,
                **told,
            }
        )

    log = written(tmp_path / "a.log", [row(1, 1.0), row(2, 0.5), row(3, None)])
    assert column(qoe(asked(log), 2500.0), "estimated_kbit_per_s") == {"/f/": 1000}


FETCHED = st.tuples(
    st.sampled_from(["/film", "/other"]), st.sampled_from([ONE, TWO, THREE]), st.integers(0, 400), st.sampled_from([0, 1000, 30_000])
)  # fmt: skip


@given(st.lists(FETCHED, min_size=1, max_size=25))
@settings(deadline=None, max_examples=examples(100))
def test_playbacks_are_the_requests_of_a_client_by_time_cut_at_pauses_however_the_lines_stand(
    tmp_path_factory: pytest.TempPathFactory, fetched: list[tuple[str, str, int, int]]
) -> None:
    rows = [
        line(ip, f"GET {title}/s{number}.ts HTTP/1.1", sent=sent, at=f"18/May/2015:10:{second // 60:02}:{second % 60:02} +0000")
        for number, (title, ip, second, sent) in enumerate(fetched)
    ]  # fmt: skip
    wanted: dict[str, list[Any]] = {}
    for title, ip in sorted({one[:2] for one in fetched}):
        its = sorted(one[2:] for one in fetched if one[:2] == (title, ip))
        cuts = [at for at in range(1, len(its)) if its[at][0] - its[at - 1][0] > 60]
        of = wanted.setdefault(f"{title}/", [0, 0, 0, 0.0])
        for begin, end in pairwise([0, *cuts, len(its)]):
            stalls, stalled_s = estimated_stalls([(second, sent / 125 / 8) for second, sent in its[begin:end]])
            for at, more in enumerate((1, end - begin, stalls, stalled_s)):
                of[at] += more
    report = qoe(asked(written(tmp_path_factory.mktemp("qoe") / "a.log", rows)), 8.0)
    names = ("playbacks", "requests", "estimated_stalls", "estimated_stalled_s")
    found = {row[0]: [row[report.names.index(name)] for name in names] for row in report.rows}
    assert found == {title: [*of[:3], pytest.approx(of[3], abs=0.001)] for title, of in wanted.items()}


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(0.1, 20)), max_size=20).map(sorted), st.floats(1.0, 3.0))
@settings(deadline=None, max_examples=60)
def test_segments_that_hold_more_never_stall_longer(segments: list[tuple[float, float]], times: float) -> None:
    longer = [(time, length_s * times) for time, length_s in segments]
    assert estimated_stalls(longer)[1] <= estimated_stalls(segments)[1] + 1e-9


@pytest.mark.parametrize("name", ["titles", "qoe"])
def test_every_form_of_output_is_written(name: str, tmp_path: Path) -> None:
    log = film(tmp_path)
    for ending in ENDINGS:
        out = tmp_path / f"o{ending}"
        result = CliRunner().invoke(main, ["report", name, str(log), "-o", str(out)], catch_exceptions=False)
        assert result.exit_code == 0 and out.stat().st_size > 100, result.output
    assert "/film/" in CliRunner().invoke(main, ["report", name, str(log)], catch_exceptions=False).output
