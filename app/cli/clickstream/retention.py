"""`python -m app retention FILE…`: how many users with a first action on one day came back within some days."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from app.cli.clickstream.asking import answered, clickstream_options, day_option, read
from app.cli.reduce.command import failing_in_words
from app.output.answers import check_answer_ending
from app.words import visible

__all__ = ["command"]

_MOST_DAYS = 62
"""As app.clickstream.questions.MOST_DAYS, which is not imported for --help; a test compares them."""


@click.command("retention", context_settings={"help_option_names": ["-h", "--help"]})
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
    debug: bool,
    quiet: bool,
) -> None:
    """Say how many users with a first action on one day came back within some days, in clickstream FILEs (- is standard input).

    A user is back on day N with any event on the Nth day after the first one. A row is userId, time, action, objectId: CSV with or
    without a head line, plain or compressed, or Parquet. A row with too few columns, without a user or with a bad time is
    rejected. Exit code 1 if a file could not be read to its end: what was good in it still counts.
    """
    with failing_in_words():
        if output:
            check_answer_ending(output)
    from app.clickstream.questions import Retention

    with read(files, debug, quiet) as (account, events), Retention(first_action, day, days) as retention:
        for some in events:
            retention.take(some)
        found = retention.result()
    whole = f"1-{days}"
    rows: list[tuple[object, ...]] = [
        (whole, f"{retention.day(1)} to {retention.day(days)}", found.back, _percent(found.back, found.cohort))
    ]
    rows += [
        (str(number), str(retention.day(number)), users, _percent(users, found.cohort))
        for number, users in enumerate(found.by_day, 1)
    ]
    sentences = [
        f"Cohort: {found.cohort:,} users with {visible(first_action)} on {day}.",
        "back: users of the cohort with any event on these days; percent: of the cohort.",
    ]
    asked = {"first_action": first_action, "on": str(day), "days": days, "cohort": found.cohort}
    answered(account, ("days", "dates", "back", "percent"), rows, asked, sentences, output, quiet)


def _percent(users: int, cohort: int) -> float | None:
    return round(100 * users / cohort, 2) if cohort else None
