"""`python -m app simulate clickstream`: events of made-up users, the titles of their articles, and the truth."""

from __future__ import annotations

import contextlib
import csv
import json
from datetime import date
from pathlib import Path

import click

from app.cli.numbers import Number
from app.cli.report.options import Day
from app.output.replacing import STDOUT, explained
from simulator.clickstream import HEAD, ClickstreamPlan, SimulatedClickstream
from simulator.commands.votes import written

__all__ = ["clickstream"]

_PATH = click.Path(path_type=Path, dir_okay=False)


@click.command("clickstream")
@click.option("--users", "-n", type=click.IntRange(min=0), default=1000, show_default=True, help="Number of users.")
@click.option("--seed", "-s", type=int, default=1, show_default=True, help="The same seed makes the same rows.")
@click.option(
    "--from",
    "begin",
    type=Day(),
    default="2017-04-01",
    show_default=True,
    metavar="DATE",
    help="First day.",
)
@click.option(
    "--days", type=click.IntRange(min=1), default=14, show_default=True, help="Users install in this many days."
)
@click.option("--articles", type=click.IntRange(min=2), default=100, show_default=True, help="Number of articles.")
@click.option(
    "--repeats", type=Number(0, 1), default=0.05, show_default=True, help="Share of rows that is there twice."
)
@click.option("--bad", type=Number(0, 1), default=0.01, show_default=True, help="Bad rows, as a share of the others.")
@click.option("--titles", type=_PATH, help="Write id and title of the articles here. The last article has none.")
@click.option("--truth", type=_PATH, help="Write what must come out here, of each day, as JSON.")
@click.option("-o", "--output", type=_PATH, help="Write the rows here instead of to standard output.")
@click.option("--quiet", "-q", is_flag=True, help="No summary.")
def clickstream(
    users: int,
    seed: int,
    begin: date,
    days: int,
    articles: int,
    repeats: float,
    bad: float,
    titles: Path | None,
    truth: Path | None,
    output: Path | None,
    quiet: bool,
) -> None:
    """Users install, come back and like articles: rows for `articles` and `retention`, some repeated, some bad, some out of order."""
    simulated = SimulatedClickstream(ClickstreamPlan(users, seed, begin, days, articles, repeats, bad))
    with contextlib.ExitStack() as stack, explained(output or STDOUT):
        file = stack.enter_context(written(output)) if output else click.get_text_stream("stdout", "utf-8")
        file.write(f"{HEAD}\n")
        file.writelines(f"{row}\n" for row in simulated.rows())
        file.flush()
    if titles:
        with written(titles) as file:
            csv.writer(file, lineterminator="\n").writerows([("id", "title"), *simulated.titles()])
    if truth:
        with written(truth) as file:
            json.dump(simulated.truth(), file, indent=1)
    if output and not quiet:
        rejects = simulated.rejects.total()
        click.echo(f"{simulated.events + rejects:,} rows in {output}, {rejects:,} of them bad", err=True)
