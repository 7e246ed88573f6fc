"""`python -m app retention FILE…`: how many users with a first action on one day came back within some days."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from app.cli.clickstream.asking import answered, clickstream_options, day_option, read
from app.output.reports.report import Column, Report
from app.words import visible

__all__ = ["command"]

_MOST_DAYS = 62
"""As app.clickstream.questions.MOST_DAYS, which is not imported for --help; a test compares them."""


@click.command("retention")
@clickstream_options
@click.option(
    "--first-action",
    required=True,
    metavar="NAME",
    help="Whoever did this on the day is in the cohort, such as FIRST_INSTALL.",
)
@day_option("--on", "The day of the cohort, such as 2017-04-01, as times are written.")
@click.option(
    "--days", type=click.IntRange(1, _MOST_DAYS), default=7, show_default=True, help="Look at this many following days."
)
def command(
    files: tuple[str, ...],
    first_action: str,
    day: date,
    days: int,
    output: Path | None,
    bare: bool,
    debug: bool,
    quiet: bool,
) -> None:
    """Say how many users with a first action on one day came back within some days, in clickstream FILEs (- is standard input).

    A user is back on day N with any event on the Nth day after the first one. A row is userId, time, action, objectId: CSV with or
    without a head line, plain or compressed, or Parquet. A row with too few columns, without a user or with a bad time is
    rejected. Exit code 1 if a file could not be read to its end: what was good in it still counts.
    """
    from app.clickstream.questions import RetentionQuestion

    if (date.max - day).days < days:
        raise click.UsageError(f"{days} days after {day} there is no date any more; name fewer --days")
    with (
        read(files, output, debug, quiet) as (account, events),
        RetentionQuestion(first_action, day, days) as retention,
    ):
        for some in events:
            retention.take(some)
        found = retention.result()
    rows: list[tuple[object, ...]] = [
        (f"1-{days}", f"{retention.day(1)} to {retention.day(days)}", found.back, _share(found.back, found.cohort)),
        *(
            (str(number), str(retention.day(number)), users, _share(users, found.cohort))
            for number, users in enumerate(found.by_day, 1)
        ),
    ]
    definitions = [
        "cohort: distinct users with the first action on the day.",
        "back: users of the cohort with any event on these days. share: of the cohort.",
    ]
    columns = (Column("days", "text"), Column("dates", "text"), Column("back"), Column("share", "share"))
    title = f"Users with {visible(first_action)} on {day} who came back"
    head: list[tuple[str, str | int]] = [("cohort", found.cohort)]
    answered(
        account,
        retention.actions,
        Report("retention", title, head, definitions, columns, rows, drawn="back"),
        output,
        bare,
    )


def _share(users: int, cohort: int) -> float | None:
    return users / cohort if cohort else None
