"""How a command says an error: one sentence on standard error, and an exit code by the kind of the error."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence

import click

from app.errors import (
    LogError,
    NotLogged,
    SettingsError,
    StoreError,
    UnknownForm,
    UnknownFormat,
    UnreadableFile,
    UnreadableRecord,
    WrongOutput,
)
from app.process.exit import EXIT_REFUSED

__all__ = ["UNREADABLE", "end_with", "reader_left", "say"]

UNREADABLE = 5
_CODES = (
    (UnknownForm, EXIT_REFUSED),
    ((SettingsError, UnknownFormat, WrongOutput), 2),
    ((NotLogged, UnreadableFile, UnreadableRecord), UNREADABLE),
    ((StoreError, LogError), 4),
    (OSError, UNREADABLE),
    (Exception, 1),
)
"""The exit code of an error: of the first kind that it is."""


def say(error: Exception) -> int:
    """Prints the sentence, if somebody reads it; the exit code."""
    try:
        click.echo(f"Error: {error}", err=True)
    except BrokenPipeError:
        reader_left()
    return next(code for kind, code in _CODES if isinstance(error, kind))


def reader_left() -> bool:
    """Whether nobody reads what the command prints any more (`| head`); what is still to be printed then goes nowhere."""
    left = False
    for stream in (sys.stdout, sys.stderr):
        try:
            file = stream.fileno()
            poll = select.poll()
            poll.register(file, 0)
        except (OSError, ValueError):  # closed, or no file of the system
            continue
        if poll.poll(0):
            os.dup2(os.open(os.devnull, os.O_WRONLY), file)
            left = True
    return left


def end_with(errors: Sequence[str]) -> None:
    """Ends the command: with 1, and these sentences, if an input could not be read to its end."""
    for sentence in errors:
        click.echo(f"Error: {sentence}", err=True)
    sys.exit(1 if errors else 0)
