"""The command `report`: exit codes, sentences, standard input, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from inspect import signature
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from app.__main__ import main
from app.cli.report import options
from app.cli.report.command import command
from app.reports.registry import QUESTIONS
from tests import ROOT
from tests.called import call_app
from tests.reports.logs import line, timed_line, written

TIMED_LOG = [timed_line(at / 10) for at in range(30)]
LOG = [line(f"10.0.0.{at % 3}", at=f"18/May/2015:10:00:{at:02} +0000") for at in range(30)]


def log_of(question: str) -> list[str]:
    """Lines that have what the question is about."""
    return TIMED_LOG if question == "latency" else LOG


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["report", *arguments])
    return done.exit_code, done.stdout, done.stderr


def options_of(question: str) -> set[str | None]:
    found = command.get_command(click.Context(command), question)
    assert found is not None
    return {each.name for each in found.params}


def test_the_list_of_questions_is_whole() -> None:
    assert command.list_commands(click.Context(command)) == sorted((*QUESTIONS, "downloads", "index"))


@pytest.mark.parametrize("question", sorted((*QUESTIONS, "downloads")))
def test_every_question_prints_its_head_first_and_its_definitions_last(question: str, tmp_path: Path) -> None:
    code, out, err = run(
        question,
        str(written(tmp_path / "a.log", [*log_of(question), "no line"])),
        *(["--no-dns"] if question == "countries" else []),
    )
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [each.split() for each in lines[2:6]] == [
        ["lines", "31"],
        ["head", "lines", "0"],
        ["hits", "30"],
        ["rejects", "1"],
    ]
    assert lines[-1] == "Rows with the same number stand in the order of their names."


@pytest.mark.parametrize("question", sorted((*QUESTIONS, "downloads")))
def test_every_question_takes_a_file_of_hits(question: str, tmp_path: Path) -> None:
    hits = tmp_path / "hits.parquet"
    assert run("index", str(written(tmp_path / "a.log", log_of(question))), "-o", str(hits))[:2] == (
        0, f"30 hits of 30 lines in {hits}; 0 rejects are only counted\n",
    )  # fmt: skip
    rows = []
    for path in (tmp_path / "a.log", hits):
        out = tmp_path / "out.json"
        assert run(question, str(path), "-o", str(out), *(["--no-dns"] if question == "countries" else []))[0] == 0
        rows.append(json.loads(out.read_text())["rows"])
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--from", "2015-02-30"], 2, "is no day; write one as 2015-05-18"),
        (["--from", "2015-05-19", "--to", "2015-05-18"], 2, "--to 2015-05-18 is before --from 2015-05-19"),
        (["--status", "4x"], 2, "'4x' cannot be used; write as in 404,5xx"),
        (["--country", "Germany"], 2, "write as in DE,FR"),
        (["--top", "0"], 2, "0 is not in the range 1<=x<=1000000000"),
        (["--top", "99999999999999999999"], 2, "is not in the range 1<=x<=1000000000"),
        (["--processes", "1000"], 2, "1000 is not in the range 1<=x<=256"),
        (["--tz", "Nowhere"], 2, "there is no time zone 'Nowhere'"),
        (["-o", "a.doc"], 2, "name a file that ends with"),
        (["-o", "no/folder/a.csv"], 2, "cannot be written"),
        (["--geoip", "none.mmdb", "--country", "DE"], 2, "cannot be read as a MaxMind database"),
        (["nosuch.log"], 1, "nosuch.log does not exist"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_a_code(
    arguments: list[str], code: int, sentence: str, tmp_path: Path
) -> None:
    inputs = [] if arguments == ["nosuch.log"] else [str(written(tmp_path / "a.log", LOG))]
    found, out, err = run("hosts", *inputs, *arguments)
    assert (found, out) == (code, "") and sentence in err


@pytest.mark.parametrize(
    ("question", "option", "name"),
    [
        ("hosts", "-o", "a.csv"),
        ("downloads", "--left-out", "a.tsv"),
        ("downloads", "--certify", "b.json"),
        ("index", "-o", "a.parquet"),
    ],
)
def test_no_input_is_overwritten(question: str, option: str, name: str, tmp_path: Path) -> None:
    """By whatever name: a log may well end with .tsv."""
    path = written(tmp_path / name, LOG)
    (tmp_path / "link").symlink_to(path)
    inputs = [str(tmp_path / "link")]
    if name == "b.json":
        inputs = [str(written(tmp_path / "a.log", LOG)), "--episodes", str(path)]
    code, _, err = run(question, *inputs, option, str(path))
    assert (code, path.read_text().splitlines()) == (2, LOG) and f"{name}: is an input; name another file" in err


def test_an_input_that_is_missing_beside_a_good_one_is_told_and_the_good_one_counts(tmp_path: Path) -> None:
    code, out, err = run("hosts", str(written(tmp_path / "a.log", LOG)), str(tmp_path / "b.log"))
    assert code == 1 and ["requests", "30"] in [each.split() for each in out.splitlines()]
    assert "b.log does not exist" in err


def test_a_status_is_no_filter_of_deliveries(tmp_path: Path) -> None:
    code, _, err = run("files", str(written(tmp_path / "a.log", LOG)), "--status", "404")
    assert code == 2 and "--status counts hits" in err


def test_sizes_are_learned_from_logs_and_not_from_files_of_hits(tmp_path: Path) -> None:
    path, hits = (
        written(tmp_path / "a.log", [line(sent=100), line("10.0.0.9", sent=100)] * 3),
        tmp_path / "hits.parquet",
    )
    assert run("files", str(path), "--learn-sizes", "-o", str(tmp_path / "out.json"))[0] == 0
    assert json.loads((tmp_path / "out.json").read_text())["totals"]["whole"] == 2
    assert run("index", str(path), "-o", str(hits))[0] == 0
    code, _, err = run("files", str(hits), "--learn-sizes")
    assert code == 2 and "name the log instead of the file of its hits" in err


def test_what_the_log_does_not_tell_is_a_sentence_and_code_5(tmp_path: Path) -> None:
    log = written(tmp_path / "a.log", LOG)
    hits = tmp_path / "hits.parquet"
    assert run("index", str(log), "-o", str(hits))[0] == 0
    for path in (log, hits):
        code, out, err = run("latency", str(path), str(tmp_path / "b.log"))
        assert (code, out) == (5, "") and "no line that is counted tells how long its response took; log it" in err
        assert "b.log does not exist" in err
    assert run("latency", str(log), "--from", "2020-01-01")[0] == 0


def test_a_file_of_hits_without_the_field_is_refused_in_a_sentence() -> None:
    code, out, err = run("referers", str(ROOT / "tests" / "data" / "forms" / "hits-1.parquet"))
    assert (code, out) == (1, "") and "hits-1.parquet: was written without referer; write it again" in err


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_options_of_a_question_are_the_parameters_of_the_function_that_answers_it(question: str) -> None:
    function = getattr(import_module(f"app.reports.{QUESTIONS[question].module}"), question.replace("-", "_"))
    common = options_of("files" if QUESTIONS[question].of_deliveries else "hosts")
    own = options_of(question) - common
    assert own == set(list(signature(function).parameters)[1:])


def test_standard_input_is_read(tmp_path: Path) -> None:
    done = call_app(["report", "hosts", "-"], tmp_path, {}, written(tmp_path / "a.log", LOG))
    assert done.returncode == 0 and "10.0.0.0" in done.stdout and done.stderr == ""


@pytest.mark.parametrize(
    ("name", "option", "file", "number", "code", "word"),
    [
        ("index", "-o", "hits.parquet", signal.SIGINT, 130, "Stopped by Ctrl-C before the end."),
        pytest.param("index", "-o", "hits.parquet", signal.SIGTERM, 143, "", marks=pytest.mark.long),
        ("downloads", "--left-out", "left.tsv", signal.SIGTERM, 143, ""),
    ],
)
def test_ctrl_c_and_sigterm_leave_no_file_and_no_process(
    name: str, option: str, file: str, number: int, code: int, word: str, tmp_path: Path
) -> None:
    """The log never ends: it is a pipe that stays open. Ctrl-C reaches all processes, SIGTERM this one."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "report", name, "-", option, str(tmp_path / file), "--processes", "2"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stderr is not None
    process.stdin.write("".join(f"{one}\n" for one in LOG * 5000).encode())
    process.stdin.flush()
    ended = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < ended:
        time.sleep(0.05)
    assert list(tmp_path.iterdir()), "it never began to write"
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.decode().strip()) == (code, word)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.parametrize(("after_s", "shown"), [(0.0, ["a.log", "b.log"]), (1e9, [])])
def test_progress_is_shown_once_reading_takes_long(
    after_s: float, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import nullcontext
    from types import SimpleNamespace

    seen: list[str] = []
    screen = SimpleNamespace(read=lambda path, done, size: seen.append(path))
    monkeypatch.setattr(options, "_PROGRESS_AFTER_S", after_s)
    monkeypatch.setattr(options, "open_screen", lambda **_: nullcontext(screen))
    with options.late_progress(quiet=False) as on_progress:
        on_progress("a.log", 1, 2)
        on_progress("b.log", 1, 2)
    assert seen == shown
