"""`python -m app articles FILE…`: the articles that most users, or events, met by one action on one day."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from app.cli.clickstream.asking import answered, clickstream_options, day_option, read
from app.cli.report.options import ROWS
from app.output.reports.report import Column, Report
from app.words import visible

__all__ = ["command"]


@click.command("articles")
@clickstream_options
@click.option("--action", required=True, metavar="NAME", help="Count this action, such as LIKE_ARTICLE.")
@day_option("--on", "Count events of this day, such as 2017-04-01, as times are written.")
@click.option("--top", type=ROWS, default=10, show_default=True, help="List this many articles.")
@click.option(
    "--by",
    type=click.Choice(["users", "events"]),
    default="users",
    show_default=True,
    help="What makes an article stand first: distinct users, or events.",
)
@click.option(
    "--titles",
    metavar="FILE",
    help="Take titles from this file of id and title: CSV with or without a head line, or Parquet.",
)
def command(
    files: tuple[str, ...],
    action: str,
    day: date,
    top: int,
    by: str,
    titles: str | None,
    output: Path | None,
    bare: bool,
    debug: bool,
    quiet: bool,
) -> None:
    """List the articles that were met most by one action on one day, in clickstream FILEs (- is standard input).

    A row is userId, time, action, objectId: CSV with or without a head line, plain or compressed, or Parquet. Ties are listed by
    article. A row that is there twice is one user and two events. A row with too few columns, without a user or with a bad time is
    rejected. Exit code 1 if a file could not be read to its end: what was good in it still counts.
    """
    from app.clickstream.questions import ArticleCounts
    from app.clickstream.titles import titles_of

    with read(files, output, debug, quiet) as (account, events), ArticleCounts(action, day) as counts:
        for some in events:
            counts.take(some)
        found, articles = counts.top(top, by), counts.articles
        named = titles_of(titles, {each.article for each in found}) if titles and found else {}
    rows = [(each.article, named.get(each.article, ""), each.users, each.events) for each in found]
    definitions = [
        "users: distinct users with such an event. events: all of them, repeated rows included.",
        f"The list is ordered by {by}, then by article.",
    ]
    if counts.without_object:
        definitions.append(f"{counts.without_object:,} more such events name no article.")
    columns = (Column("article", "text"), Column("title", "text"), Column("users"), Column("events"))
    title = f"Articles by {visible(action)} on {day}: {len(found):,} of {articles:,}"
    answered(account, counts.actions, Report("articles", title, [], definitions, columns, rows, drawn=by), output, bare)
