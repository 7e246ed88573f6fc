"""`python -m app simulate spend`: users who spend money, sent to a worker, with the true totals; `--live` watches the whole way."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import click

from app.cli.numbers import Number
from app.errors import SettingsError
from app.settings import read_toml
from app.words import counted_text
from simulator.commands.posting import PostPlan, post_all, posting_options, worker_url
from simulator.commands.votes import written
from simulator.spend import SimulatedSpend, SpendPlan

__all__ = ["spend"]

_PATH = click.Path(path_type=Path, dir_okay=False)
_KNOWN = {"users", "mean_gap_s", "min_cents", "max_cents", "seed", "from", "to", "repeats", "rate"}


@click.command("spend")
@click.option(
    "--config", type=_PATH, help="TOML file, as samples/spend.toml; without it the defaults that stand there."
)
@posting_options("Payments")
@click.option("--truth", type=_PATH, help="Write the true totals and buckets here, as JSON.")
@click.option("--rate", type=Number(min=0), help="Payments a second, instead of the config's.")
@click.option(
    "--live",
    is_flag=True,
    help="Canary: pay in real time, and check that the worker shows the same sums, until Ctrl-C.",
)
@click.option(
    "--for",
    "for_s",
    type=Number(min=0),
    help="With --live: end after this many seconds, with exit code 1 if sums differ.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    default=9108,
    show_default=True,
    help="With --live: Prometheus metrics here.",
)
def spend(
    config: Path | None,
    url: str | None,
    truth: Path | None,
    batch: int,
    connections: int,
    rate: float | None,
    patience: float,
    live: bool,
    for_s: float | None,
    metrics_port: int,
    quiet: bool,
) -> None:
    """Users pay at exponential gaps, uniform amounts. Every payment is sent until it is taken; drops are counted and must be 0."""
    from app.settings import settings

    own = settings()
    values = _read(config)
    place = url or worker_url(own.web_host, own.web_port)
    rate = values.get("rate", 0) if rate is None else rate
    if live:
        from simulator.commands.canary import Canary

        plan = _plan(values, time.time())._replace(repeats=0.0)
        raise SystemExit(Canary(place, plan, metrics_port, for_s, patience, own).run())
    simulated = SimulatedSpend(_plan(values, time.time()))
    post = PostPlan(place, batch, connections, rate, patience, own.token_to_write)
    done = post_all(simulated.sends(), ("/spending/", "/spending/"), lambda paid: crc32(paid["user_id"].encode()), post)
    found = simulated.truth()
    if truth is not None:
        with written(truth) as file:
            json.dump(found, file, indent=1)
    drops = simulated.sent - done.events
    if not quiet:
        click.echo(
            f"{counted_text(done.events, 'payment')} taken in {done.seconds:.1f} s, {counted_text(done.tries_again, 'request')} sent again, {drops} dropped"
        )
        click.echo(
            f"{len(found['users']):,} users, {found['transactions']:,} transactions, {found['cents'] / 100:,.2f} in all"
        )
    if drops:
        raise SystemExit(1)


def _read(config: Path | None) -> dict[str, Any]:
    if config is None:
        return {}
    values = read_toml(config)
    if unknown := sorted(set(values) - _KNOWN):
        raise SettingsError(f"{config}: {unknown[0]!r} is no name here; there are {', '.join(sorted(_KNOWN))}")
    rate = values.get("rate", 0)
    if not isinstance(rate, int | float) or rate < 0:
        raise SettingsError(f"{config}: rate is {rate!r}: a number from 0")
    if (problem := SpendPlan.problem(values)) is not None:
        raise SettingsError(f"{config}: {problem}")
    return values


def _plan(values: Mapping[str, Any], now: float) -> SpendPlan:
    from app.domain.times import parse_time

    times = {}
    for name, default in (("from", "-1d"), ("to", "now")):
        given = values.get(name, default)
        given = given.isoformat() if hasattr(given, "isoformat") else str(given)
        try:
            times[name] = parse_time(given, now)
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from None
    kept = {name: value for name, value in values.items() if name in SpendPlan._fields}
    return SpendPlan(**kept, begin=times["from"], end=times["to"])
