"""`python -m app check`: whether topics and stores hold the same."""

from __future__ import annotations

import click

from app.cli.checking import screen
from app.cli.exit_codes import UNREADABLE
from app.words import counted_text

__all__ = ["command"]


@click.command("check")
@screen.store_option
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Every difference as a line of JSON, then a line with all counts and checksums.",
)
@screen.quiet_option
def command(stores: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Compare each store with what the topics still hold, with what its own raw hits make, and with the other stores.

    Names by raw id or key what is missing, altered, extra or doubled. What is still on its way to a store is no difference. Exit code 0
    if nothing differs, 1 if something does, 4 if a store or the broker is missing, 5 if something could not be read.
    """
    screen.run(lambda: _check(stores, as_json, quiet))


async def _check(names: tuple[str, ...], as_json: bool, quiet: bool) -> int:
    from app.checking.reconciliation import CheckRun, check_stores
    from app.checking.report import CheckReport

    listing = screen.Listing(as_json)
    report = CheckReport(listing)
    async with screen.opened(names, read_only=True) as (own, reader, found):
        with screen.progress(await screen.totals(found), not quiet) as on_progress:
            run_of = CheckRun(own, reader, screen.known_sizes(own), on_progress=on_progress)
            await check_stores(run_of, screen.WatchedReads.all_of(found, on_progress), report)
    screen.tell(report, listing, as_json)
    if not as_json:
        click.echo(counted_text(report.differences, "difference") if report.differences else "no differences")
    return UNREADABLE if report.unreadable else screen.DIFFERENT if report.differences else screen.LEVEL
