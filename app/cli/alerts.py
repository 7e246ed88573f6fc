"""`python -m app usage alerts` and `python -m app alerts`: one engine of rules, on the records of calls and on deliveries."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Any

import click

from app.cli.numbers import Number
from app.cli.usage_archive import archive_of, archive_option
from app.words import counted_text

if TYPE_CHECKING:
    from app.alerts.rules import AlertRules
    from app.alerts.run import AlertRun
    from app.domain.alerts.lifecycle import Notice
    from app.settings import Settings

__all__ = ["command", "usage_alerts"]

_FILE = click.Path(path_type=Path, dir_okay=False)
_USAGE_STATE, _DELIVERY_STATE = "usage.state", "deliveries.state"
_QUIET_S = 30.0
"""With nothing in the topic for so long event time goes on by the clock: a service that is dead sends no event that says so."""


def _options(sample: str, state: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of both commands; `state` is the file that stands in the folder of alerts."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--json", "as_json", is_flag=True, help="Each notice as a line of JSON."),
            click.option(
                "--until",
                help="Let event time go on to here at the end: ISO 8601 with a zone, seconds since 1970, or `now`.",
            ),
            click.option(
                "--state",
                type=_FILE,
                help=f"File of what is known so far.  [default: alerts/{state} in WEBLOGS_DATA_DIR]",
            ),
            click.option("--rules", type=_FILE, required=True, help=f"TOML file of rules, as {sample}."),
        ):
            function = option(function)
        return function

    return decorate


@click.command("alerts")
@_options("samples/alerts.toml", _USAGE_STATE)
@archive_option("Read an archive, not the topic: a folder, or s3://BUCKET/PREFIX.")
@click.option("--records", type=_FILE, help="Read a file of `simulate usage`, not the topic.")
@click.option("--once", is_flag=True, help="Look at all that is there, then end.")
@click.option(
    "--interval",
    "interval_s",
    default=5.0,
    show_default=True,
    type=Number(min=0.1),
    help="Seconds between two looks at the topic.",
)
def usage_alerts(
    rules: Path,
    state: Path | None,
    until: str | None,
    as_json: bool,
    archive: str | None,
    records: Path | None,
    once: bool,
    interval_s: float,
) -> None:
    """Tell when calls go wrong, in event time: errors, spikes, silence, slow answers, new terms, missing records.

    Reads the topic usage until SIGINT or SIGTERM; an archive or a file to its end. Notices go to alerts/notices.jsonl in the data folder, and to
    what the rules name: a webhook, the topic usage_notices, an Alertmanager. A notice is told once, also after a kill or a replay.
    Exit code 4 if the broker or the S3 server is missing, 5 if the rules, the state or the archive cannot be read.
    """
    from app.alerts.events import USAGE_FIELDS
    from app.alerts.sources import of_archive, of_file

    if archive and records:
        raise click.UsageError("--archive and --records exclude one another")

    def work(own: Settings, run: AlertRun) -> None:
        if records:
            run.take_all(of_file(records))
        elif archive:
            run.take_all(of_archive(archive_of(own, archive), dict(run.state.places)))
        else:
            _follow(own, run, None if once else interval_s)

    _run(rules, state, _USAGE_STATE, until, as_json, USAGE_FIELDS, work)


@click.command("alerts")
@_options("samples/delivery-alerts.toml", _DELIVERY_STATE)
@click.option("--store", help="Read this store.  [default: the first of WEBLOGS_STORES]")
def command(rules: Path, state: Path | None, until: str | None, as_json: bool, store: str | None) -> None:
    """Tell which files are delivered whole less often than in their own four weeks before.

    Reads the deliveries that are over from a store, once: run it each hour. Rules and notices are those of `usage alerts`; the fields are
    those of a delivery. Exit code 4 if the store is missing, 5 if the rules or the state cannot be read.
    """
    import asyncio

    from app.alerts.events import DELIVERY_FIELDS
    from app.alerts.sources import of_deliveries

    async def read(own: Settings, run: AlertRun) -> None:
        from app.stores import opened_store

        async with opened_store(store or own.store_names[0], own, read_only=True) as opened:
            await of_deliveries(opened.reads.all_deliveries(), run.take)

    def work(own: Settings, run: AlertRun) -> None:
        asyncio.run(read(own, run))

    _run(rules, state, _DELIVERY_STATE, until, as_json, DELIVERY_FIELDS, work)


def _run(
    rules: Path,
    state: Path | None,
    own_state: str,
    until: str | None,
    as_json: bool,
    names: Mapping[str, Set[Any]],
    work: Callable[[Settings, AlertRun], None],
) -> None:
    import time

    from app.alerts.rules import read_rules
    from app.domain.times import parse_time
    from app.process.exit import end_when_asked
    from app.settings import settings

    end_when_asked()
    own = settings()
    folder = own.data_dir / "alerts"
    path = state or folder / own_state
    try:
        end = None if until is None else parse_time(until, time.time())
        _watched(own, read_rules(rules, names), path, folder / "notices.jsonl", as_json, end, work)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--until") from None


def _watched(
    own: Settings,
    rules: AlertRules,
    state: Path,
    file: Path,
    as_json: bool,
    until: float | None,
    work: Callable[[Settings, AlertRun], None],
) -> None:
    from app.alerts.channels import channels_of
    from app.alerts.run import AlertRun

    with AlertRun(rules, state, [_Screen(as_json), *channels_of(rules.notify, own, file)]) as run:
        try:
            work(own, run)
            if until is not None:
                run.advance(until)
        except KeyboardInterrupt:
            click.echo("Stopping.", err=True)
        finally:
            run.settle()
        found = run.state
        for count, noun, what in (
            (run.ahead, "event", "in the future of the log, or before 2001: the clock of a producer is wrong"),
            (found.left_out, "event", "left out: a rule has too many series"),
            (found.undelivered, "notice", "refused or given up"),
            (sum(map(len, found.outbox.values())), "notice", "not taken by a channel yet"),
            (found.late, "event", "too late: no notice changes by that"),
            (found.repeats, "event", "repeated: no notice changes by that"),
        ):
            if count:
                click.echo(f"{counted_text(count, noun)} {what}", err=True)


class _Screen:
    """Standard output as a channel."""

    name = "screen"

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def deliver(self, notice: Notice) -> None:
        from app.domain.times import iso
        from app.words import visible

        click.echo(json.dumps(notice._asdict()) if self._as_json else f"{iso(notice.at)} {visible(notice.text)}")


def _follow(own: Settings, run: AlertRun, interval_s: float | None) -> None:
    import logging
    import time

    from app.alerts.sources import of_topic
    from app.errors import LogError
    from app.flows.usage import USAGE_TOPIC
    from app.transports.broker_view import open_view

    log = logging.getLogger("app.cli.alerts")
    heard = time.monotonic()
    while True:
        before = dict(run.state.places)
        try:
            run.take_all(of_topic(lambda: open_view(own), USAGE_TOPIC, before))
        except LogError as error:
            if interval_s is None:
                raise
            log.warning("%s; tried again", error)
            heard = time.monotonic()  # nothing is said of a time in which nobody could be heard
        if interval_s is None:
            return
        if run.state.places != before:
            heard = time.monotonic()
        elif time.monotonic() - heard > _QUIET_S:
            run.advance(time.time() - _QUIET_S)
        run.settle()
        run.keep()
        time.sleep(min(interval_s, TIMEOUT_MAX))
