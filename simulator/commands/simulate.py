"""`python -m app simulate`: logs made up by a seed, and the true answer to each delivery in them."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import click

from app.cli.groups import Listed
from app.cli.numbers import Number
from app.output.replacing import STDOUT, Replacement, explained
from app.words import counted_text
from simulator.commands.clickstream import clickstream
from simulator.commands.spend import spend
from simulator.commands.usage import usage
from simulator.commands.votes import votes
from simulator.lines import FORMATS
from simulator.log import SHAPES, LogPlan, SimulatedLog
from simulator.truth import WindowRule

__all__ = ["command"]

_SHOW_PROGRESS_FROM = 20_000
_PATH = click.Path(path_type=Path, dir_okay=True)


@click.group("simulate", cls=Listed)
def command() -> None:
    """Make up a log, votes, payments, a clickstream or calls of services, the same for the same seed, with the true answers to compare with."""


command.add_command(votes)
command.add_command(spend)
command.add_command(clickstream)
command.add_command(usage)


@command.command("weblogs")
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(min=0),
    default=10_000,
    show_default=True,
    help="Data lines; a head line comes on top.",
)
@click.option("--seed", "-s", type=int, default=1, show_default=True, help="The same seed makes the same log.")
@click.option(
    "--shape",
    type=click.Choice(SHAPES),
    default="mixed",
    show_default=True,
    help="mixed: by time, as a busy server writes; sequential: strictly by time; reverse: latest first; random: shuffled.",
)
@click.option(
    "--format", "format_name", type=click.Choice(FORMATS), default="weblog_tsv", show_default=True, help="Log format."
)
@click.option("--truth", type=_PATH, help="Write the true deliveries here, one JSON object a line.")
@click.option(
    "--sizes",
    type=_PATH,
    help="Write the true sizes of the files here (request, tab, bytes); the truth then uses them.",
)
@click.option(
    "--window",
    type=click.Choice(["last_touch", "first_touch", "day", "all"]),
    default="last_touch",
    show_default=True,
    help="How the truth cuts hits into deliveries.",
)
@click.option("--window-length", type=Number(min=0, min_open=True), default=86400.0, show_default=True, help="Seconds.")
@click.option("-o", "--output", type=_PATH, help="Write the log here (.gz: compressed) instead of to standard output.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar, no summary.")
def weblogs(
    lines: int,
    seed: int,
    shape: str,
    format_name: str,
    truth: Path | None,
    sizes: Path | None,
    window: str,
    window_length: float,
    output: Path | None,
    quiet: bool,
) -> None:
    """Many clients fetch many files in pieces: in order, reversed, shuffled, twice, overlapping, with holes, cut off."""
    plan = LogPlan(lines, seed, shape, format_name)
    with contextlib.ExitStack() as stack:
        log_file = stack.enter_context(_opened(output)) if output else click.get_text_stream("stdout", encoding="utf-8")
        truth_file = stack.enter_context(_opened(truth)) if truth else None
        sizes_file = stack.enter_context(_opened(sizes)) if sizes else None
        advance = stack.enter_context(_progress(2 * lines, output is not None and not quiet))
        told = _Truth(truth_file, truth) if truth_file and truth else None
        log = SimulatedLog(plan, WindowRule(window, window_length), told, sizes is not None, advance)
        if sizes_file and sizes:
            _write(sizes_file, sizes, "".join(f"{request}\t{size}\n" for request, size in log.sizes()))
        _write_log(log, log_file, output, advance)
        with explained(output or STDOUT):
            log_file.flush()
    if output and not quiet:
        said = f", {counted_text(told.count, 'delivery')} in {truth}" if told else ""
        click.echo(f"{counted_text(lines, 'line')} in {output}{said}", err=True)


class _Truth:
    """Writes and counts the true deliveries."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self.count = 0
        self._file = file
        self._path = path

    def __call__(self, answer: dict[str, Any]) -> None:
        self.count += 1
        _write(self._file, self._path, json.dumps(answer, ensure_ascii=False) + "\n")


def _write(file: TextIO, path: Path | None, text: str) -> None:
    with explained(path or STDOUT):
        file.write(text)


def _write_log(log: SimulatedLog, file: TextIO, path: Path | None, advance: Callable[[int], object]) -> None:
    _write(file, path, log.head())
    written = 0
    for block in log.blocks():
        _write(file, path, block)
        written = min(log.plan.lines, written + block.count("\n"))
        advance(log.plan.lines + written)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """A text file that appears whole or not at all; `.gz` compresses, equal text to equal bytes."""
    with Replacement(path) as replacement, explained(path), replacement.path.open("wb") as raw:
        if path.suffix.lower() == ".gz":
            packed = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6)
            with packed, io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as file:
                yield file
        else:
            with io.TextIOWrapper(raw, encoding="utf-8", newline="\n") as file:
                yield file


@contextlib.contextmanager
def _progress(total: int, wanted: bool) -> Iterator[Callable[[int], object]]:
    """A function that takes how much of `total` is done."""
    if not wanted or total < _SHOW_PROGRESS_FROM:
        yield lambda _: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from app.output.console import Console

    columns = (TextColumn("simulating"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)
