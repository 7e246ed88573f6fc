"""A report in every form: the same head, rows and definitions, exact numbers, harmless texts, a file that is whole or not there."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from app.errors import OutputError
from app.output.reports.report import NO_ROWS, Column, Report
from app.output.reports.screen import print_report, sparkline
from app.output.reports.writing import ENDINGS, write_report

EVIL = "=1+1<script>alert(1)</script>\t\u202e"
BIG = 2**70
REPORT = Report(
    "hosts",
    "Requests by host",
    [("lines", 3), ("  rejects", 1), ("zone", "the log's, +00:00")],
    ["A host is a client."],
    (Column("host", "text"), Column("requests"), Column("share", "share"), Column("bytes", "bytes")),
    [(EVIL, 2, 2 / 3, BIG), (None, 1, 1 / 3, 0)],
    [("requests", 3), ("share shown", 1.0)],
    "requests",
)


def saved(ending: str, folder: Path, report: Report = REPORT, **options: Any) -> Path:
    path = folder / f"a{ending}"
    write_report(report, path, **options)
    return path


def test_the_screen_shows_head_rows_bars_totals_and_definitions() -> None:
    out = io.StringIO()
    print_report(REPORT, out, 120)
    text = out.getvalue()
    for part in (
        "Requests by host",
        "zone       the log's, +00:00",
        "66.67 %",
        "(none)",
        f"{BIG:,}",
        "█",
        "A host is a client.",
    ):
        assert part in text
    assert "\u202e" not in text and "\\u202e" in text


@pytest.mark.parametrize("ending", [".html", "screen"])
def test_an_empty_table_is_a_sentence(ending: str, tmp_path: Path) -> None:
    empty, out = REPORT._replace(rows=[]), io.StringIO()
    print_report(empty, out, 120)
    text = out.getvalue() if ending == "screen" else saved(ending, tmp_path, empty).read_text()
    assert NO_ROWS in text and "<thead>" not in text


def test_a_series_has_a_line_of_small_bars() -> None:
    out = io.StringIO()
    print_report(REPORT._replace(is_series=True), out, 120)
    assert "requests █▄" in out.getvalue()
    assert len(sparkline([1.0] * 1000, 60)) <= 60


@pytest.mark.parametrize(("ending", "delimiter"), [(".csv", ","), (".tsv", "\t")])
def test_text_files_begin_with_the_head_and_no_cell_is_a_formula(ending: str, delimiter: str, tmp_path: Path) -> None:
    text = saved(ending, tmp_path).read_text("utf-8")
    assert text.startswith("# Requests by host\n# lines: 3\n#   rejects: 1\n") and "# A host is a client.\n" in text
    bare = saved(ending, tmp_path, bare=True).read_text("utf-8")
    assert text.endswith(bare) and not bare.startswith("#")
    rows = list(csv.reader(io.StringIO(bare), delimiter=delimiter))
    assert rows[0] == ["host", "requests", "share", "bytes"]
    assert rows[1][0].startswith("'=1+1") and rows[1][3] == str(BIG) and rows[2][0] == ""


@pytest.mark.parametrize(("ending", "delimiter"), [(".csv", ","), (".tsv", "\t")])
def test_no_cell_of_the_head_is_a_formula(ending: str, delimiter: str, tmp_path: Path) -> None:
    evil = REPORT._replace(head=[("input", f"a,=1+1{delimiter}=2+2.log")])
    head = saved(ending, tmp_path, evil).read_text("utf-8").splitlines()[1]
    assert not any(cell.startswith("=") for cell in head.split(delimiter))


def test_json_holds_everything_with_all_digits(tmp_path: Path) -> None:
    found = json.loads(saved(".json", tmp_path).read_text())
    assert found["rows"][0] == {"host": EVIL, "requests": 2, "share": 2 / 3, "bytes": BIG}
    assert found["head"][1] == {"name": "rejects", "value": 1, "part": True}
    assert (found["totals"]["requests"], found["definitions"]) == (3, ["A host is a client."])


def test_parquet_has_kinds_and_the_head_as_metadata(tmp_path: Path) -> None:
    table = pq.read_table(saved(".parquet", tmp_path))
    assert table.column("requests").to_pylist() == [2, 1] and table.column("bytes").to_pylist() == [str(BIG), "0"]
    about = json.loads(table.schema.metadata[b"weblogs"])
    assert about["title"] == "Requests by host" and about["rows"] == []


def test_a_workbook_has_the_head_on_a_sheet_of_its_own_and_no_formulas(tmp_path: Path) -> None:
    from openpyxl import load_workbook  # here: its import takes long

    book = load_workbook(saved(".xlsx", tmp_path))
    assert book.sheetnames == ["about", "hosts"]
    assert [cell.value for cell in book["hosts"][1]] == ["host", "requests", "share", "bytes"]
    assert (book["hosts"]["A2"].data_type, book["hosts"]["D2"].value) == ("s", str(BIG))
    assert book["about"]["A1"].value == "Requests by host"


def test_a_picture_is_valid_names_its_bars_and_is_the_same_twice(tmp_path: Path) -> None:
    first = saved(".svg", tmp_path).read_bytes()
    assert first == saved(".svg", tmp_path).read_bytes()
    texts = {element.text for element in ET.fromstring(first).iter() if element.text and element.text.strip()}
    assert {"Requests by host", "requests", "(none)"} <= texts


def test_a_picture_has_texts_of_any_script_and_says_nothing_of_fonts(tmp_path: Path) -> None:
    """What matplotlib warns of would be an error here."""
    path = saved(".svg", tmp_path, REPORT._replace(rows=[("/日本語.mp3", 1, 1.0, 9)]))
    assert "/日本語.mp3" in {element.text for element in ET.fromstring(path.read_bytes()).iter()}


def test_a_page_needs_no_other_file_and_escapes_every_text(tmp_path: Path) -> None:
    text = saved(".html", tmp_path).read_text("utf-8")
    assert "<svg" in text and "A host is a client." in text and "<script>" not in text
    for word in ('src="', "<link", "@import", 'href="http'):
        assert word not in text


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_report_without_rows_can_be_written(ending: str, tmp_path: Path) -> None:
    empty = REPORT._replace(rows=[], totals=[("share shown", None)])
    assert saved(ending, tmp_path, empty).stat().st_size > 0


def test_an_ending_that_is_none_and_a_place_that_takes_no_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="name a file that ends with"):
        saved(".pdf", tmp_path)
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(REPORT, tmp_path / "no" / "a.csv")


def test_a_file_that_is_there_stays_whole_if_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(".json", tmp_path)
    before = path.read_bytes()
    monkeypatch.setattr("app.output.reports.text.json.dumps", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(REPORT, path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
