"""Answers that are prepared in a file of hits: they are those of its hits, or they are not taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from app.domain.extras import EXTRAS
from app.downloads import prepared
from app.downloads.counting import Count, DownloadPlan, count
from app.downloads.lists import Lists, open_lists
from app.downloads.prepared import PreparedDownloads
from app.downloads.rules import RULES_VERSION, WINDOWS, DownloadRules, Episode
from app.output.reports.report import Report
from app.reports import playback, reading
from app.reports.filters import Filters
from app.reports.logs import write_index
from app.reports.playback import QOE_FORM, PreparedQoe, qoe
from app.reports.prepared import Preparing
from app.reports.questions import Asked
from app.reports.reading import INDEX_ABOUT, Inputs
from app.sources.files.read_options import ReadOptions
from simulator.log import LogPlan, SimulatedLog
from tests.reports.logs import line, written

KBIT, ALL = 2500.0, Filters()
PLAN = DownloadPlan([], ReadOptions(), DownloadRules(), open_lists())
DOWNLOADS: dict[str, dict[str, Any]] = {
    "by file": {}, "by day": {"by": "day"}, "of some days": {"first_day": date(2020, 7, 27), "last_day": date(2020, 7, 27)},
    "of no day": {"last_day": date(2015, 1, 1)},
}  # fmt: skip
OTHER_DOWNLOADS: dict[str, dict[str, Any]] = {
    **{window: {"asked": DownloadRules(window)} for window in WINDOWS[1:]},
    "seconds": {"asked": DownloadRules(seconds=1.0)}, "whole": {"asked": DownloadRules(seconds=None)},
    "bit rate": {"asked": DownloadRules(bit_rate_kbit=8.0)}, "extensions": {"asked": DownloadRules(extensions=frozenset({"ts"}))},
    "zone": {"zone": "Asia/Kolkata"}, "episodes": {"episodes": {"/a.mp3": Episode(9)}}, "told one by one": {"on_left_out": id},
    "unnamed lists": {"lists": Lists(lambda agent: False, lambda address: False)},
}  # fmt: skip
OTHER_QOE: list[tuple[float, Filters]] = [
    (900.0, Filters()), (KBIT, Filters(zone="Asia/Kolkata")), (KBIT, Filters(no_bots=True)), (KBIT, Filters(extensions=("ts",))),
    (KBIT, Filters(first_day=date(2015, 5, 18))),
]  # fmt: skip


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each reading of a file's hits."""
    found: list[str] = []
    tables = reading.index_tables

    def noting(path: str, *others: Any) -> Any:
        found.append(path)
        return tables(path, *others)

    monkeypatch.setattr(reading, "index_tables", noting)
    return found


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """With podcasts, a title in segments, several clocks, and a number that no column holds."""
    lines = "".join(SimulatedLog(LogPlan(300, 3, "mixed", "combined_range")).blocks()).splitlines()
    seconds = (0, 1, 2, 20, 50)
    lines += [
        line(request=f"GET /f/seg-{n}.ts HTTP/1.1", sent=90_000 * n, at=f"18/May/2015:10:00:{n:02} +0530")
        for n in seconds
    ]
    return written(tmp_path / "a.log", [*lines, *lines[:20], line(sent=1 << 70), line(sent=5_000_000)])


def index_of(path: Path, fields: str = ",".join(EXTRAS)) -> Path:
    """The file of its hits, with answers."""
    index = path.with_suffix(".parquet")
    preparing: dict[str, Preparing] = {"downloads": PreparedDownloads(), "qoe": PreparedQoe(KBIT)}
    write_index(Inputs([str(path)]), index, fields, preparing=preparing)
    return index


def about_of(path: Path) -> dict[str, Any]:
    about: dict[str, Any] = json.loads(pq.read_metadata(path).metadata[INDEX_ABOUT])
    return about


def counted(path: Path, **other: Any) -> Count:
    return count(PLAN._replace(paths=[str(path)], **other))


def played(path: Path, bit_rate_kbit: float = KBIT, filters: Filters = ALL) -> Report:
    return qoe(Asked(Inputs([str(path)]), filters), bit_rate_kbit)


