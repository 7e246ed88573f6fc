"""`python -m app repair`: repair a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from app.checking.report import CheckReport
    from app.transports.broker_view import BrokerView

from app.cli.checking import screen
from app.cli.exit_codes import UNREADABLE
from app.settings import Settings
from app.stores.contract import Store
from app.words import counted_text

__all__ = ["command"]

_LOOKS = 3
"""Mending hits can change what deliveries must be; after this many looks what still differs is not to be mended."""


@click.command("repair")
@screen.store_option
@click.option(
    "--from", "origin", type=click.Choice(("topic", "raw")), help="Only from the topics, or only deliveries from the store's raw hits.  [default: both]"
)  # fmt: skip
@click.option(
    "--dry-run", is_flag=True, help="Say what would be repaired; write nothing. Exit code 1 if there is something."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Every difference as a line of JSON, then a line with all counts."
)
@screen.quiet_option
def command(stores: tuple[str, ...], origin: str | None, dry_run: bool, as_json: bool, quiet: bool) -> None:
    """Repair each store: from the topics what they still hold, and the deliveries from the store's own raw hits.

    Joins deliveries whose late hits came after the eviction. Judges all deliveries again if the sizes file has changed. It may run beside
    the worker and be interrupted; a second run changes nothing. Exit code 0 if nothing differs now, 1 if something could not be
    repaired, 4 if a store or the broker is missing, 5 if something could not be read and stands there still.
    """
    screen.run(lambda: _repair(stores, origin, dry_run, as_json, quiet))


async def _repair(names: tuple[str, ...], origin: str | None, dry_run: bool, as_json: bool, quiet: bool) -> int:
    left = unreadable = 0
    async with screen.opened(names, read_only=dry_run) as (own, reader, found):
        for store in found:
            report = await _repair_one(store, own, reader, origin, dry_run, as_json, quiet)
            left, unreadable = left + report.differences, unreadable + report.unreadable
    return UNREADABLE if unreadable else screen.DIFFERENT if left else screen.LEVEL


async def _repair_one(
    store: Store,
    own: Settings,
    reader: BrokerView | None,
    origin: str | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> CheckReport:
    """What is left."""
    from app.checking.mender import Mender
    from app.checking.reconciliation import CheckRun, reconcile
    from app.checking.report import CheckReport

    listing = screen.Listing(as_json)
    first = report = CheckReport(listing)
    with screen.progress(2 * await screen.totals([store]), not quiet) as on_progress:
        run_of = CheckRun(own, reader, screen.known_sizes(own), origin != "raw", origin != "topic", on_progress)
        watched = screen.WatchedReads.all_of([store], on_progress)[0]
        await reconcile(run_of, watched, report, Mender(watched, first, dry_run))
        looks = 1
        while report.differences and not dry_run and looks < _LOOKS:
            looks += 1
            report = CheckReport()
            await reconcile(run_of, watched, report, Mender(watched, first) if looks < _LOOKS else None)
    screen.tell(first, listing, as_json)
    if not as_json:
        _say(store.name, first, report, listing, dry_run)
    return report


def _say(store: str, first: CheckReport, last: CheckReport, listing: screen.Listing, dry_run: bool) -> None:
    done = "would be " if dry_run else ""
    for (_, record, what), count in sorted(first.mended.items()):
        click.echo(f"{store}: {counted_text(count, record)} {done}{what}")
    if dry_run and (first.mended or first.differences):
        return
    if last.differences:
        click.echo(
            f"{store}: {last.differences:,} could not be repaired: neither the topics nor the raw hits say what is right",
            err=True,
        )
        for (_, record, kind), count in sorted(last.found.items()):
            click.echo(f"{store}: still {counted_text(count, record)} {kind}", err=True)
    else:
        click.echo(f"{store}: no differences")
