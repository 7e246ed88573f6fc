"""`python -m app reduce FILE…`: deliveries straight from log files, without a worker."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.exit_codes import end_with
from app.cli.log_format import AskedFormat, log_format_options
from app.cli.numbers import Number
from app.cli.progress import open_screen
from app.cli.reading import (
    MOST_PROCESSES,
    read_options,
    reading_processes,
    size_function,
    spare_inputs,
)
from app.domain.lines import BadAt
from app.domain.windows import WINDOWS
from app.errors import InputError, SettingsError
from app.output import ENDINGS, check_ending, open_writer
from app.output.replacing import STDOUT, explained
from app.output.statistics import delivery_rows, hit_rows, table_lines
from app.process.memory import no_collection
from app.reducing.job import Job, Statistics
from app.reducing.learning import learn, not_read_twice, sizes_in
from app.reducing.readers import Readers
from app.reducing.run import deliveries_of
from app.settings import Settings, settings
from app.sources.files.orders import ORDERS
from app.sources.identity.sizes import with_learned
from app.words import counted_text, hints, reject_hints, unread_notes, visible

if TYPE_CHECKING:
    from app.cli.reduce.stores import StoreWriter

__all__ = ["command", "reject_line"]


@click.command("reduce")
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@log_format_options
@click.option(
    "--order",
    type=click.Choice(ORDERS),
    default="file",
    show_default=True,
    help="Read the lines of each file in this order, for trials.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="For --order random and sample.")
@click.option(
    "--sizes", type=click.Path(path_type=Path), help="True sizes: request, tab, bytes a line.  [default: WEBLOGS_SIZES]"
)
@click.option(
    "--learn-sizes",
    is_flag=True,
    help="Read the files twice: first find the sizes of files in them, as `sizes learn` does, then judge by these, too.",
)
@click.option(
    "--window", type=click.Choice(WINDOWS), help="How hits are cut into deliveries.  [default: WEBLOGS_WINDOW]"
)
@click.option("--window-length", type=Number(min=0, min_open=True), help="Seconds.  [default: WEBLOGS_WINDOW_LENGTH]")
@click.option(
    "--lateness",
    type=Number(min=0),
    help="Seconds of event time that lines may be late.  [default: WEBLOGS_LATENESS]",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help=f"Write all deliveries to a file: {', '.join(ENDINGS)}."
)
@click.option(
    "--stores",
    metavar="NAMES",
    help="Write raw hits, rejects and deliveries to these stores, too, comma-separated, as the worker does.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, MOST_PROCESSES),
    help="Number of processes that read lines, beside the one that merges them. 1: it reads them itself.  [default: cores]",
)
@click.option("--debug", is_flag=True, help="Print every rejected line with its place and reason.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar and no statistics.")
def command(
    files: tuple[str, ...],
    asked_format: AskedFormat,
    order: str,
    seed: int,
    sizes: Path | None,
    learn_sizes: bool,
    window: str | None,
    window_length: float | None,
    lateness: float | None,
    output: Path | None,
    stores: str | None,
    processes: int | None,
    debug: bool,
    quiet: bool,
) -> None:
    """Read log FILEs (- is standard input; gzip, bzip2, xz and zstd are unpacked) and say what was delivered whole.

    Prints a table, or writes every delivery to OUTPUT, then statistics. With --stores the same records go to the stores that a
    worker would write for these lines. Exit code 1 when an input could not be read to its end, of which what was good still counts; 4 if a
    store is missing.
    """
    if output:
        check_ending(output)
    spare_inputs((*files, sizes), (output,))
    configured = settings()
    rules = configured.rules._replace(
        window=window or configured.window,
        length_s=window_length if window_length is not None else configured.window_length,
        lateness_s=lateness if lateness is not None else configured.lateness,
    )
    read = read_options(asked_format, files, configured)
    job = Job(files, read, rules, order, seed, size_function(sizes, configured))
    opened = open_writer(output)
    storing = _storing(stores, configured)
    statistics = Statistics()
    if learn_sizes:
        job = _learned(job, statistics, quiet)
    reading = Readers(rules, reading_processes(files, processes) if stores is None else 0)
    with (
        reading,
        storing as store,
        opened as writer,
        open_screen(quiet=quiet, transient=True) as screen,
        no_collection(),
    ):
        if store is not None:
            kept = job.read.format_options._replace(fields=configured.fields)
            job = job._replace(on_lines=store.take_lines, read=job.read._replace(format_options=kept))
        on_reject = (lambda name, bad: click.echo(reject_line(name, bad), err=True)) if debug else None
        for delivery in deliveries_of(job._replace(on_progress=screen.read, on_reject=on_reject), statistics, reading):
            writer.write(delivery)
            if store is not None:
                store.take_delivery(delivery)
        if statistics.errors and not statistics.lines:
            raise InputError(
                "\nError: ".join(statistics.errors)
            )  # nothing was read: no table is better than an empty one
    with explained(STDOUT):
        if not quiet:
            click.echo("\n".join(_report_lines(statistics)))
            named = shlex.join(files)
            told = reject_hints(statistics.rejects, statistics.hits, named)
            for hint in told or hints(statistics.totals.reasons, named, learn_sizes):
                click.echo(f"hint: {visible(hint)}")
            if output:
                click.echo(f"{counted_text(writer.rows, 'delivery')} in {output}")
            if store is not None:
                click.echo(
                    f"{stores}: " + ", ".join(f"{count:,} {what}" for what, count in store.written.items()) + " written"
                )
    for name, count in store.refused.items() if store is not None else ():
        statistics.errors.append(
            f"{name} refused {counted_text(count, 'record')} for good: see the rejects for its reason"
        )
    end_with(statistics.errors)


def _learned(job: Job, statistics: Statistics, quiet: bool) -> Job:
    """The job with the sizes that its files tell; what cannot be read twice is noted."""
    unread = not_read_twice(job.paths)
    for path in unread:
        name = "standard input" if path == "-" else path
        statistics.notes.append(
            f"no sizes were learned from {visible(name)}: it cannot be read twice; save it to a file first"
        )
    with open_screen(quiet=quiet, transient=True) as screen:
        # an input that cannot be read says so in the reading that counts
        witnesses = learn([path for path in job.paths if path not in unread], job.read, [], screen.read)
    learned = dict(witnesses.sizes())
    statistics.notes.append(
        f"sizes of {counted_text(len(learned), 'file')} learned, of {len(witnesses):,} that the log tells of"
    )
    return job._replace(size_of=with_learned(sizes_in(learned), job.size_of))


def _storing(stores: str | None, configured: Settings) -> contextlib.AbstractContextManager[StoreWriter | None]:
    if stores is None:
        return contextlib.nullcontext()
    from app.cli.reduce.stores import StoreWriter

    names = list(dict.fromkeys(name.strip() for name in stores.split(",") if name.strip()))
    if not names:
        raise SettingsError(
            "--stores names no store: write one or more of those that `WEBLOGS_STORES` takes, comma-separated"
        )
    return StoreWriter(names, configured)


def _report_lines(statistics: Statistics) -> list[str]:
    """The lines, the hits, the deliveries, the bytes, the rate: a name and a number a line, details indented."""
    totals = statistics.totals
    told: list[tuple[str, int | str]] = [("lines", statistics.lines), ("  head lines", statistics.heads)]
    told += [(f"  {name}", number) for name, number in hit_rows(totals, statistics.counted - statistics.merged)]
    told += delivery_rows(totals)
    told += [
        ("seconds", f"{statistics.seconds:.2f}"),
        ("lines/s", f"{statistics.lines / statistics.seconds:,.0f}" if statistics.seconds > 0 else "-"),
    ]
    return table_lines(told) + [f"note: {note}" for note in (*statistics.notes, *unread_notes(statistics.unread))]


def reject_line(name: str, bad: BadAt) -> str:
    """One rejected line for people."""
    return visible(f"{name}, byte {bad.position}: {bad.reason}: {bad.detail}: {bad.line[:200]}")
