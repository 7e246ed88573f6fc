"""`python -m app simulate usage`: records of calls of made-up services, with faults, and the truth."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.numbers import Number
from app.domain.times import parse_time
from app.domain.usage.records import USAGE, UsageRecord, sealed
from app.errors import SettingsError
from app.output.replacing import STDOUT, explained
from simulator.commands.votes import written

if TYPE_CHECKING:
    from simulator.usage import SimulatedUsage

__all__ = ["records_of", "usage"]

_PATH = click.Path(path_type=Path, dir_okay=False)
_AT_ONCE = 500
"""Records a message, and records sent at a time."""
_HOUR_S = 3600


@click.command("usage")
@click.option("--hours", type=click.IntRange(1, 26 * 168), default=24, show_default=True, help="Number of hours.")
@click.option("--per-hour", type=Number(min=0), default=600.0, show_default=True, help="Calls an hour, on average.")
@click.option("--users", type=click.IntRange(min=1), default=50, show_default=True, help="Number of users.")
@click.option("--producers", type=click.IntRange(min=1), default=2, show_default=True, help="Processes of the service.")
@click.option("--noise", type=Number(0, 1), default=0.1, show_default=True, help="Deviation of an hour, a share.")
@click.option(
    "--seed", "-s", type=click.IntRange(min=0), default=1, show_default=True, help="The same seed, the same calls."
)
@click.option(
    "--from",
    "begin",
    default="2026-03-02T00:00:00Z",
    show_default=True,
    metavar="TIME",
    help="First hour: ISO 8601 with a zone, seconds since 1970, or a span ago as -1d.",
)
@click.option("--quiet-week", is_flag=True, help="No faults.")
@click.option("--send", is_flag=True, help="Send the records to the topic usage of WEBLOGS_BROKER instead.")
@click.option("--counts", type=_PATH, help="Write calls by hour here as CSV, without making records or faults.")
@click.option("--truth", type=_PATH, help="Write faults with begin and end, and sums, here as JSON.")
@click.option("-o", "--output", type=_PATH, help="Write the records here instead of to standard output.")
@click.option("--quiet", "-q", is_flag=True, help="No summary.")
def usage(
    hours: int,
    per_hour: float,
    users: int,
    producers: int,
    noise: float,
    seed: int,
    begin: str,
    quiet_week: bool,
    send: bool,
    counts: Path | None,
    truth: Path | None,
    output: Path | None,
    quiet: bool,
) -> None:
    """Services are called over the hours and days of the week, by the record; a spike, an outage, errors, slow answers and lost records among it.

    A line is a message of the topic usage, `[form, [record, …]]`; `usage alerts --records` reads it. Months of many calls are too many records:
    --counts writes what their hours add up to.
    """
    import time

    from simulator.usage import SimulatedUsage, UsagePlan

    try:
        first = parse_time(begin, time.time()) // _HOUR_S * _HOUR_S
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--from") from None
    plan = UsagePlan(first, hours, per_hour, seed, noise, users, producers, not quiet_week)
    if counts is not None:
        _write_counts(plan, counts)
        return
    simulated = SimulatedUsage(plan)
    records = records_of(simulated)
    place = _send(records) if send else _write(records, output)
    found = simulated.truth()
    if truth:
        with written(truth) as file:
            json.dump(found, file, indent=1)
    if not quiet and (send or output):
        click.echo(f"{sum(simulated.arrived.values()):,} records of {found['calls']:,} calls {place}", err=True)


def records_of(simulated: SimulatedUsage) -> Iterator[UsageRecord]:
    """With their checksums."""
    return (sealed(UsageRecord(**fields)) for fields in simulated.records())


def _write_counts(plan: Any, path: Path) -> None:
    from app.domain.times import iso
    from simulator.usage import hourly

    with written(path) as file:
        file.write("hour,calls\n")
        file.writelines(f"{iso(plan.begin + at * _HOUR_S)},{count}\n" for at, count in enumerate(hourly(plan).tolist()))


def _messages(records: Iterator[UsageRecord]) -> Iterator[list[tuple[bytes, bytes]]]:
    from app.usage.sending import packed_record

    while group := list(map(packed_record, islice(records, _AT_ONCE))):
        yield group


def _write(records: Iterator[UsageRecord], output: Path | None) -> str:
    from app.usage.brokers import messages

    with contextlib.ExitStack() as stack, explained(output or STDOUT):
        file = stack.enter_context(written(output)) if output else click.get_text_stream("stdout", "utf-8")
        for group in _messages(records):
            file.writelines(f"{value.decode()}\n" for _, value in messages(group, 1, USAGE.form))
        file.flush()
    return f"in {output}"


def _send(records: Iterator[UsageRecord]) -> str:
    from app.flows.usage import USAGE_TOPIC
    from app.settings import settings
    from app.usage.brokers import open_broker
    from app.usage.options import UsageOptions

    own = settings()
    topic = f"{own.topic_prefix}{USAGE_TOPIC}"
    broker = open_broker(UsageOptions(service="simulated", spool=own.data_dir, broker=own.broker, topic=topic))
    if broker is None:
        raise SettingsError(f"WEBLOGS_BROKER={own.broker!r}: write sqlite:///FILE or kafka://HOST:PORT")
    with contextlib.closing(broker):
        for group in _messages(records):
            broker.send(group)
    return f"sent to {topic}"
