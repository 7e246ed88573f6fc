"""`python -m app replay FILE…`: sends log files to the running worker, from where the last replay came to."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from app.cli.log_format import AskedFormat, log_format_options
from app.cli.numbers import Number
from app.cli.progress import open_screen
from app.process.exit import asked_to_end
from app.settings import Settings, settings
from app.words import counted_text

if TYPE_CHECKING:
    from app.sources.files.read_options import ReadOptions
    from app.sources.replay.run import Progress, ReplayOptions, ReplayResult
    from app.transports.producers import MessageProducer

__all__ = ["command"]


@click.command("replay")
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@log_format_options
@click.option(
    "--rate",
    type=Number(min=0),
    help="Lines a second, evenly spaced; 0 is full speed.  [default: WEBLOGS_RATE]",
)
@click.option("--order", type=click.Choice(("file", "reverse", "random", "sample")), default="file", show_default=True, help="Order of the lines, for trials: always from the beginning, no checkpoint.")  # fmt: skip
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="For --order random and sample: the same seed gives the same order.",
)
@click.option("--line-by-line", is_flag=True, help="One line a message, as plain shippers send.")
@click.option("--chunk-bytes", type=click.IntRange(min=1024), help="Size of a message.  [default: WEBLOGS_CHUNK_BYTES]")
@click.option("--follow", is_flag=True, help="Go on as the files grow, through rotations, until stopped.")
@click.option(
    "--as",
    "name",
    default="",
    metavar="NAME",
    help="Treat this file as a new source; its lines are counted again.",
)
@click.option("--again", is_flag=True, help="Send the file again from the start. Lines already counted are ignored.")
@click.option("--quiet", "-q", is_flag=True, help="Only what went wrong.")
def command(
    files: tuple[str, ...],
    asked_format: AskedFormat,
    rate: float | None,
    order: str,
    seed: int,
    line_by_line: bool,
    chunk_bytes: int | None,
    follow: bool,
    name: str,
    again: bool,
    quiet: bool,
) -> None:
    """Send log FILEs to the worker: plain, gzip, bzip2, xz or zstd, or - for standard input.

    An interrupted replay continues where it stopped. A file that was sent is not sent again, even under another name.
    """
    if follow and (order != "file" or "-" in files or again):
        raise click.UsageError("--follow reads files as they grow: it goes with neither --order nor --again nor -")
    from app.sources.identity.identifier import Identifier
    from app.sources.replay.run import ReplayOptions, registry_of
    from app.transports.producers import open_producer

    screen = open_screen(quiet=quiet)
    configured = settings()
    read = _read_options(configured, asked_format.name(files), asked_format.bytes_kind, chunk_bytes)
    with closing(open_producer(configured)) as producer, asked_to_end(signal.SIGINT, signal.SIGTERM) as stop:
        options = ReplayOptions(
            Identifier(registry_of(configured, producer), name),
            read,
            configured.rate if rate is None else rate,
            order,
            seed,
            line_by_line,
            again,
            say=screen.say,
            stop=stop,
        )
        with _logged(screen.say), screen:
            result = _run(files, producer, options, screen.sent, follow)
    if quiet:
        for sentence in result.errors:
            click.echo(sentence, err=True)
    else:
        click.echo(_summary(result, resumes=not again and order == "file", follow=follow), err=True)
    sys.exit(result.exit_code)


def _read_options(
    configured: Settings, format_name: str | None, bytes_kind: str | None, chunk_bytes: int | None
) -> ReadOptions:
    from app.domain.formats.base import AUTO
    from app.sources.files.read_options import ReadOptions, form_of

    read = ReadOptions.of(configured)
    if format_name:
        read = read._replace(format=format_name)
    if bytes_kind:
        read = read._replace(format_options=read.format_options._replace(bytes=bytes_kind))
    if read.format != AUTO:
        form_of(read.format)
    return read._replace(chunk_bytes=chunk_bytes or read.chunk_bytes)


def _run(
    files: tuple[str, ...],
    producer: MessageProducer,
    options: ReplayOptions,
    on_progress: Callable[[Progress], None],
    follow: bool,
) -> ReplayResult:
    from app.sources.following.follow import follow_files
    from app.sources.replay.run import replay_files

    send = follow_files if follow else replay_files
    return send(files, producer, options, on_progress)


class _Says(logging.Handler):
    """Warnings of the sources as sentences for the person at the terminal."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())


@contextmanager
def _logged(say: Callable[[str], None]) -> Iterator[None]:
    sources, handler = logging.getLogger("app.sources"), _Says(say)
    sources.addHandler(handler)
    sources.propagate = False
    try:
        yield
    finally:
        sources.removeHandler(handler)
        sources.propagate = True


def _summary(result: ReplayResult, *, resumes: bool, follow: bool) -> str:
    seconds = max(result.seconds, 1e-9)
    text = f"{counted_text(result.lines, 'line')}, {counted_text(result.bytes, 'byte')} in {result.seconds:.1f} s: {result.lines / seconds:,.0f} lines/s"
    if result.stopped and not follow:
        text += "; stopped before the end" + (", the same command goes on from there" if resumes else "")
    if result.errors:
        text += f"; {len(result.errors)} could not be read or sent whole"
    return text
