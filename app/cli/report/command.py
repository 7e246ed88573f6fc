"""`python -m app report …`: answers from logs, counted by the product's own parser."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.exit_codes import end_with
from app.cli.groups import Listed
from app.cli.numbers import Number
from app.cli.report.options import (  # fmt: skip
    ROWS,
    judging_options,
    late_progress,
    log_options,
    own_option,
    report_command,
)
from app.errors import WrongOutput
from app.reports.registry import BY, LATENCY_BY, QUESTIONS, TRANSFER_BY
from app.settings import settings
from app.words import counted_text

if TYPE_CHECKING:
    from app.output.reports.report import Report

__all__ = ["command"]

_PLAYED_KBIT = 2500.0


def _by(choices: Iterable[str], default: str, text: str) -> Any:
    return click.option("--by", type=click.Choice(list(choices)), default=default, show_default=True, help=text)


_OF = click.option(
    "--of", "path", metavar="PATH", help="The file that was delivered, as /film.mp4.  [default: all files]"
)
_OWN_OPTIONS = {
    "requests": (_by(BY, "day", "What requests are counted by."),),
    "transfer": (_by(TRANSFER_BY, "extension", "What bytes are counted by."),),
    "latency": (_by(LATENCY_BY, "path", "What requests are put together by."),),
    "countries": (
        click.option("--early-stopping", type=ROWS, metavar="N", help="Look at the N hosts with most requests only."),
        click.option("--dns/--no-dns", "resolve", default=True, show_default=True, help="Look up names of hosts in DNS, up to 1,000, 32 at a time."),
    ),
    "crawlers": (click.option("--ai", "only_ai", is_flag=True, help="AI crawlers only."),),
    "referers": (own_option,),
    "hotlinks": (own_option,),
    "curve": (_OF,),
    "heat": (
        _OF,
        click.option("--parts", type=click.IntRange(1, 1000), default=100, show_default=True, help="Cut the file into this many parts."),
    ),
    "waste": (click.option("--price-per-gb", type=Number(min=0), metavar="N", help="What 1,000,000,000 bytes cost."),),
    "titles": (click.option("--of", "title", metavar="TITLE", help="The clients of this title, as /film/.  [default: all titles]"),),
    "qoe": (
        click.option(
            "--bit-rate", "bit_rate_kbit", type=Number(min=0, min_open=True), default=_PLAYED_KBIT, show_default=True, metavar="KBIT",
            help="Kilobits a second of what is played, where CMCD does not tell how long a segment is.",
        ),
    ),
}  # fmt: skip
"""Of each question, beside those of all reports. An option bears the name that the function of app.reports gives its parameter."""


class _Questions(Listed):
    """Makes the command of a question when it is asked for: all of them take longer than a small report."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted((*self.commands, *QUESTIONS, "downloads"))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name == "downloads":
            return import_module("app.cli.report.downloads").command
        return _asking(name) if name in QUESTIONS else super().get_command(ctx, name)


@click.group("report", cls=_Questions)
def command() -> None:
    """Answer questions from log files: requests, hosts, bytes, countries, crawlers.

    A FILE is a log, - for standard input, or a file of hits that `report index` wrote, which is read faster. Every report
    begins with what was read and ends with what its numbers mean. Exit code 1 if an input could not be read to its end, 4 if the store is missing.
    """


@command.command("index")
@log_options
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The file to write: .parquet.")
def index(inputs: Any, output: Path, quiet: bool) -> None:
    """Write the hits of logs to one Parquet file, for repeated questions and for DuckDB."""
    from app.downloads.prepared import PreparedDownloads
    from app.reports.logs import write_index
    from app.reports.open_hits import Judging
    from app.reports.playback import PreparedQoe

    if output.suffix.lower() != ".parquet":
        raise WrongOutput(f"{output}: name a file that ends with .parquet")
    with late_progress(quiet) as on_progress:
        facts = write_index(
            inputs._replace(on_progress=on_progress),
            output,
            settings().fields,
            Judging(settings().rules),
            {"downloads": PreparedDownloads(), "qoe": PreparedQoe(_PLAYED_KBIT)},
        )
    if not quiet:
        click.echo(
            f"{counted_text(facts.hits, 'hit')} of {counted_text(facts.lines, 'line')} in {output}; {facts.rejects.total():,} rejects are only counted"
        )
    end_with(facts.errors)


def _asking(name: str) -> click.Command:
    question = QUESTIONS[name]

    def answer(asked: Any, **own: Any) -> Report:
        return question.answer(name, asked, **own)

    answer.__doc__ = question.title
    for option in reversed(_OWN_OPTIONS.get(name, ())):
        answer = option(answer)
    return click.command(name)(report_command(judging_options(answer) if question.of_deliveries else answer))
