"""Deliveries that stand judged in a file of hits: they are those of its hits, or they are not taken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.windows import WINDOWS, Rules
from app.output.reports.report import Report
from app.reports import deliveries, delivery_questions, judged, logs
from app.reports.deliveries import steps_of
from app.reports.delivery_questions import Deliveries
from app.reports.hits import PLAIN_NAMES, in_log_order, put_together, rows_table
from app.reports.judged import Step, steps_in, write_steps
from app.reports.logs import write_index
from app.reports.open_hits import Judging, OpenHits
from app.reports.prepared import Prepared
from app.reports.questions import Asked
from app.reports.reading import INDEX_ABOUT, Index, Inputs
from app.reports.zones import LogClock
from app.sources.files.read_options import ReadOptions
from simulator.log import LogPlan, SimulatedLog
from tests.properties import examples
from tests.reports.logs import asked, delivered, index_of, line, written
from tests.reports.test_delivery_questions import BOT, hits
from tests.reports.test_open_hits import TABLES, Hits

QUESTIONS: dict[str, Callable[[Deliveries], Report]] = {
    "files": delivery_questions.files,
    "why": delivery_questions.why,
    "classes": delivery_questions.classes,
    "curve": partial(delivery_questions.curve, path=None),
    "heat": partial(delivery_questions.heat, path=None, parts=7),
    "waste": partial(delivery_questions.waste, price_per_gb=0.1),
}
JUDGING = Judging()
FILTERS: list[dict[str, Any]] = [
    {}, {"zone": "Asia/Kolkata"}, {"no_bots": True}, {"extensions": ("mp4",)}, {"countries": ("XX",)},
]  # fmt: skip


def answers(path: Path, judging: Judging = JUDGING) -> list[Report]:
    return [
        question(Deliveries(asked(path, **filters), judging))
        for filters in (FILTERS if judging == JUDGING else FILTERS[:1])
        for question in QUESTIONS.values()
    ]


@pytest.fixture
def judgings(monkeypatch: pytest.MonkeyPatch) -> list[Judging]:
    """Grows with each judging of hits by a question."""
    found: list[Judging] = []

    def noting(judging: Judging, *others: Any) -> OpenHits:
        found.append(judging)
        return OpenHits(judging, *others)

    monkeypatch.setattr(deliveries, "OpenHits", noting)
    return found


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Of several clocks, with a crawler, with hits that columns do not judge and with one whose sum no column holds."""
    lines = [*hits(BOT), *simulated(150), *hits("late")]
    lines += [line(at="19/May/2015:10:00:00 +0530", request="GET /b.mp4 HTTP/1.1"), line(sent=5, status=206)]
    return written(tmp_path / "a.log", lines)


def simulated(lines: int) -> list[str]:
    return "".join(SimulatedLog(LogPlan(lines, 3, "mixed", "combined_range")).blocks()).splitlines()


