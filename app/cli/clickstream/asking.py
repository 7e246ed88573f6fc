"""What the questions to a clickstream have in common: their options, reading with progress, and what is told of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from app.cli.exit_codes import end_with
from app.cli.reading import spare_inputs
from app.cli.report.options import Day, late_progress, output_options
from app.errors import InputError
from app.output.reports.report import Report
from app.output.reports.writing import write_report
from app.settings import settings
from app.words import visible

if TYPE_CHECKING:
    from app.clickstream.events import Account, Events
    from app.clickstream.questions import Actions

__all__ = ["answered", "clickstream_options", "day_option", "read"]

Command = TypeVar("Command", bound=Callable[..., Any])
_ACTIONS_NAMED = 10


def clickstream_options(command: Command) -> Command:
    """Adds the files, and where the answer goes."""
    command = click.option("--quiet", "-q", is_flag=True, help="No progress bar.")(command)
    command = click.option("--debug", is_flag=True, help="Print every rejected row with its place and reason.")(command)
    return click.argument("files", nargs=-1, required=True, metavar="FILE…")(output_options(command))


def day_option(name: str, text: str) -> Callable[[Command], Command]:
    """A required date."""
    return click.option(name, "day", type=Day(), required=True, metavar="DATE", help=text)


@contextmanager
def read(
    files: Sequence[str], output: Path | None, debug: bool, quiet: bool
) -> Iterator[tuple[Account, Iterator[Events]]]:
    """The events of the files, and the account of their rows. None of them may be the output."""
    from app.clickstream.events import Account, events_of

    spare_inputs(files, (output,))
    account = Account()
    if debug:
        account.on_reject = lambda place, bad: click.echo(
            visible(f"{place}: {bad.reason}: {bad.detail}: {bad.line[:200]}"), err=True
        )
    with late_progress(quiet) as account.on_progress:
        yield account, events_of(files, account)
        if account.errors and not account.events and not account.rejects:
            raise InputError(
                "\nError: ".join(account.errors)
            )  # nothing was read: no answer is better than an empty one


def answered(account: Account, actions: Actions, report: Report, output: Path | None, bare: bool) -> None:
    """Writes the report with what was read at its head; names the actions that there are if the one that was asked for is none.

    Ends the process with 1 if an input failed.
    """
    total = account.rejects.total()
    head: list[tuple[str, str | int]] = [("rows", account.events + total), ("  events", account.events)]
    head += [("  rejects", total), *((f"    {reason}", count) for reason, count in sorted(account.rejects.items()))]
    write_report(report._replace(head=[*head, *report.head]), output, bare=bare, formulas=settings().output_formulas)
    if account.events and not actions.is_met:
        names = ", ".join(name or "(none)" for name in actions.most(_ACTIONS_NAMED))
        click.echo(visible(f"No event has the action {actions.asked}; the most frequent actions: {names}"), err=True)
    end_with(account.errors)
