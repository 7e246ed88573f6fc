"""`python -m app sizes learn|scan`: sizes of files from logs, from a folder or from a bucket's listing, for `--sizes`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

import click

from app.cli.exit_codes import end_with
from app.cli.groups import Listed
from app.cli.log_format import AskedFormat, log_format_options
from app.cli.progress import open_screen
from app.cli.reading import read_options
from app.domain.sizes import DatedSize
from app.output.replacing import STDOUT, explained, write_whole
from app.reducing.learning import learn
from app.settings import settings
from app.sources.identity.listings import folder_sizes, listed_sizes
from app.sources.identity.sizes import size_lines
from app.words import counted_text

__all__ = ["command"]

_OUTPUT = click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write here instead of to standard output."
)


@click.group("sizes", cls=Listed)
def command() -> None:
    """Write a file of true sizes for `--sizes` and WEBLOGS_SIZES.

    A line is request, tab, bytes; two columns may follow: the time from which the size holds (ISO 8601, UTC), and how it was
    learned. `-` for the bytes: the size is not known from that time on.
    """


@command.command("learn")
@click.argument("files", nargs=-1, required=True, metavar="LOG…")
@log_format_options
@_OUTPUT
@click.option("--quiet", "-q", is_flag=True, help="No progress bar and no summary.")
def learn_command(
    files: tuple[str, ...],
    asked_format: AskedFormat,
    output: Path | None,
    quiet: bool,
) -> None:
    """Find the sizes of files in LOGs (- is standard input).

    A size is known if lines name it (Content-Range, Content-Length, object size), or if two clients at least were sent the same
    number of body bytes by a 200 and nobody was sent more. Exit code 1 if an input could not be read to its end.
    """
    errors: list[str] = []
    configured = settings()
    read = read_options(asked_format, files, configured)
    with open_screen(quiet=quiet, transient=True) as screen:
        witnesses = learn(files, read, errors, screen.read)
    known = _write(output, witnesses.sizes())
    if not quiet:
        click.echo(
            f"sizes of {counted_text(known, 'file')} learned, of {len(witnesses):,} that the log tells of", err=True
        )
    end_with(errors)


@command.command("scan")
@click.argument("folder", metavar="DIR")
@click.option(
    "--url",
    default="/",
    show_default=True,
    metavar="PREFIX",
    help="The path, or the URL, under which the server gives the files of DIR out.",
)
@_OUTPUT
@click.option("--quiet", "-q", is_flag=True, help="No summary.")
def scan_command(folder: str, url: str, output: Path | None, quiet: bool) -> None:
    """Take the sizes of the regular files in DIR, or of a bucket: DIR is - and its listing is standard input.

    A listing is what `aws s3 ls --recursive` or `aws s3api list-objects-v2` prints.
    """
    found = listed_sizes(sys.stdin.buffer.read(), url) if folder == "-" else folder_sizes(Path(folder), url)
    known = _write(output, ((request, [size]) for request, size in found))
    if not quiet:
        click.echo(f"sizes of {counted_text(known, 'file')} found", err=True)


def _write(output: Path | None, sizes: Iterable[tuple[str, list[DatedSize]]]) -> int:
    """Gives how many requests were written; a file is replaced when all is known."""
    text, count = StringIO(), 0
    for request, dated in sizes:
        lines = size_lines(request, dated)
        text.writelines(f"{line}\n" for line in lines)
        count += bool(lines)
    data = text.getvalue().encode("utf-8", "backslashreplace")
    if output is None:
        with explained(STDOUT):
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
    else:
        write_whole(output, data)
    return count
