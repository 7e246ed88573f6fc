"""What Ctrl-C does to a command: an exit code of its own, so that it is never taken for an answer."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from app import __main__
from app.cli import formats


def test_a_command_that_ctrl_c_ended_has_the_exit_code_130_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command("formats")
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(formats, "command", interrupted)
    done = CliRunner().invoke(__main__.main, ["formats"])
    assert (done.exit_code, done.output.strip()) == (130, "Stopped by Ctrl-C before the end.")