def test_every_question_is_answered_from_them_as_from_the_hits(
    log: Path, judgings: list[Judging], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a log that is read, written and merged in several pieces."""
    monkeypatch.setattr(logs, "_STRETCH_BYTES", 4096)
    monkeypatch.setattr(logs, "_GROUP_ROWS", 15)
    monkeypatch.setattr(deliveries, "_MERGED_ROWS", 40)
    index = log.with_suffix(".parquet")
    write_index(Inputs([str(log)], ReadOptions(chunk_bytes=4096)), index)
    judgings.clear()
    stored = answers(index)
    assert not judgings
    read: list[tuple[str, int, int | None]] = []
    inputs = Inputs([str(index)], on_progress=lambda *told: read.append(told))
    delivery_questions.why(Deliveries(Asked(inputs)))
    assert len(read) > 2 and sorted(read) == read and read[-1][1] < index.stat().st_size == read[-1][2]
    monkeypatch.setattr(deliveries, "steps_in", lambda *_: None)
    assert stored == answers(index)
    assert len(judgings) == len(stored)


@settings(deadline=None, max_examples=examples(200))
@given(
    TABLES,
    st.sampled_from(WINDOWS),
    st.sampled_from([15.0, 86400.0]),
    st.lists(st.sampled_from([0, 3600]), min_size=4, max_size=4),
)
def test_what_was_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, tables: list[Hits], window: str, length_s: float, zones: list[int]
) -> None:
    judging, made, position = Judging(Rules(window, length_s, 5.0)), [], 0
    for rows, zone_s in zip(tables, zones, strict=False):
        offsets = np.full(len(rows), zone_s)
        rows = [(*hit[:8], hit[8] and hit[8] % (1 << 62), *hit[9:]) for hit in rows]  # sums that columns hold
        table, _ = rows_table(
            rows, range(position, position + len(rows)), PLAIN_NAMES, partial(lambda same, *_: same, offsets), "a"
        )
        made.append(in_log_order(put_together([table])))
        position += len(rows)

    path = tmp_path_factory.mktemp("judged") / "a"
    with pa.OSFile(str(path), "wb") as sink, pytest.MonkeyPatch.context() as patch:
        patch.setattr(deliveries, "_MERGED_ROWS", 10)
        expected = told(steps_of(made, judging, True))
        sink.write(b"before")
        parts = write_steps(steps_of(made, judging, True), sink)
    assert parts is not None
    read = steps_in(str(path), index_with(judged.judged_by(judging), parts), judging, True)
    assert read is not None and told(read) == expected


def test_a_number_that_no_column_holds_keeps_them_out(tmp_path: Path, judgings: list[Judging]) -> None:
    sent = (1 << 63) - 1
    path = index_of(written(tmp_path / "a.log", [line(sent=sent), line(sent=sent, at="18/May/2015:10:01:00 +0000")]))
    assert about_of(path).get("deliveries") is None
    answers(path)
    assert judgings


def about_of(path: Path) -> dict[str, Any]:
    about: dict[str, Any] = json.loads(pq.read_metadata(path).metadata[INDEX_ABOUT])
    return about


def rewritten(path: Path, first: int = 0) -> None:
    """By another program, which keeps the metadata, and hits from the first on."""
    about = pq.read_metadata(path).metadata[INDEX_ABOUT]
    pq.write_table(pq.read_table(path).slice(first).replace_schema_metadata({INDEX_ABOUT: about}), path)


def first_hit_left_out(path: Path) -> None:
    rewritten(path, 1)


def altered(path: Path) -> None:
    begin, length, _ = about_of(path)["deliveries"][2][0]
    data = bytearray(path.read_bytes())
    data[begin + length // 2] ^= 1
    path.write_bytes(data)


def told_otherwise(told: object, path: Path) -> None:
    """The same file, whose metadata tell something else of its deliveries."""
    data, about = path.read_bytes(), about_of(path)
    old = json.dumps(about["deliveries"]).encode()
    assert data.count(old) == 1
    new = json.dumps(told).encode()
    assert len(new) <= len(old)
    path.write_bytes(data.replace(old, new.ljust(len(old))))


@pytest.mark.parametrize(
    "change",
    [
        rewritten, first_hit_left_out, altered, partial(told_otherwise, None), partial(told_otherwise, {"by": 1}), partial(told_otherwise, []),
        partial(told_otherwise, ["", [5], []]),
    ],
)  # fmt: skip
def test_what_does_not_fit_its_hits_is_not_taken(
    change: Callable[[Path], None], tmp_path: Path, judgings: list[Judging]
) -> None:
    path = index_of(written(tmp_path / "a.log", hits()))
    stored = delivery_questions.files(Deliveries(asked(path)))
    judgings.clear()
    change(path)
    found = delivery_questions.files(Deliveries(asked(path)))
    assert judgings and (found == stored or change is first_hit_left_out)


def test_other_places_than_the_file_has_are_not_taken(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"some")
    by = judged.judged_by(Judging())
    for part in ((0, 5, ""), (-1, 2, ""), (2, -1, ""), (1 << 80, 1, ""), (0, 1 << 62, ""), (0, 4, "")):
        assert steps_in(str(tmp_path / "a"), index_with(by, [part]), Judging(), False) is None


def index_with(by: str, parts: list[tuple[int, int, str]]) -> Index:
    """Of no rows."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({}), sink)
    file: Any = pq.ParquetFile(pa.BufferReader(sink.getvalue()))
    rows = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    return Index(file, None, list(Prepared(by, rows, parts)))  # type: ignore[arg-type]  # facts are not asked for


@pytest.mark.parametrize(
    "judging",
    [Judging(Rules("day")), Judging(Rules(length_s=60.0)), Judging(Rules(lateness_s=60.0)), Judging(size_of=lambda request, at: 1000)],
)  # fmt: skip
def test_another_judgement_than_the_one_they_had_is_made_from_the_hits(
    judging: Judging, log: Path, judgings: list[Judging]
) -> None:
    index = index_of(log)
    judgings.clear()
    assert sorted(rows_of(answers(index, judging))) == sorted(rows_of(answers(log, judging)))
    assert judging in judgings


def test_the_rules_of_the_settings_judge_what_is_written(log: Path, judgings: list[Judging]) -> None:
    day = Judging(Rules("day"))
    write_index(Inputs([str(log)]), log.with_suffix(".parquet"), judging=day)
    judgings.clear()
    answers(log.with_suffix(".parquet"), day)
    assert not judgings


def test_of_several_files_each_has_its_own(log: Path, judgings: list[Judging], tmp_path: Path) -> None:
    """Some of which have none, beside a log."""
    other = index_of(
        written(tmp_path / "b.log", [line(request="GET /b.mp4 HTTP/1.1", at="18/May/2015:10:00:00 -0800")])
    )
    third = written(tmp_path / "c.log", [line(request="GET /c.mp4 HTTP/1.1")])
    inputs, index = asked(other, index_of(log), third), index_of(log)
    stored = [question(Deliveries(inputs)) for question in QUESTIONS.values()]
    rewritten(index)
    judgings.clear()
    assert stored == [question(Deliveries(inputs)) for question in QUESTIONS.values()]
    assert len(judgings) == 2 * len(QUESTIONS)


def test_other_readers_see_the_hits_alone(log: Path) -> None:
    index = index_of(log)
    table = pq.read_table(index)
    assert table.num_rows == about_of(index)["lines"] and table.column("position").to_pylist()[0] == 0


def test_a_change_of_what_judges_has_a_new_form(tmp_path: Path) -> None:
    """If this fails because deliveries of these lines are judged otherwise: raise JUDGED_FORM, then put the new digest here."""
    path = written(tmp_path / "a.log", simulated(400))
    found = sorted(repr(one) for one in deliveries_in(index_of(path)))
    assert (judged.JUDGED_FORM, blake2b("\n".join(found).encode(), digest_size=8).hexdigest()) == (
        1,
        "772192c827aa8399",
    )


def deliveries_in(path: Path) -> Iterator[tuple[Any, ...]]:
    from app.reports.facts import Facts
    from app.reports.filters import Filters, Sieve

    for batch in deliveries.deliveries(Inputs([str(path)]), Judging(), Sieve(Filters()), Facts(), is_ordered=True):
        yield from delivered(batch)


def rows_of(reports: list[Report]) -> list[str]:
    return [f"{report.name} {row}" for report in reports for row in report.rows]


def told(steps: Iterable[Step]) -> list[Any]:
    """Each delivery with what the clock of the log says when it comes, and at the end."""
    clock, found = LogClock(), list[Any]()
    for noted, some in steps:
        clock.add(noted.as_rows)
        found += [(one, clock.as_rows) for batch in some for one in delivered(batch)]
    return [*found, clock.as_rows]
