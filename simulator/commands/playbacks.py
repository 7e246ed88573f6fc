"""`python -m app playbacks`: one log read in four orders, to see that the order does not matter."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import click

from app.cli.reading import size_function
from app.cli.reduce.command import reject_line
from app.domain.records import Delivery
from app.domain.windows import Rules
from app.errors import OutputError
from app.output import open_writer
from app.reducing.job import Job, Statistics
from app.reducing.run import deliveries_of
from app.settings import settings
from app.sources.files.orders import ORDERS
from app.sources.files.read_options import ReadOptions
from app.words import ranges_text, reason_label, time_text, visible

__all__ = ["command"]

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "weblogs.tsv"
_ENDINGS = (".tsv", ".xlsx")
_MEANINGS = {
    "file": "in the order of the file",
    "reverse": "last line first",
    "random": "shuffled, every line once",
    "sample": "drawn at random, some lines twice, some never",
}


@click.command("playbacks")
@click.argument("file", required=False)
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Folder for the tables.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="For the orders random and sample.")
@click.option(
    "--debug", is_flag=True, help="Print the deliveries of each playback that are not complete, and the rejected lines."
)
def command(file: str | None, folder: Path, seed: int, debug: bool) -> None:
    """Reduce FILE (default: the bundled sample) four times: in order, reversed, shuffled, drawn at random with repetition.

    Writes a .tsv and an .xlsx for each and says whether the first three agree exactly. Exit code 1 when they do not.
    """
    path = file or str(SAMPLE)
    results: dict[str, list[Delivery]] = {}
    errors: list[str] = []
    _make(folder)
    for order in ORDERS:
        statistics = Statistics()
        results[order] = _play(path, order, seed, debug, statistics)
        errors = statistics.errors
        _report(order, statistics)
        if debug:
            _tell_incomplete(results[order])
        _write(results[order], folder / f"{Path(path).name.partition('.')[0] or 'log'}-{order}")
    for sentence in errors:
        click.echo(f"Error: {sentence}", err=True)
    sys.exit(max(_compare(results), 1 if errors else 0))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: the folder cannot be made: {error.strerror or error}; name another with --out"
        ) from error


def _play(path: str, order: str, seed: int, debug: bool, statistics: Statistics) -> list[Delivery]:
    """All deliveries, sorted, so that equal results are equal files."""
    configured = settings()
    rules = Rules(configured.window, configured.window_length, configured.lateness)
    job = Job([path], ReadOptions.of(configured), rules, order, seed, size_function(None, configured), sweep=False)
    if debug:
        job = job._replace(on_reject=lambda name, bad: click.echo(f"  {reject_line(name, bad)}", err=True))
    return sorted(deliveries_of(job, statistics), key=lambda delivery: delivery[:4])


def _report(order: str, statistics: Statistics) -> None:
    found = Counter(statistics.totals.reasons)
    others = sum(
        count
        for (verdict, reason), count in found.items()
        if verdict != "complete" and reason not in ("start_missing", "gap")
    )
    click.echo(f"{order}: {_MEANINGS[order]}; {statistics.lines:,} lines in {statistics.seconds:.2f} s")
    click.echo(
        f"  {found.total():,} deliveries: {found['complete', None]:,} complete, {found['partial', 'start_missing']:,} start missing, "
        f"{found['partial', 'gap']:,} middle missing, {others:,} otherwise incomplete"
    )


def _tell_incomplete(deliveries: list[Delivery]) -> None:
    for delivery in deliveries:
        if delivery.verdict != "complete":
            missing = ranges_text(delivery.missing, 10)
            why = reason_label(delivery.reason)
            name = f"{delivery.ip_address} {delivery.request} {time_text(delivery.window_start)}"
            click.echo(visible(f"    {name}: {delivery.verdict}, {why}; missing {missing}"), err=True)


def _write(deliveries: list[Delivery], stem: Path) -> None:
    for ending in _ENDINGS:
        with open_writer(stem.with_name(stem.name + ending)) as writer:
            for delivery in deliveries:
                writer.write(delivery)
    click.echo(f"  {stem}.tsv, {stem}.xlsx")


def _compare(results: dict[str, list[Delivery]]) -> int:
    """Says whether the three complete playbacks agree; 0 when they do."""
    if results["file"] == results["reverse"] == results["random"]:
        click.echo(f"file, reverse and random agree exactly: {len(results['file']):,} deliveries.")
        return 0
    for order in ("reverse", "random"):
        different = set(map(repr, results["file"])) ^ set(map(repr, results[order]))
        click.echo(f"file and {order} differ in {len(different):,} records.", err=True)
    return 1
