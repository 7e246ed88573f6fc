"""The .tsv, .csv and .jsonl files give back what was written."""

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.records import Delivery, key_hash
from app.output import open_writer
from app.output.columns import COLUMNS
from app.output.text import as_read, harmless
from app.settings import load
from app.words import visible, writable
from tests.output.deliveries import HOSTILE_TEXTS, delivery

_UNESCAPED = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}


def _written(path: Path, deliveries: Iterable[Delivery]) -> Path:
    with open_writer(path) as writer:
        for each in deliveries:
            writer.write(each)
    return path


def _tsv_rows(path: Path) -> list[list[str]]:
    lines = path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    return [
        [as_read(re.sub(r"\\[\\tnr]", lambda found: _UNESCAPED[found[0]], field)) for field in line.split("\t")]
        for line in lines
    ]


def test_the_columns_begin_with_the_key_and_its_ranges_and_times_are_iso(tmp_path: Path) -> None:
    head, row = _tsv_rows(_written(tmp_path / "out.tsv", [delivery()]))
    assert head == list(COLUMNS)
    assert head[:4] == ["ip_address", "user_agent", "request", "byte_ranges"]
    assert row == [
        "10.0.0.1", "curl/8", "GET /a", "0-499, 1000-1200", "500-999, 1201-1999", "701", "2000", "true", "partial", "ranges", "gap",
        "3", "712", "", "2020-07-31T16:46:07Z", "2020-07-31T16:46:08.500000Z", "2020-07-31T16:46:07Z", "cut_off",
        key_hash("10.0.0.1_curl/8_GET /a"),
    ]  # fmt: skip


def test_an_absent_value_is_an_empty_field(tmp_path: Path) -> None:
    row = dict(
        zip(
            *_tsv_rows(_written(tmp_path / "o.tsv", [delivery(total_bytes=None, reason=None, bytes_sent=None)])),
            strict=True,
        )
    )
    assert (row["total_bytes"], row["reason"], row["bytes_sent"]) == ("", "", "")


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_every_text_file_gives_back_a_hostile_text(tmp_path: Path, text: str) -> None:
    given_one = delivery(user_agent=text)
    assert _tsv_rows(_written(tmp_path / "o.tsv", [given_one]))[1][1] == writable(text)
    with _written(tmp_path / "o.csv", [given_one]).open(encoding="utf-8", newline="") as file:
        assert as_read(list(csv.reader(file))[1][1]) == writable(text)
    assert json.loads(_written(tmp_path / "o.jsonl", [given_one]).read_text("utf-8"))["user_agent"] in (
        text,
        writable(text),
    )


@given(st.lists(st.text(), min_size=3, max_size=3))
def test_any_three_texts_survive_a_tsv_file(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.tsv"
    _written(path, [delivery(ip_address=texts[0], user_agent=texts[1], request=texts[2])])
    assert _tsv_rows(path)[1][:3] == texts


def test_jsonl_carries_every_field_and_integers_of_any_size(tmp_path: Path) -> None:
    huge = delivery(total_bytes=2**70, covered_bytes=2**70, ranges=[[0, 2**70 - 1]], missing=[])
    found = json.loads(_written(tmp_path / "o.jsonl", [huge]).read_text("utf-8"))
    assert found == {**huge._asdict(), "key_hash": key_hash("10.0.0.1_curl/8_GET /a")}


def test_a_terminal_gets_no_control_characters() -> None:
    shown = visible("a\x1b[2J\u202e\x9b\n\ud800b")
    assert shown == "a\\x1b[2J\\u202e\\x9b\\x0a\\ud800b"


COMPUTED = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "'=1", "\ufeff=1", "＝1", "'' +x", "\n-1")


@pytest.mark.parametrize("text", COMPUTED)
@pytest.mark.parametrize("name", ["o.csv", "o.tsv"])
def test_no_cell_begins_as_a_spreadsheet_would_compute_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, name: str
) -> None:
    given_one = delivery(ip_address=text, user_agent=text, request=text)
    file = _written(tmp_path / name, [given_one]).read_bytes().decode()
    separator = "\t" if name.endswith("tsv") else ","
    row = next(csv.reader(file.partition("\n")[2].splitlines(keepends=True), delimiter=separator))
    assert all(cell.startswith("'") and harmless(as_read(cell)) == cell for cell in row[:3])
    monkeypatch.setattr("app.output.text.settings", lambda: load({"WEBLOGS_OUTPUT_FORMULAS": "1"}))
    file = _written(tmp_path / name, [given_one]).read_bytes().decode()
    row = next(csv.reader(file.partition("\n")[2].splitlines(keepends=True), delimiter=separator))
    assert all(cell[:1] == text[:1] or cell.startswith("\\") for cell in row[:3])


@given(st.text())
def test_what_was_made_harmless_is_read_back(text: str) -> None:
    assert as_read(harmless(text)) == text
