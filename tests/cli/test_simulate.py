"""`simulate weblogs` writes whole files or none, and the same ones for the same seed."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.__main__ import main


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["simulate", "weblogs", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def test_the_log_goes_to_standard_output_and_nothing_else_does() -> None:
    result = run("--lines", 50, "--seed", 3)
    assert len(result.stdout.splitlines()) == 51
    assert result.stderr == ""


def test_a_gz_ending_compresses_and_equal_plans_make_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        run("--lines", 300, "-o", tmp_path / name)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()).decode() == run("--lines", 300).stdout


def test_truth_and_sizes_are_written_beside_the_log(tmp_path: Path) -> None:
    result = run("--lines", 300, "-o", tmp_path / "log", "--truth", tmp_path / "truth", "--sizes", tmp_path / "sizes")
    truth = [json.loads(line) for line in (tmp_path / "truth").read_text("utf-8").splitlines()]
    sizes = dict(line.split("\t") for line in (tmp_path / "sizes").read_text("utf-8").splitlines())
    assert all(one["total_bytes"] == int(sizes[one["request"]]) for one in truth)
    assert f"{len(truth)} deliveries" in result.stderr


@pytest.mark.parametrize("option", ["-o", "--truth", "--sizes"])
def test_a_file_that_can_not_be_written_is_said_in_one_sentence(tmp_path: Path, option: str) -> None:
    result = run("--lines", 5, option, tmp_path / "missing" / "file", code=2)
    assert result.stderr.startswith("Error: ")
    assert "missing/file" in result.stderr


@pytest.mark.parametrize(
    "arguments", [["--lines", "-1"], ["--shape", "round"], ["--format", "s3"], ["--window-length", "0"]]
)
def test_what_is_asked_wrongly_is_exit_code_2(arguments: list[Any]) -> None:
    assert run(*arguments, code=2).stderr.startswith("Usage")


def test_the_bundled_sample_is_what_the_seed_in_its_note_makes() -> None:
    from pathlib import Path

    samples = Path(__file__).resolve().parents[2] / "samples"
    assert (samples / "weblogs.tsv").read_text("utf-8") == run("--lines", 2000, "--seed", 20200731).stdout
    assert (samples / "weblogs.tsv").stat().st_size < 400_000
    assert "--lines 2000 --seed 20200731" in (samples / "README.md").read_text("utf-8")
