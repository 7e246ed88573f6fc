"""The workbook gives back what was written and says in words what does not fit."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from app.domain.records import Delivery
from app.output import open_writer
from app.output.columns import COLUMNS
from app.output.xlsx import CELL_CHARACTERS, XlsxTable, cell_text
from tests.output.deliveries import HOSTILE_TEXTS, delivery

_COLUMN = {name: number for number, name in enumerate(COLUMNS)}


def _rows(path: Path, sheet: str = "deliveries") -> list[list[Any]]:
    from openpyxl import load_workbook  # here: its import takes long

    book = load_workbook(path)
    return [list(row) for row in book[sheet].iter_rows(values_only=True)]


def _written(path: Path, deliveries: Iterable[Delivery]) -> Path:
    with open_writer(path) as writer:
        for each in deliveries:
            writer.write(each)
    return path


def test_a_workbook_has_the_columns_and_values(tmp_path: Path) -> None:
    head, row = _rows(_written(tmp_path / "o.xlsx", [delivery()]))
    assert head == list(COLUMNS)
    assert row[:7] == ["10.0.0.1", "curl/8", "GET /a", "0-499, 1000-1200", "500-999, 1201-1999", 701, 2000]
    assert row[_COLUMN["size_known"]] is True
    assert row[_COLUMN["first"]] == "2020-07-31T16:46:07Z"


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_every_text_is_a_text_and_no_formula_link_or_markup(tmp_path: Path, text: str) -> None:
    path = _written(tmp_path / "o.xlsx", [delivery(user_agent=text)])
    from openpyxl import load_workbook  # here: its import takes long

    book = load_workbook(path)
    cell = book["deliveries"].cell(2, 2)
    assert cell.data_type in ("s", "inlineStr") or (text == "" and cell.value is None)
    assert cell.hyperlink is None
    with zipfile.ZipFile(path) as archive:
        xml = archive.read("xl/worksheets/sheet1.xml").decode("utf-8")
    assert "<f>" not in xml
    assert "<r>" not in xml
    expected = cell_text(text).replace("_x0041_", "_x005F_x0041_")  # the reader keeps the escape of an escape
    assert (cell.value or "") in (
        expected,
        cell_text(text),
        expected.replace("\r", "\n"),
        expected.replace("\r", "_x000D_"),
    )


def test_a_number_with_more_digits_than_a_cell_holds_is_a_text(tmp_path: Path) -> None:
    _, row = _rows(_written(tmp_path / "o.xlsx", [delivery(covered_bytes=2**60, total_bytes=10**15 - 1)]))
    assert row[_COLUMN["covered_bytes"]] == str(2**60)
    assert row[_COLUMN["total_bytes"]] == 10**15 - 1


def test_more_ranges_than_a_cell_holds_are_cut_at_a_range_and_counted(tmp_path: Path) -> None:
    ranges = [[number * 10, number * 10 + 4] for number in range(9_000)]
    _, row = _rows(_written(tmp_path / "o.xlsx", [delivery(ranges=ranges)]))
    text = row[_COLUMN["byte_ranges"]]
    assert len(text) <= CELL_CHARACTERS
    kept, _, note = text.partition(" … ")
    assert note == "(9,000 ranges)"
    assert [f"{lo}-{hi}" for lo, hi in ranges][: kept.count(",") + 1] == kept.split(", ")


def test_a_text_too_long_for_a_cell_is_cut_and_counted_also_where_characters_count_twice(tmp_path: Path) -> None:
    _, row = _rows(_written(tmp_path / "o.xlsx", [delivery(user_agent="🎧" * 20_000, request="x" * 40_000)]))
    assert row[1].endswith("🎧 … (20,000 characters)")
    assert len(row[1].encode("utf-16-le")) // 2 <= CELL_CHARACTERS
    assert row[2].endswith("x … (40,000 characters)")
    assert len(row[2]) == CELL_CHARACTERS


def test_rows_beyond_a_sheet_go_on_in_the_next_which_the_full_one_says(tmp_path: Path) -> None:
    path = tmp_path / "o.xlsx"
    table = XlsxTable(path, sheet_rows=5)
    for number in range(8):
        table.write(delivery(hits=number))
    table.finish()
    from openpyxl import load_workbook  # here: its import takes long

    book = load_workbook(path)
    assert book.sheetnames == ["deliveries", "deliveries 2", "deliveries 3"]
    hits = []
    for name in book.sheetnames:
        rows = _rows(path, name)
        assert len(rows) <= 5
        assert rows[0] == list(COLUMNS)
        hits += [row[_COLUMN["hits"]] for row in rows[1:] if row[_COLUMN["hits"]] is not None]
    assert hits == list(range(8))
    assert "deliveries 2" in _rows(path)[4][0]


def test_a_workbook_given_up_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(KeyError), open_writer(tmp_path / "o.xlsx") as writer:
        writer.write(delivery())
        raise KeyError
    assert list(tmp_path.iterdir()) == []
