"""One table says with which code a command ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from app import __main__
from app.cli import formats
from app.errors import (
    Fenced,
    InputError,
    NotLogged,
    OutputError,
    SettingsError,
    StoreRefused,
    StoreUnreachable,
    UnknownForm,
    UnknownFormat,
    UnknownStoreForm,
    UnreadableFile,
    UnreadableRecord,
    WorkerError,
    WrongOutput,
)
from tests import ROOT


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("a"), 2),
        (UnknownFormat("a"), 2),
        (WrongOutput("a"), 2),
        (OutputError("a"), 1),
        (InputError("a"), 1),
        (WorkerError("a"), 1),
        (OSError(28, "No space left on device", "a"), 5),
        (BrokenPipeError(32, "Broken pipe"), 5),
        (StoreUnreachable("a"), 4),
        (StoreRefused("a"), 4),
        (Fenced("a"), 4),
        (NotLogged("a"), 5),
        (UnreadableFile("a"), 5),
        (UnreadableRecord("a", "hit", "b", "c"), 5),
        (UnknownForm("a", 9, 1), 78),
        (UnknownStoreForm("a", 9, 1), 78),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_command_ends_with_the_sentence_and_the_code_of_its_error(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(names: bool) -> None:
        raise error

    monkeypatch.setattr(formats.command, "callback", fail)
    done = CliRunner().invoke(__main__.main, ["formats"])
    assert (done.exit_code, done.stdout, done.stderr) == (code, "", f"Error: {error}\n")


def without_reader(command: str, data: Path, both: bool) -> subprocess.CompletedProcess[bytes]:
    """A command whose standard output, and standard error if `both`, nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [sys.executable, "-m", "app", *command.split()],
            stdout=writer,
            stderr=writer if both else subprocess.PIPE,
            env=os.environ | {"WEBLOGS_DATA_DIR": str(data)},
            cwd=ROOT,
        )
    finally:
        os.close(writer)


@pytest.mark.parametrize(
    "command",
    ["formats", "settings", "parse samples/nine-lines.tsv", "reduce -q samples/nine-lines.tsv", "usage check"],
)
@pytest.mark.parametrize("both", [False, True], ids=["stdout", "stdout and stderr"])
def test_a_command_whose_reader_left_ends_with_a_code_that_is_no_answer(
    command: str, both: bool, tmp_path: Path
) -> None:
    """`usage check | head -1` is not told that something differs, which is 1."""
    done = without_reader(command, tmp_path, both)
    assert done.returncode == 141 and not done.stderr


@pytest.mark.parametrize("both", [False, True], ids=["stdout", "stdout and stderr"])
def test_an_error_has_its_code_if_nobody_reads_the_sentence(both: bool, tmp_path: Path) -> None:
    assert without_reader("check", tmp_path, both).returncode == 4


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["reprot"], "report or repair"),
        (["report", "hots", "a.log"], "hosts or hotlinks"),
        (["usage", "chek"], "check"),
        (["stores", "retian"], "retain"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "named",
)
def test_a_command_that_is_misspelled_is_answered_with_those_that_are_spelled_much_like_it(
    words: list[str], named: str
) -> None:
    done = CliRunner().invoke(__main__.main, words)
    assert done.exit_code == 2
    assert done.output.endswith(f"Did you mean {named}?\n")
    assert "Did you mean" not in CliRunner().invoke(__main__.main, ["zzzz"]).output
