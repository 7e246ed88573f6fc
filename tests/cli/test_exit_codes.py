"""One table says with which code a command ends."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("a"), 2),
        (UnknownFormat("a"), 2),
        (WrongOutput("a"), 2),
        (OutputError("a"), 1),
        (InputError("a"), 1),
        (WorkerError("a"), 1),
        (OSError(28, "No space left on device", "a"), 1),
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
