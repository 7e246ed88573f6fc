"""`python -m app parse` and `formats`, run as people run them."""

from __future__ import annotations

import bz2
import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.__main__ import main
from app.domain.formats import FORMATS
from app.domain.records import Parsed
from app.settings import settings
from tests import ROOT

LINE = '10.0.0.1 - - [31/Jul/2020:16:46:07 +0000] "GET /a HTTP/1.1" 206 500 "-" "x"'
TSV = FORMATS["weblog_tsv"].example + "\n"


@pytest.fixture(autouse=True)
def fresh_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield
    settings.cache_clear()


def parse(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["parse", *arguments])


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_every_line_gives_one_object_with_its_position(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(f"{LINE}\r\n\nno line\n{LINE}")
    result = parse(str(path))
    first, blank, bad, last = objects(result)
    assert result.exit_code == 0
    expected = Parsed(1596213967.0, "10.0.0.1", "x", "GET /a", "GET", 206, None, None, 500, None, 0)
    assert first == {"hit": {**expected._asdict(), "file": "a.log", "position": 0}}
    assert blank == {
        "reject": {
            "reason": "bad_columns",
            "detail": "a blank line",
            "file": "a.log",
            "position": len(LINE) + 2,
            "line": "",
        }
    }
    assert (bad["reject"]["reason"], bad["reject"]["position"], bad["reject"]["line"]) == (
        "bad_columns",
        len(LINE) + 3,
        "no line",
    )
    assert last["hit"]["position"] == len(LINE) + 11


def test_the_header_row_of_a_table_is_a_header_in_the_first_line_only(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(TSV + TSV.split("\n")[0])
    kinds = [next(iter(found)) for found in objects(parse("a.tsv"))]
    assert kinds == ["header", "hit", "hit", "hit", "reject"]


def test_head_lines_steer_how_the_next_lines_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(FORMATS["w3c"].example)
    found = objects(parse("a.log"))
    assert [next(iter(each)) for each in found] == ["header"] * 4 + ["hit"] * 2
    assert found[3]["header"].startswith("#Fields: date time")


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress)])
def test_compressed_files_read_like_plain_ones(tmp_path: Path, ending: str, pack: Callable[..., Any]) -> None:
    (tmp_path / "a.log").write_text(TSV)
    (tmp_path / f"a.log.{ending}").write_bytes(pack(TSV.encode()))
    assert parse(f"a.log.{ending}").stdout.replace(f"a.log.{ending}", "a.log") == parse("a.log").stdout


def test_several_files_may_have_several_formats(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(TSV)
    (tmp_path / "b").write_text(LINE)
    assert [found["hit"]["file"] for found in objects(parse("a", "b")) if "hit" in found] == ["a", "a", "a", "b"]


def test_a_format_may_be_given_by_name_or_by_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text(LINE)
    assert "reject" in objects(parse("a", "--format", "json"))[0]
    monkeypatch.setenv("WEBLOGS_FORMAT", "s3")
    settings.cache_clear()
    assert "reject" in objects(parse("a"))[0]
    assert "hit" in objects(parse("a", "--format", "auto"))[0]


def test_bytes_that_are_no_utf_8_are_kept_escaped(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(LINE.replace('"x"', '"caf\xe9 ').encode("latin-1") + 'ü"'.encode())
    assert objects(parse("a"))[0]["hit"]["user_agent"] == "caf\\xe9 ü"


def test_a_line_too_long_is_a_reject_and_the_next_ones_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBLOGS_MAX_LINE_BYTES", "200")
    (tmp_path / "a").write_text("y" * 5000 + "\n" + LINE + "\n" + "z" * 300)
    first, second, third = objects(parse("a"))
    assert first["reject"] == {
        "reason": "too_long",
        "detail": "5000 bytes",
        "file": "a",
        "position": 0,
        "line": "y" * 1024,
    }
    assert second["hit"]["position"] == 5001
    assert (third["reject"]["reason"], third["reject"]["position"]) == ("too_long", 5002 + len(LINE))


def test_an_empty_file_gives_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    result = parse("a")
    assert (result.exit_code, result.output) == (0, "")


def test_an_unknown_format_is_told_with_what_comes_close(tmp_path: Path) -> None:
    result = parse("a", "--format", "combind")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: there is no log format 'combind'; did you mean combined or")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("data", [b"hello\nworld\n", b"\x00\xff" * 500, b"x" * 100_000])
def test_a_file_of_no_known_format_is_told_in_one_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    result = parse("a")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: the log format of a is not known: ")
    assert result.stderr.count("\n") == 1


def test_a_file_that_can_not_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "b").write_text(LINE)
    result = parse("missing", "b")
    assert result.exit_code == 1
    assert "missing does not exist" in result.stderr
    assert len(objects(result)) == 1


@pytest.mark.parametrize("arguments", [(), ("--format", "combined")])
def test_what_was_good_in_a_cut_off_archive_is_shown(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    lines = "".join(LINE.replace("/a", f"/{at * 7919 % 10007}") + "\n" for at in range(2000))
    (tmp_path / "a.gz").write_bytes(gzip.compress(lines.encode())[:4000])
    result = parse("a.gz", *arguments)
    assert result.exit_code == 1
    assert "cut off" in result.stderr
    assert len([found for found in objects(result) if "hit" in found]) > 50


def test_a_wrong_field_map_names_its_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBLOGS_JSON_FIELDS", "tme=a")
    (tmp_path / "a").write_text("{}")
    result = parse("a", "--format", "json")
    assert result.exit_code == 2
    assert "did you mean time" in result.stderr and "WEBLOGS_JSON_FIELDS" in result.stderr


def run(code: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60, **options)


def test_standard_input_is_read_without_arguments() -> None:
    done = run("from app.cli.parse import command; command([])", input=LINE.encode())
    assert json.loads(done.stdout)["hit"]["file"] == "stdin"
    assert done.returncode == 0


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text((LINE + "\n") * 20_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "parse", path], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline().startswith(b'{"hit"')
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) == 141


def test_formats_lists_every_format_with_an_example() -> None:
    result = CliRunner().invoke(main, ["formats"])
    assert result.exit_code == 0
    for name, log_format in FORMATS.items():
        assert f"{name}\n  {log_format.title}\n    {log_format.example.splitlines()[0]}" in result.output
    assert CliRunner().invoke(main, ["formats", "--names"]).output.split() == list(FORMATS)