def of_hits(path: Path, answer: Callable[[Path], Any]) -> Any:
    """The answer if the file has none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.downloads.prepared.answer_in", lambda *_: None)
        patch.setattr(playback, "answer_in", lambda *_: None)
        return answer(path)


def test_questions_are_answered_from_them_as_from_the_hits(log: Path, readings: list[str]) -> None:
    """Whatever days and rows are asked for."""
    index = index_of(log)
    questions: list[Callable[[Path], Any]] = [partial(counted, **asked) for asked in DOWNLOADS.values()]
    for answer in [*questions, played]:
        readings.clear()
        found = answer(index)
        assert not readings and found == of_hits(index, answer) and readings
    assert counted(index).downloads > 1 and len(played(index).rows) > 1


@pytest.mark.parametrize("other", OTHER_DOWNLOADS.values(), ids=OTHER_DOWNLOADS)
def test_other_downloads_are_counted_from_the_hits(other: dict[str, Any], log: Path, readings: list[str]) -> None:
    index = index_of(log)
    answer: Callable[[Path], Any] = partial(counted, **other)
    found = answer(index)
    assert len(readings) == 1 and found == of_hits(index, answer)


def test_other_playbacks_are_found_in_the_hits(log: Path, readings: list[str]) -> None:
    index = index_of(log)
    for bit_rate_kbit, filters in OTHER_QOE:
        readings.clear()
        answer = partial(played, bit_rate_kbit=bit_rate_kbit, filters=filters)
        assert answer(index) == of_hits(index, answer)
        assert len(readings) == 2


def test_beside_other_inputs_the_hits_are_read(log: Path, readings: list[str], tmp_path: Path) -> None:
    paths = [
        str(index_of(log)),
        str(written(tmp_path / "b.log", [line(sent=5_000_000, at="19/May/2015:10:00:00 +0000")])),
    ]
    assert count(PLAN._replace(paths=paths)).downloads == counted(log).downloads + 1
    assert readings == paths[:1]


def rewritten(path: Path) -> None:
    """By another program, which keeps the metadata, without the first hit."""
    about = pq.read_metadata(path).metadata[INDEX_ABOUT]
    pq.write_table(pq.read_table(path).slice(1).replace_schema_metadata({INDEX_ABOUT: about}), path)


def altered(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for _, _, ((begin, length, _),) in about_of(path)["answers"].values():
        data[begin + length // 2] ^= 1
    path.write_bytes(data)


def told_otherwise(told: object, path: Path) -> None:
    data, old = path.read_bytes(), json.dumps(about_of(path)["answers"]).encode()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, json.dumps(told).encode().ljust(len(old))))


@pytest.mark.parametrize(
    "change",
    [
        rewritten,
        altered,
        partial(told_otherwise, None),
        partial(told_otherwise, {"qoe": {}, "downloads": ["", [5], []]}),
    ],
)
def test_what_does_not_fit_its_hits_is_not_taken(
    change: Callable[[Path], None], log: Path, readings: list[str]
) -> None:
    index = index_of(log)
    change(index)
    answers: tuple[Callable[[Path], Any], ...] = (counted, played)
    for answer in answers:
        readings.clear()
        assert answer(index) == of_hits(index, answer)
        assert len(readings) == 2


def test_of_too_many_requests_nothing_is_prepared(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "MOST_HELD", 3)
    monkeypatch.setattr(playback, "_MOST_PREPARED", 3)
    assert about_of(index_of(log))["answers"] == {}


def test_a_log_without_what_is_asked_for_has_an_answer_too(tmp_path: Path, readings: list[str]) -> None:
    index = index_of(written(tmp_path / "a.log", [line(status=404)]))
    assert counted(index).left_out == {"status": 1} and not played(index).rows
    assert not readings


def test_a_file_without_the_fields_of_a_question_has_no_answer_to_it(log: Path) -> None:
    index = index_of(log, "")
    assert list(about_of(index)["answers"]) == ["downloads"]
    found = Asked(Inputs([str(index)], errors=[]))
    qoe(found, KBIT)
    assert found.inputs.errors and "was written without" in found.inputs.errors[0]


def test_progress_ends_with_the_part(log: Path) -> None:
    told: list[Any] = []
    count(PLAN._replace(paths=[str(index_of(log))], on_progress=lambda *progress: told.append(progress)))
    assert len(told) == 1 and told[0][1] == told[0][2]


def test_a_change_of_what_is_counted_has_a_new_form(tmp_path: Path) -> None:
    """If this fails because these lines are counted otherwise: raise RULES_VERSION or QOE_FORM, then put the new digest here."""
    lines = "".join(SimulatedLog(LogPlan(1500, 3, "mixed", "combined_range")).blocks()).splitlines()
    segments = [
        line(request=f"GET /f/seg-{n}.ts?CMCD=bs%2Csid%3D%22{n // 9}%22%2Cd%3D{n % 7}00%2Cmtp%3D900 HTTP/1.1", at=f"18/May/2015:10:00:{n:02} +0000")
        for n in range(40)
    ]  # fmt: skip
    path = written(tmp_path / "a.log", [*lines, *segments])
    found = counted(path)
    answers = (
        sorted(found.left_out.items()),
        sorted((name, vars(row)) for name, row in found.rows.items()),
        played(path).rows,
    )
    digests = [blake2b(repr(answer).encode(), digest_size=8).hexdigest() for answer in (answers[:2], answers[2])]
    assert (RULES_VERSION, QOE_FORM, digests) == (1, 1, ["e02d8d08dcb33567", "e001ca92e1d10cba"])
