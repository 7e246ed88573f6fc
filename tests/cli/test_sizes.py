"""`sizes learn`, `sizes scan` and `reduce --learn-sizes`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.__main__ import main
from app.words import hints
from tests.called import call_app


def line(client: int, sent: int, day: int = 1, path: str = "/film.mp4") -> str:
    return f'192.0.2.{client} - - [{day:02}/Nov/2020:10:00:00 +0000] "GET {path} HTTP/1.1" 200 {sent} "-" "VLC"\n'


LOG = line(1, 1000) + line(2, 1000) + line(3, 400) + line(4, 50, path="/once.mp4")


def app(*words: object, given: bytes = b"") -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], input=given, catch_exceptions=False)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text(LOG)
    return path


def verdicts(path: Path) -> list[tuple[str, str]]:
    return sorted((row["verdict"], row["evidence"]) for row in map(json.loads, path.read_text().splitlines()))


WITH_SIZES = [("complete", "learned"), ("complete", "learned"), ("partial", "learned"), ("unknown", "bytes")]


def test_a_log_without_ranges_is_judged_by_what_it_tells_of_sizes(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    told = app("reduce", log, "--learn-sizes", "-o", out)
    assert (told.exit_code, verdicts(out)) == (0, WITH_SIZES)
    assert "sizes of 1 file learned, of 2" in told.output


def test_learned_sizes_in_a_file_judge_alike(log: Path, tmp_path: Path) -> None:
    sizes, out = tmp_path / "sizes.tsv", tmp_path / "out.jsonl"
    assert app("sizes", "learn", log, "-o", sizes).exit_code == 0
    assert sizes.read_text() == (
        "GET /film.mp4\t1000\t2020-11-01T00:00:00Z\tlearned: 2 of 3 clients were sent as many (66 %)\n"
    )
    assert app("reduce", log, "--sizes", sizes, "-o", out).exit_code == 0
    assert verdicts(out) == WITH_SIZES


def test_a_replaced_file_is_judged_by_the_size_of_its_day(tmp_path: Path) -> None:
    path, out = tmp_path / "access.log", tmp_path / "out.jsonl"
    path.write_text(LOG + line(5, 700, 9) + line(6, 700, 9) + line(7, 600, 9))
    assert app("reduce", path, "--learn-sizes", "-o", out).exit_code == 0
    found = sorted(
        (row["first"] > 1604600000, row["verdict"], row["total_bytes"])
        for row in map(json.loads, out.read_text().splitlines())
    )
    assert found == [
        (False, "complete", 1000), (False, "complete", 1000), (False, "partial", 1000), (False, "unknown", None),
        (True, "complete", 700), (True, "complete", 700), (True, "partial", 700),
    ]  # fmt: skip


def test_how_a_log_is_split_into_files_does_not_matter(log: Path, tmp_path: Path) -> None:
    parts = []
    for number, text in enumerate(reversed(LOG.splitlines(keepends=True))):
        parts.append(tmp_path / f"part-{number}")
        parts[-1].write_text(text)
    one, other = tmp_path / "one", tmp_path / "other"
    app("sizes", "learn", log, "-o", one)
    app("sizes", "learn", *parts, "-o", other)
    assert one.read_bytes() == other.read_bytes() != b""


def test_standard_input_cannot_be_read_twice_and_a_note_says_so(tmp_path: Path) -> None:
    told = call_app(["reduce", "-", "--learn-sizes"], tmp_path, {}, LOG.encode())
    assert told.returncode == 0 and "no sizes were learned from standard input: it cannot be read twice" in told.stdout


def test_an_input_that_cannot_be_read_is_exit_code_1_and_the_others_count(log: Path, tmp_path: Path) -> None:
    told = app("sizes", "learn", tmp_path / "missing", log)
    assert told.exit_code == 1
    assert "GET /film.mp4\t1000" in told.output
    assert "missing" in told.output


def test_a_folder_gives_the_sizes_of_its_regular_files_as_requests_spell_them(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "ä").write_bytes(b"12345")
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    told = app("sizes", "scan", tmp_path, "--url", "https://example.org/files/", "-q")
    assert told.output == "/files/empty\t0\n/files/a%20b/%C3%A4\t5\n"


@pytest.mark.parametrize(
    "listing",
    [
        "2020-11-01 10:00:00          0 empty\n2020-11-01 10:00:00      12345 a b/c.mp4\n2020-11-01 10:00:00  0 dir/\n\nTotal Objects: 3\n",
        json.dumps({"Contents": [{"Key": "empty", "Size": 0}, {"Key": "a b/c.mp4", "Size": 12345}, {"Key": "dir/", "Size": 0}]}),
    ],
)  # fmt: skip
def test_the_listing_of_a_bucket_gives_the_sizes_of_its_objects(listing: str) -> None:
    told = app("sizes", "scan", "-", "-q", given=listing.encode())
    assert told.output == "/empty\t0\n/a%20b/c.mp4\t12345\n"


@pytest.mark.parametrize(
    "listing", ["no listing\n", "{", '{"Contents": [{"Key": "a"}]}', '{"Contents": [{"Key": 1, "Size": 1}]}']
)
def test_what_is_no_listing_is_one_sentence(listing: str) -> None:
    told = app_fails("sizes", "scan", "-", given=listing.encode())
    assert told.exit_code == 1
    assert told.output.startswith("Error: standard input")


def app_fails(*words: object, given: bytes = b"") -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], input=given)


def test_a_report_of_mostly_unknown_deliveries_says_why_and_names_the_next_command(log: Path) -> None:
    told = app("reduce", log)
    assert "hint: This log names neither ranges nor sizes." in told.output
    assert f"hint: Run: python -m app reduce {log} --learn-sizes" in told.output
    assert "hint: " not in app("reduce", log, "--learn-sizes").output


def test_a_report_of_mostly_rejects_says_why_and_names_the_next_command(tmp_path: Path) -> None:
    foreign = tmp_path / "a b.log"
    foreign.write_text("a b c\nd e f\n")
    told = app("reduce", "--format", "combined", foreign).output
    assert "hint: 2 of 2 lines are no hits, most of them because the columns do not fit the format." in told
    assert f"hint: Run: python -m app parse '{foreign}' | head" in told


@pytest.mark.parametrize(
    "reason", ["size_unknown", "no_offsets", "announced", "encoded", "in_flight", "size_changed", "fragmented"]
)
def test_every_reason_of_an_unknown_delivery_has_a_hint_of_two_lines(reason: str) -> None:
    told = hints({("unknown", reason): 3, ("complete", None): 2})
    assert len(told) == 2
    assert hints({("unknown", reason): 3, ("complete", None): 3}) == []


def test_who_learned_the_sizes_already_is_not_told_to_do_so_again() -> None:
    assert "--learn-sizes" not in " ".join(hints({("unknown", "size_unknown"): 3}, "a.log", sizes_learned=True))
