"""What the questions to a clickstream have in common: their options, reading with progress, and what is told of the rows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from app.cli.progress import open_screen
from app.cli.reduce.command import failing_in_words
from app.errors import InputError
from app.output.answers import ANSWER_ENDINGS, answer_lines, write_answer
from app.output.replacing import STDOUT, explained
from app.output.statistics import table_lines
from app.words import visible

if TYPE_CHECKING:
    from app.clickstream.events import Account, Events

__all__ = ["answered", "clickstream_options", "day_option", "read"]

Command = TypeVar("Command", bound=Callable[..., Any])


def clickstream_options(command: Command) -> Command:
    """Adds the files, and where the answer goes."""
    command = click.option("--quiet", "-q", is_flag=True, help="No progress bar and no statistics.")(command)
    command = click.option("--debug", is_flag=True, help="Print every rejected row with its place and reason.")(command)
    command = click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        help=f"Write the answer to a file: {', '.join(ANSWER_ENDINGS)}.",
    )(command)
    return click.argument("files", nargs=-1, required=True, metavar="FILE…")(command)


def day_option(name: str, text: str) -> Callable[[Command], Command]:
    """A required date."""
    return click.option(
        name, "day", type=click.DateTime(["%Y-%m-%d"]), required=True, metavar="DATE", callback=_as_date, help=text
    )


def _as_date(context: click.Context, parameter: click.Parameter, value: datetime) -> date:
    return value.date()


@contextmanager
def read(files: Sequence[str], debug: bool, quiet: bool) -> Iterator[tuple[Account, Iterator[Events]]]:
    """The events of the files, and the account of their rows."""
    from app.clickstream.events import Account, events_of

    account = Account()
    if debug:
        account.on_reject = lambda place, bad: click.echo(
            visible(f"{place}: {bad.reason}: {bad.detail}: {bad.line[:200]}"), err=True
        )
    with failing_in_words(output_code=1), open_screen(quiet=quiet, transient=True) as screen:
        account.on_progress = screen.read
        yield account, events_of(files, account)
        if account.errors and not account.events and not account.rejects:
            raise InputError(
                "\nError: ".join(account.errors)
            )  # nothing was read: no answer is better than an empty one


def answered(
    account: Account,
    heads: Sequence[str],
    rows: Sequence[Sequence[object]],
    asked: dict[str, Any],
    sentences: Sequence[str],
    output: Path | None,
    quiet: bool,
) -> None:
    """Tells the rows of the file, the definitions, the answer; ends the process with 1 if an input failed."""
    rejects = dict(sorted(account.rejects.items()))
    with failing_in_words(output_code=1), explained(STDOUT):
        if not quiet:
            total = sum(rejects.values())
            counts: list[tuple[str, int | str]] = [
                ("rows", account.events + total),
                ("  events", account.events),
                ("  rejects", total),
                *((f"    {reason}", count) for reason, count in rejects.items()),
            ]
            click.echo("\n".join([*table_lines(counts), "", *sentences, ""]))
        if output is None:
            click.echo("\n".join(answer_lines(heads, rows)))
        else:
            about = {"asked": asked, "events": account.events, "rejects": rejects, "errors": account.errors}
            write_answer(output, heads, rows, about)
    for sentence in account.errors:
        click.echo(f"Error: {sentence}", err=True)
    sys.exit(1 if account.errors else 0)
