"""`python -m app report …`: answers from logs, counted by the product's own parser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.groups import Listed
from app.cli.reading import failing_in_words
from app.cli.report.downloads import command as downloads
from app.cli.report.options import judging_options, late_progress, log_options, own_option, report_command, said_errors
from app.errors import OutputError
from app.settings import settings

if TYPE_CHECKING:
    from app.output.reports.report import Report
    from app.reports.delivery_questions import Deliveries
    from app.reports.questions import Asked

__all__ = ["command"]

_BY = ("hour", "day", "status", "method", "extension")
_LATENCY_BY = ("path", "status", "hour")


@click.group("report", cls=Listed, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Answer questions from log files: requests, hosts, bytes, countries, crawlers.

    A FILE is a log, - for standard input, or a file of hits that `report index` wrote, which is read faster. Every report
    begins with what was read and ends with what its numbers mean.
    """


@command.command("index")
@log_options
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The file to write: .parquet.")
def index(inputs: Any, output: Path, quiet: bool) -> None:
    """Write the hits of logs to one Parquet file, for repeated questions and for DuckDB."""
    from app.reports.reading import write_index

    with failing_in_words():
        if output.suffix.lower() != ".parquet":
            raise OutputError(f"{output}: name a file that ends with .parquet")
    with failing_in_words(output_code=1):
        with late_progress(quiet) as on_progress:
            facts = write_index(inputs._replace(on_progress=on_progress), output, settings().fields)
        if not quiet:
            click.echo(
                f"{facts.hits:,} hits of {facts.lines:,} lines in {output}; {facts.rejects.total():,} rejects are only counted"
            )
    said_errors(facts.errors)


@command.command("requests")
@report_command
@click.option("--by", type=click.Choice(_BY), default="day", show_default=True, help="What requests are counted by.")
def requests(asked: Asked, by: str) -> Report:
    """Requests by hour, day, status, method or extension."""
    from app.reports import questions

    return questions.requests(asked, by)


@command.command("hosts")
@report_command
def hosts(asked: Asked) -> Report:
    """The hosts with most requests, and how many hosts there are."""
    from app.reports import questions

    return questions.hosts(asked)


@command.command("transfer")
@report_command
@click.option(
    "--by", type=click.Choice((*_BY, "path")), default="extension", show_default=True, help="What bytes are counted by."
)
def transfer(asked: Asked, by: str) -> Report:
    """Bytes sent, by extension, path, day, hour, status or method."""
    from app.reports import questions

    return questions.transfer(asked, by)


@command.command("countries")
@report_command
@click.option(
    "--early-stopping", type=click.IntRange(min=1), metavar="N", help="Look at the N hosts with most requests only."
)
@click.option(
    "--dns/--no-dns", default=True, show_default=True, help="Look up names of hosts in DNS, up to 1,000, 32 at a time."
)
def countries(asked: Asked, early_stopping: int | None, dns: bool) -> Report:
    """The countries of clients, and how many requests they cover."""
    from app.reports import questions

    return questions.countries(asked, early_stopping, dns)


@command.command("clients")
@report_command
def clients(asked: Asked) -> Report:
    """The user agents with most requests, and which are crawlers."""
    from app.reports import questions

    return questions.clients(asked)


@command.command("crawlers")
@report_command
@click.option("--ai", is_flag=True, help="AI crawlers only.")
def crawlers(asked: Asked, ai: bool) -> Report:
    """The crawlers with most requests; AI crawlers are told apart."""
    from app.reports import questions

    return questions.crawlers(asked, ai)


@command.command("not-found")
@report_command
def not_found(asked: Asked) -> Report:
    """The paths that were asked for and are not there."""
    from app.reports import questions

    return questions.not_found(asked)


@command.command("referers")
@report_command
@own_option
def referers(asked: Asked, own: tuple[str, ...]) -> Report:
    """The hosts whose pages led to the files."""
    from app.reports import field_questions

    return field_questions.referers(asked, own)


@command.command("hotlinks")
@report_command
@own_option
def hotlinks(asked: Asked, own: tuple[str, ...]) -> Report:
    """Images, sound and films that pages of other hosts load."""
    from app.reports import field_questions

    return field_questions.hotlinks(asked, own)


@command.command("latency")
@report_command
@click.option(
    "--by", type=click.Choice(_LATENCY_BY), default="path", show_default=True, help="What requests are put together by."
)
def latency(asked: Asked, by: str) -> Report:
    """How long responses took: p50, p95 and p99. If no line tells it, the exit code is 5."""
    from app.reports import field_questions

    return field_questions.latency(asked, by)


@command.command("visitors")
@report_command
def visitors(asked: Asked) -> Report:
    """Visitors by day: addresses together with user agents."""
    from app.reports import questions

    return questions.visitors(asked)


@command.command("files")
@report_command
@judging_options
def files(question: Deliveries) -> Report:
    """The files with most deliveries: whole, partial, unknown, bytes sent and wasted."""
    from app.reports import delivery_questions

    return delivery_questions.files(question)


@command.command("why")
@report_command
@judging_options
def why(question: Deliveries) -> Report:
    """Why deliveries are not known to be whole: the reasons of all verdicts."""
    from app.reports import delivery_questions

    return delivery_questions.why(question)


@command.command("classes")
@report_command
@judging_options
def classes(question: Deliveries) -> Report:
    """How clients fetched files: at once, resumed, in parallel segments, by a player with seeks, as a probe."""
    from app.reports import delivery_questions

    return delivery_questions.classes(question)


_OF = click.option(
    "--of", "path", metavar="PATH", help="The file that was delivered, as /film.mp4.  [default: all files]"
)


@command.command("curve")
@report_command
@judging_options
@_OF
def curve(question: Deliveries, path: str | None) -> Report:
    """How many deliveries reached 10 … 100 % of a file."""
    from app.reports import delivery_questions

    return delivery_questions.curve(question, path)


@command.command("heat")
@report_command
@judging_options
@_OF
@click.option(
    "--parts", type=click.IntRange(1, 1000), default=100, show_default=True, help="Cut the file into this many parts."
)
def heat(question: Deliveries, path: str | None, parts: int) -> Report:
    """How many deliveries fetched each part of a file, by week."""
    from app.reports import delivery_questions

    return delivery_questions.heat(question, path, parts)


@command.command("waste")
@report_command
@judging_options
@click.option("--price-per-gb", type=click.FloatRange(min=0), metavar="N", help="What 1,000,000,000 bytes cost.")
def waste(question: Deliveries, price_per_gb: float | None) -> Report:
    """Bytes of what was never whole, sent more than once, or sent to crawlers."""
    from app.reports import delivery_questions

    return delivery_questions.waste(question, price_per_gb)


@command.command("titles")
@report_command
@click.option("--of", "title", metavar="TITLE", help="The clients of this title, as /film/.  [default: all titles]")
def titles(asked: Asked, title: str | None) -> Report:
    """HLS and DASH titles: which segments their clients lack."""
    from app.reports import playback

    return playback.titles(asked, title)


@command.command("qoe")
@report_command
@click.option(
    "--bit-rate", type=click.FloatRange(min=0, min_open=True), default=2500.0, show_default=True, metavar="KBIT",
    help="Kilobits a second of what is played, where CMCD does not tell how long a segment is.",
)  # fmt: skip
def qoe(asked: Asked, bit_rate: float) -> Report:
    """How playback of HLS and DASH went: throughput and stalls, estimated; measured where CMCD is logged."""
    from app.reports import playback

    return playback.qoe(asked, bit_rate)


command.add_command(downloads)
