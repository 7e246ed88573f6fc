"""A question has one answer: from the log, from the hits of a store, and from the sums of requests that a worker keeps."""

from __future__ import annotations

import asyncio
import gc
import json
import sqlite3
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.__main__ import main
from app.cli.report import options
from app.domain.counted import added
from app.domain.records import newest_by
from app.downloads import counting as downloads
from app.downloads.lists import open_lists
from app.downloads.rules import DownloadRules as DownloadsAsked
from app.errors import SettingsError
from app.output.reports.report import Report
from app.reports import delivery_questions, questions
from app.reports.delivery_questions import Deliveries
from app.reports.filters import Filters
from app.reports.kept import kept_in
from app.reports.questions import Asked
from app.reports.reading import Inputs
from app.reports.registry import BY
from app.settings import Settings
from app.sources.files.read_options import ReadOptions
from app.stores import open_store
from simulator.log import LogPlan, SimulatedLog
from tests.reports.flowed import Flowed, flowed
from tests.reports.logs import column, head, line, total, written
from tests.test_real_logs import real

Question = Callable[[Asked], Report]
DAYS = {"first_day": date(2015, 5, 18), "last_day": date(2015, 5, 19)}
JPEG = {"extensions": ("jpeg", "jpg")}
ASKED: list[tuple[Question, dict[str, Any]]] = [
    *((lambda asked, by=by: questions.requests(asked, by), {}) for by in BY),
    (lambda asked: questions.requests(asked, "hour"), DAYS),
    (lambda asked: questions.requests(asked, "status"), {"statuses": ("4xx", "206")}),
    (questions.hosts, {}),
    (questions.hosts, DAYS),
    (questions.hosts, {"countries": ("US", "XX")}),
    *((lambda asked, by=by: questions.transfer(asked, by), {}) for by in ("extension", "path", "day")),
    (lambda asked: questions.transfer(asked, "day"), JPEG),
    (lambda asked: questions.countries(asked, 3, False), {}),
    (lambda asked: questions.countries(asked, None, False), DAYS),
]
_ASKED_OF_A_SERVER: list[tuple[str, str, int, int | str]] = [
    ("GET", "/a.JPG?v=1", 200, 100), ("GET", "/b.jpeg", 206, 5), ("POST", "/c", 404, "-"), ("HEAD", "/a.JPG", 304, 0),
    ("GET", "http://cdn.example/b.jpeg", 200, 2**40),
]  # fmt: skip
LOG = [
    line(
        ip, f"{method} {path} HTTP/1.1", status, sent, f"{day}/May/2015:{hour:02}:59:59 +0000"
    )
    for number, ip in enumerate(("8.8.8.8", "2001:db8::1", "9.9.9.9", "host.example", "8.8.4.4"))
    for at, (method, path, status, sent) in enumerate(_ASKED_OF_A_SERVER)
    for day in (17, 18, 19) for hour in range(number, 24, 9 + at)
]  # fmt: skip


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("log") / "a.log", [*LOG, "no line", '1.2.3.4 - - [18/May/2015:10:00:00 +0000] "-" 408 - "-" "-"'])  # fmt: skip


@pytest.fixture(scope="module")
def kept(log: Path) -> Settings:
    """A store that holds it; each third message was sent twice."""
    return flowed(log, log.parent / "var", range(0, 10, 3))


def answer(question: Question, filters: dict[str, Any], settings: Settings, counted: bool) -> Report:
    with kept_in("sqlite", settings, counted) as store:
        return question(Asked(Inputs((), kept=store), Filters(**{"zone": "UTC", **filters})))


@pytest.mark.parametrize("counted", [False, True], ids=["hits", "sums"])
@pytest.mark.parametrize("number", range(len(ASKED)))
def test_each_question_has_the_same_rows_and_totals_from_the_log_and_from_a_store(
    log: Path, kept: Settings, number: int, counted: bool
) -> None:
    question, filters = ASKED[number]
    of_log = question(Asked(Inputs([str(log)]), Filters(**{"zone": "UTC", **filters})))
    of_store = answer(question, filters, kept, counted)
    assert (of_store.rows, of_store.totals) == (of_log.rows, of_log.totals)
    assert len(of_log.rows) > 1
    names = ("lines", "hits", "rejects", "bad_columns", "hits counted here", "zone")
    assert [head(of_store)[name] for name in names] == [head(of_log)[name] for name in names]


