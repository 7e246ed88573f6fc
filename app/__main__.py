"""The command line: `python -m app COMMAND`. Each command stands in a file of its own below app/cli."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from app.errors import SettingsError, WeblogsError

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "init": "Create the topics, indices and tables that are lacking.",
    "run": "Start a worker, replay a log into it, print what was found, serve until Ctrl-C.",
    "replay": "Send files to the running worker.",
    "reduce": "The same deliveries straight from files, without a worker.",
    "parse": "Print what each line of a log is: the way to try a format.",
    "formats": "List the log formats with an example each.",
    "simulate": "Make up a log, votes or payments, and the true answers.",
    "playbacks": "Reduce one log in four orders and compare.",
    "candidates": "Add candidates for votes, or list them.",
    "topics": "Look at the topics on Kafka, or delete them.",
    "stores": "Make a store's tables or indices, delete them, or delete what is past its retention.",
    "check": "Compare topics and stores; say what differs.",
    "repair": "Make a store level again.",
    "settings": "Print every setting with default, unit and meaning.",
}
"""Name -> what the list of commands says of it. The module is imported when the command is asked for."""


class Lazy(click.Group):
    """A group that imports a command's module only when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return import_module(f"app.cli.{name}").command if name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Was this file delivered whole? Answers it from access logs.

    The worker itself is started by `faust -A app worker`, one delivery is asked for by `python -m app.client`.
    """


if __name__ == "__main__":
    try:
        main(prog_name="python -m app")
    except SettingsError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except WeblogsError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
