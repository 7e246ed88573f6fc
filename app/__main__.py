"""The command line: `python -m app COMMAND`. Each command is a module or a package below app/cli or simulator/commands."""

from __future__ import annotations

from importlib import import_module

import click

from app.cli.exit_codes import reader_left, say
from app.cli.groups import Suggesting
from app.errors import WeblogsError
from app.process.exit import EXIT_INTERRUPTED, EXIT_READER_LEFT
from app.process.memory import no_collection

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "init": ("app.cli.init", "Create missing topics, indices and tables."),
    "run": ("app.cli.run.command", "Start a worker, replay a log into it, print what was found, serve until Ctrl-C."),
    "replay": ("app.cli.replay", "Send files to the running worker."),
    "reduce": ("app.cli.reduce.command", "Compute the same deliveries straight from files, without a worker."),
    "report": (
        "app.cli.report.command",
        "Answer questions from logs: requests, hosts, bytes, countries, crawlers, podcast downloads.",
    ),
    "sizes": ("app.cli.sizes", "Find the sizes of files in logs, in a folder or in a bucket's listing."),
    "parse": ("app.cli.parse", "Show how each line of a log is parsed. Use it to test a format."),
    "articles": (
        "app.cli.clickstream.articles",
        "List the articles that most users of a clickstream met by one action.",
    ),
    "retention": ("app.cli.clickstream.retention", "Say how many users of a clickstream came back within some days."),
    "formats": ("app.cli.formats", "List the log formats with an example of each."),
    "simulate": (
        "simulator.commands.simulate",
        "Make up a log, votes, payments, a clickstream or calls of services, and the true answers.",
    ),
    "playbacks": ("simulator.commands.playbacks", "Reduce one log in four orders and compare."),
    "candidates": ("app.cli.candidates", "Add candidates for votes, or list them."),
    "topics": ("app.cli.topics", "Show the topics on Kafka, delete them, or acknowledge messages that were lost."),
    "stores": (
        "app.cli.stores",
        "Create a store's tables or indices, delete them, or delete what is past its retention.",
    ),
    "check": ("app.cli.checking.check", "Compare topics and stores, and name the differences."),
    "repair": ("app.cli.checking.repair", "Repair a store."),
    "usage": ("app.cli.usage", "Archive the usage log, check that no record is missing, repair the archive, alert."),
    "alerts": ("app.cli.alerts", "Say which files are delivered whole less often than before."),
    "settings": ("app.cli.settings", "Print every setting with default, unit and meaning."),
}
"""Name -> its module, imported when the command is asked for, and its line in the list of commands."""


class Lazy(Suggesting):
    """A group that imports a command's module only when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        with no_collection():  # of what is imported nothing is garbage
            return import_module(COMMANDS[name][0]).command if name in COMMANDS else None

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nStopped by Ctrl-C before the end.", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        except (WeblogsError, OSError) as error:
            ctx.exit(EXIT_READER_LEFT if isinstance(error, BrokenPipeError) and reader_left() else say(error))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Was this file delivered whole? Answers it from access logs.

    `make run` shows it on a sample. Start the worker alone with `faust -A app worker`. Ask about one delivery with `python -m app.client`.
    """


if __name__ == "__main__":
    main(prog_name="python -m app")