@pytest.mark.parametrize(
    "of", [delivery_questions.files, delivery_questions.why, lambda asked: delivery_questions.waste(asked, 2.5)]
)
def test_deliveries_of_a_store_are_those_of_the_log(
    log: Path, kept: Settings, of: Callable[[Deliveries], Report]
) -> None:
    def question(asked: Asked) -> Report:
        return of(Deliveries(asked))

    of_log = question(Asked(Inputs([str(log)]), Filters(zone="UTC")))
    of_store = answer(question, {}, kept, False)
    assert (of_store.rows, of_store.totals) == (of_log.rows, of_log.totals) and of_log.rows


@pytest.fixture(scope="module")
def ranges(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    """A log of requests for parts of files, and a store that holds it."""
    simulated = SimulatedLog(LogPlan(1500, 3, "mixed", "combined_range"))
    path = tmp_path_factory.mktemp("ranges") / "a.log"
    path.write_text(simulated.head() + "".join(simulated.blocks()), "utf-8")
    return path, flowed(path, path.parent / "var", range(2), at_once=500)


@pytest.mark.parametrize("most_placed", [10**6, 400])
def test_classes_of_a_store_are_those_of_the_log_though_the_store_is_read_in_shares(
    ranges: tuple[Path, Settings], most_placed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def question(asked: Asked) -> Report:
        return delivery_questions.classes(Deliveries(asked))

    path, settings = ranges
    monkeypatch.setattr("app.reports.kept._MOST_PLACED", most_placed)
    of_log, of_store = question(Asked(Inputs([str(path)]), Filters(zone="UTC"))), answer(question, {}, settings, False)
    assert (of_store.rows, of_store.totals) == (of_log.rows, of_log.totals)
    assert len([row for row in of_log.rows if row[1]]) > 2
    assert (
        head(of_store)["note"] == "the store keeps deliveries for 90 days after they came in; head lines are not kept"
    )


def test_deliveries_whose_hits_are_past_their_retention_have_no_class(ranges: tuple[Path, Settings], tmp_path: Path) -> None:  # fmt: skip
    path, _ = ranges
    settings = flowed(path, tmp_path, at_once=500)
    with kept_in("sqlite", settings, False) as store:
        before = delivery_questions.classes(Deliveries(Asked(Inputs((), kept=store))))
    with sqlite3.connect(tmp_path / "weblogs.db") as database:
        database.execute("DELETE FROM hits WHERE hit_no <= 300")
    with kept_in("sqlite", settings, False) as store:
        after = delivery_questions.classes(Deliveries(Asked(Inputs((), kept=store))))
    left_out = total(before, "deliveries") - total(after, "deliveries")
    assert left_out and f"deliveries left out, because the store lacks some of their hits: {left_out}" in dict(after.head).values()  # fmt: skip


@pytest.mark.parametrize("window", ["day", "last_touch"])
def test_downloads_of_a_store_are_those_of_the_log(ranges: tuple[Path, Settings], window: str) -> None:
    path, settings = ranges
    plan = downloads.DownloadPlan([str(path)], ReadOptions(), DownloadsAsked(window, 1.0), open_lists())
    of_log = downloads.count(plan)
    with kept_in("sqlite", settings, False) as store:
        of_store = downloads.count(plan._replace(paths=(), kept=store))
    assert (of_store.rows, of_store.left_out, of_store.listeners) == (of_log.rows, of_log.left_out, of_log.listeners)
    assert of_store.downloads == of_log.downloads > 10
    assert (of_store.facts.hits, of_store.facts.lines) == (of_log.facts.hits, of_log.facts.hits + of_log.facts.rejects.total())  # fmt: skip


def test_progress_of_a_store_counts_its_records_and_ends_with_all(kept: Settings, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("app.reports.kept._SLICE", 50)
    seen: list[tuple[str, int, int | None]] = []
    with kept_in("sqlite", kept, False) as store:
        store.on_progress = lambda *told: seen.append(told)
        hits = head(questions.hosts(Asked(Inputs((), kept=store))))["hits"]
    assert seen == [("sqlite", min(done, hits), hits) for done in range(50, hits + 50, 50)] and len(seen) > 2


@pytest.mark.parametrize("question", [questions.hosts, lambda asked: delivery_questions.classes(Deliveries(asked))])
def test_ctrl_c_while_a_store_is_read_leaves_nothing_open(
    kept: Settings, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python tells of what is not closed by warnings, which are errors here."""
    monkeypatch.setattr("app.reports.kept._SLICE", 50)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), kept_in("sqlite", kept, False) as store:
        store.on_progress = stop
        question(Asked(Inputs((), kept=store)))
    gc.collect()


@hypothesis_settings(max_examples=20)
@given(st.data())
def test_no_order_cut_or_repeat_of_the_lines_changes_a_sum(data: st.DataObject) -> None:
    """A message that was killed before it was acknowledged comes again behind others."""
    some = data.draw(st.lists(st.sampled_from(LOG), min_size=1, max_size=12))
    cuts = data.draw(st.lists(st.integers(1, len(some)), max_size=3))
    bounds = sorted({0, len(some), *cuts})
    messages = [[*range(begin, end)] for begin, end in pairwise(bounds)]
    order = data.draw(st.permutations([*range(len(messages)), *data.draw(st.lists(st.sampled_from(range(len(messages))), max_size=3))]))  # fmt: skip
    nows = data.draw(st.lists(st.sampled_from([0.0, 90_000.0, -50.0]), min_size=len(order), max_size=len(order)))
    one, other = Flowed(Settings()), Flowed(Settings())
    for number, each in enumerate(some):
        one.take(number, each.encode())
    for number, late_s in zip(order, nows, strict=True):
        other.take(number, "\n".join(some[at] for at in messages[number]).encode(), 1.6e9 + late_s)
    assert summed(other) == summed(one) and sum(requests for (name, _, _), (requests, _) in summed(one).items() if name == "hour") == len(some)  # fmt: skip


def summed(flow: Flowed) -> dict[tuple[str, str, int], tuple[int, int]]:
    """As readers add up what stores keep: of each sum the newest version."""
    newest = newest_by([each[:5] for each in flow.sums], flow.sums).values()
    return {
        (name, *key): counts[:2]
        for name in ("hour", "status", "method", "host", "path")
        for key, counts in added(each for each in newest if each.resolution == name).items()
    }


@pytest.mark.parametrize(
    ("question", "filters", "sentence"),
    [
        (questions.clients, {}, "not counted by user_agent"),
        (questions.hosts, {"no_bots": True}, "not counted by user agent"),
        (questions.hosts, {"statuses": ("404",)}, "not counted by ip_address together with status"),
        (questions.hosts, {"zone": "Europe/Berlin"}, "--tz Europe/Berlin"),
    ],
)
def test_what_sums_do_not_tell_is_a_sentence(kept: Settings, question: Question, filters: dict[str, Any], sentence: str) -> None:  # fmt: skip
    with pytest.raises(SettingsError, match=sentence):
        answer(question, filters, kept, True)
    assert answer(question, filters, kept, False).rows


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["hosts"], 2, "Name a FILE, or --store."),
        (["hosts", "a.log", "--store", "sqlite"], 2, "Name a FILE or --store, not both."),
        (["hosts", "a.log", "--counted"], 2, "--counted asks a store: name it with --store"),
        (["hosts", "--store", "mongo"], 2, "'mongo' is not one of"),
        (["files", "--store", "sqlite", "--window", "day"], 2, "are judged already"),
        (
            ["downloads", "--store", "sqlite", "--certify", "a.json"],
            2,
            "a store has no files whose bytes could be named",
        ),
        (["downloads", "--store", "sqlite", "--counted"], 2, "--counted tells sums of requests, and no single one"),
        (["hosts", "--store", "sqlite", "--counted"], 2, "start the worker with WEBLOGS_COUNT_REQUESTS=true"),
    ],
)
def test_what_cannot_be_asked_of_a_store_is_a_sentence_and_a_code(
    kept: Settings, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, sentence: str
) -> None:
    monkeypatch.setattr(options, "settings", lambda: Settings(data_dir=kept.data_dir))
    done = CliRunner().invoke(main, ["report", *arguments])
    assert done.exit_code == code and sentence in done.stderr


def test_the_command_asks_a_store(kept: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(options, "settings", lambda: kept)
    rows = []
    for more in ([], ["--counted"]):
        out = tmp_path / "out.json"
        assert CliRunner().invoke(main, ["report", "hosts", "--store", "sqlite", *more, "-o", str(out)]).exit_code == 0
        rows.append(json.loads(out.read_text())["rows"])
    assert rows[0] == rows[1] and rows[0][0]["requests"] > 9


def test_a_store_without_sums_says_how_they_come(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, count_requests=True)

    async def make() -> None:
        store = open_store("sqlite", settings)
        await store.open()
        await store.close()

    asyncio.run(make())
    report = answer(questions.hosts, {}, settings, True)
    assert (
        "note",
        "the store has no sums yet: a worker counts requests if it has WEBLOGS_COUNT_REQUESTS=true",
    ) in report.head


def test_a_store_that_is_not_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(options, "settings", lambda: Settings(data_dir=tmp_path / "none"))
    done = CliRunner().invoke(main, ["report", "hosts", "--store", "sqlite"])
    assert done.exit_code == 4 and "weblogs.db" in done.stderr


@pytest.mark.real_logs
@pytest.mark.parametrize("counted", [False, True], ids=["hits", "sums"])
def test_the_numbers_of_the_apache_log_from_a_store(tmp_path_factory: pytest.TempPathFactory, counted: bool) -> None:
    settings = flowed(real("apache_logs"), tmp_path_factory.mktemp("apache"), range(3), at_once=1000)

    def ask(question: Question, **filters: Any) -> Report:
        return answer(question, filters, settings, counted)

    statuses = ask(lambda asked: questions.requests(asked, "status"))
    assert column(statuses, "requests") == {200: 9125, 206: 45, 301: 164, 304: 445, 403: 2, 404: 213, 416: 2, 500: 3}
    assert (head(statuses)["hits"], head(statuses)["rejects"], total(statuses, "bytes")) == (9999, 1, 2_747_282_505)
    days = column(ask(lambda asked: questions.requests(asked, "day")), "requests")
    assert list(days.values()) == [1632, 2893, 2896, 2578]
    hours = ask(lambda asked: questions.requests(asked, "hour"))
    assert total(hours, "busiest hour") == "2015-05-19 19:00 with 136 requests"
    hosts = ask(questions.hosts, **DAYS)
    assert [total(hosts, name) for name in ("requests", "bytes", "hosts")] == [5789, 1_454_463_497, 1107]
    assert [row[1] for row in ask(questions.hosts).rows[:5]] == [482, 364, 357, 273, 113]
    jpeg = ask(lambda asked: questions.transfer(asked, "day"), **JPEG)
    assert column(jpeg, "bytes") == {"2015-05-17": 24_798_940, "2015-05-18": 32_128_070, "2015-05-19": 23_726_880, "2015-05-20": 39_122_565}  # fmt: skip
    some = ask(lambda asked: questions.countries(asked, 50, False))
    assert total(some, "requests covered") == 3656
    assert total(some, "the last of them") == "128.118.108.67, 2.241.35.167, 208.43.251.181"
    found = column(ask(lambda asked: questions.countries(asked, None, False)), "requests")
    assert [found[code] for code in ("US", "FR", "DE", "SE", "IN", "CN", "XX")] == [3971, 873, 520, 442, 421, 416, 20]
