"""`python -m app usage`: archive the usage log, check it, repair it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.alerts import usage_alerts
from app.cli.groups import Listed
from app.cli.numbers import Number
from app.cli.usage_archive import archive_of, archive_option
from app.cli.usage_run import usage_run
from app.flows.usage import USAGE_TOPIC
from app.settings import Settings, settings
from app.words import counted_text

if TYPE_CHECKING:
    from app.archiving.check import Places, UsageReport
    from app.domain.usage.sequences import ProducerState

__all__ = ["command"]

_LENGTHS_S = {"hour": 3600, "day": 86400}


@click.group("usage", cls=Listed)
def command() -> None:
    """The usage log: who called which API. Archive it, check that nothing is missing, repair the archive, alert."""


command.add_command(usage_alerts)
command.add_command(usage_run)


def _moment(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    import time

    from app.domain.times import parse_time

    if value is None:
        return None
    try:
        return parse_time(value, time.time())
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error


_TIME = "2026-07-31T16:00:00Z, seconds since 1970, or a span ago (-2h30m)."


class _SpoolPlace(click.Path):
    """A folder, or an address."""

    name = "folder|url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from app.archiving.spools import is_address

        return value if is_address(value) else super().convert(value, param, ctx)


_spool_option = click.option(
    "--spool",
    "spools",
    multiple=True,
    type=_SpoolPlace(file_okay=False, exists=True),
    help="Spool folder of a service, or http://HOST:PORT/usage/spool of its process; may be given again.",
)


@command.command("archive")
@archive_option()
@click.option(
    "--file-bytes",
    default=100_000_000,
    show_default=True,
    type=click.IntRange(min=1),
    help="A file is closed at this size; a Parquet file once its messages have this size, before they are packed.",
)
@click.option(
    "--interval",
    "interval_s",
    default=3600.0,
    show_default=True,
    type=Number(min=0),
    help="Seconds after which a file is closed although it is not full.",
)
@click.option("--once", is_flag=True, help="Archive all that is there, then end.")
def archive(archive: str | None, file_bytes: int, interval_s: float, once: bool) -> None:
    """Write the records of the topic usage into files, CSV or Parquet by WEBLOGS_USAGE_ARCHIVE_FORMAT, until SIGINT or SIGTERM. Several may run at a time.

    A file holds the messages that its manifest names, whoever writes it and however often. Exit code 2 for a bad setting, 4 if the broker or
    the S3 server is missing or refuses, 5 if a manifest cannot be read.
    """
    import time

    from app.archiving.worker import Archiver, ArchiveRules
    from app.errors import SettingsError
    from app.process.exit import end_when_asked

    end_when_asked()
    own = settings()
    with _ended_by_ctrl_c(once), _view_when_there(own, once) as view:
        if view is None or not view.bounds(USAGE_TOPIC):
            if own.on_kafka:
                raise SettingsError(
                    f"{own.broker} has no topic {own.topic_prefix}{USAGE_TOPIC}: run `python -m app init` first"
                )
            click.echo("there is no topic usage yet")
            return
        rules = ArchiveRules(own.usage_archive_format, file_bytes, 0.0 if once else interval_s)
        archiver = Archiver(view, USAGE_TOPIC, archive_of(own, archive), rules)
        while True:
            ends = archiver.run_once()
            _let_trim(own, ends)
            if once:
                click.echo(
                    "\n".join(f"partition {each}: archived up to {end - 1}" for each, end in ends.items() if end)
                )
                return
            time.sleep(min(10.0, max(1.0, interval_s / 10)))


@contextmanager
def _ended_by_ctrl_c(once: bool) -> Iterator[None]:
    """Ctrl-C is the way to end a command that runs until then; it breaks off one that was to run `once`."""
    try:
        yield
    except KeyboardInterrupt:
        if once:
            raise
        click.echo("\nStopped; the next start goes on from there.", err=True)


@contextmanager
def _view_when_there(own: Settings, once: bool) -> Iterator[Any]:
    """On the embedded log the first service makes the topic: unless it is asked `once`, this waits for it."""
    import time

    from app.transports.broker_view import opened_view

    told = once or own.on_kafka
    while True:
        with opened_view(own) as view:
            if once or own.on_kafka or (view is not None and view.bounds(USAGE_TOPIC)):
                yield view
                return
        if not told:
            click.echo("there is no topic usage yet; waiting for it", err=True)
            told = True
        time.sleep(1.0)


def _known(context: click.Context, parameter: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    from app.stores import STORES

    for name in names:
        if name not in STORES:
            raise click.BadParameter(f"there is no store {name!r}; there are {', '.join(STORES)}", context, parameter)
    return names


_store_option = click.option(
    "--store",
    "stores",
    multiple=True,
    metavar="NAME",
    callback=_known,
    help="Store of monitored calls; may be given again.  [default: WEBLOGS_STORES]",
)


@command.command("check")
@archive_option()
@_spool_option
@_store_option
@click.option("--from", "begin", metavar="TIME", callback=_moment, help=f"Records made at this time or later: {_TIME}")
@click.option("--to", "end", metavar="TIME", callback=_moment, help=f"Records made before it: {_TIME}")
@click.option(
    "--by",
    type=click.Choice(tuple(_LENGTHS_S)),
    help="Show how many records each place holds, by producer and hour or day (UTC).",
)
@click.option("--json", "as_json", is_flag=True, help="What is known of each producer as a line of JSON.")
def check(
    archive: str | None,
    spools: tuple[str, ...],
    stores: tuple[str, ...],
    begin: float | None,
    end: float | None,
    by: str | None,
    as_json: bool,
) -> None:
    """Name each record that is missing, doubled, late or altered, in the topic, the archive, the spools and the stores.

    Stores hold monitored calls alone, and are asked if there are any. With --from or --to only records of that time. Files, messages and segments that are wrong are always named.

    Exit code 0 if nothing differs, 1 if something does, 2 if it is not known yet (a producer has no stop record, or records are on the
    way), 4 if the broker, a store or the S3 server is missing or a producer does not answer, 5 if a manifest, a spool or the archive cannot be read.
    """
    from math import inf

    from app.archiving.check import check_usage
    from app.domain.usage.sides import Period
    from app.transports.broker_view import opened_view

    period = Period(-inf if begin is None else begin, inf if end is None else end)
    if period.begin >= period.end:
        raise click.UsageError("--from is not before --to")
    own = settings()
    with opened_view(own) as view:
        report = check_usage(_places(own, view, archive, spools, stores), period)
        _tell(report, as_json, by)
        sys.exit(report.exit_code)


@command.command("repair")
@archive_option()
@_spool_option
@_store_option
@click.option("--json", "as_json", is_flag=True, help="What is left of each producer as a line of JSON.")
def repair(archive: str | None, spools: tuple[str, ...], stores: tuple[str, ...], as_json: bool) -> None:
    """Write what the archive is missing into a new file, from the topic, then from the spools. Old files are not touched.

    Stores get back what they are missing of monitored calls.

    Then it checks again: the exit codes are those of `check`.
    """
    from app.archiving.repair import repair_usage
    from app.transports.broker_view import opened_view

    own = settings()
    with opened_view(own) as view:
        count, report = repair_usage(_places(own, view, archive, spools, stores))
        _tell(report, as_json)
        click.echo(f"{counted_text(count, 'record')} repaired", err=as_json)
        sys.exit(report.exit_code)


@command.command("load")
@archive_option()
@click.option(
    "--to",
    "target",
    required=True,
    metavar="FOLDER|STORE",
    help="Folder of the Parquet dataset, or name of a store: sqlite, elasticsearch or cassandra.",
)
@click.option("--quiet", "-q", is_flag=True, help="Do not name the files.")
def load(archive: str | None, target: str, quiet: bool) -> None:
    """Put the archive into one Parquet dataset for Spark, Superset or Tableau, or into the table usage_calls of a store.

    May be run again: what is there is not written twice. Exit code 1 if a file was not loaded (it is gone, altered or not finished) or the
    store refuses a record, 2 for a bad setting, 4 if the store or the S3 server is missing, 5 if a manifest cannot be read.
    """
    from app.archiving.loading import load_dataset, load_store
    from app.stores import STORES
    from app.words import visible

    def on_file(name: str) -> None:
        if not quiet:
            click.echo(name, err=True)

    if not target:
        raise click.UsageError("--to is empty: name a folder or a store")
    own = settings()
    storage = archive_of(own, archive)
    if target in STORES:
        found = load_store(storage, target, own, on_file)
    else:
        found = load_dataset(storage, Path(target), on_file)
    for line in (*found.problems, *found.refused[:20]):
        click.echo(visible(line))
    click.echo(f"{counted_text(found.records, 'record')} of {counted_text(found.files, 'file')} loaded into {target}")
    if found.left_out:
        click.echo(f"{counted_text(found.left_out, 'record')} of producers themselves left out: no user is named")
    sys.exit(1 if found.problems or found.refused else 0)


def _places(own: Settings, view: Any, archive: str | None, spools: tuple[str, ...], stores: tuple[str, ...]) -> Places:
    import time
    from functools import partial

    from app.archiving.check import Places
    from app.archiving.stored import mend_stored, show_stored
    from app.transports.broker_view import open_view

    return Places(
        view if view is not None and view.bounds(USAGE_TOPIC) else None,
        USAGE_TOPIC,
        archive_of(own, archive),
        own.usage_archive_format,
        spools,
        lambda: open_view(own),
        own.usage_spool_token,
        {name: partial(show_stored, name, own) for name in stores or own.store_names},
        lambda name, records: mend_stored(name, own, records),
        own.flow_id,
        time.time() - own.retention_days[0] * 86400.0,
    )


def _let_trim(own: Settings, ends: dict[int, int]) -> None:
    """The embedded log may delete what is archived. Kafka deletes by its retention."""
    if own.on_kafka:
        return
    from app.flows.registry import archive_group
    from app.transports.embedded.file import log_path
    from app.transports.embedded.log import EmbeddedLog

    with closing(EmbeddedLog(log_path(own.broker), own.log_max_bytes, own.log_keep)) as log:
        log.register_group(archive_group(own.flow_id), [USAGE_TOPIC])
        log.commit(archive_group(own.flow_id), {(USAGE_TOPIC, partition): end for partition, end in ends.items()})


def _tell(report: UsageReport, as_json: bool, by: str | None = None) -> None:
    import json

    from app.words import usage_counts, usage_lines, visible

    if as_json:
        for state in report.states:
            click.echo(json.dumps(_json_of(state)))
        click.echo(json.dumps({"problems": report.problems, "waiting": report.waiting, "exit_code": report.exit_code}))
        return
    for line in (*report.problems, *report.waiting):
        click.echo(visible(line))
    for state in report.states:
        for line in usage_lines(state):
            click.echo(line)
    if by is not None:
        rows = usage_counts(report.states, _LENGTHS_S[by])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            click.echo("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    words = {0: "no differences", 1: "something differs", 2: "not known yet"}
    click.echo(words[report.exit_code])


def _json_of(state: ProducerState) -> dict[str, Any]:
    """Counts by hour and by day beside one another."""
    from app.domain.usage.sequences import in_parts

    def with_days(found: Any, name: str) -> dict[str, Any]:
        return found._asdict() | {
            name.replace("hour", length): in_parts(getattr(found, name), seconds)
            for length, seconds in _LENGTHS_S.items()
        }

    found = with_days(state, "made_by_hour") | {"made": state.made}
    return found | {"held": [with_days(each, "by_hour") for each in state.held]}
