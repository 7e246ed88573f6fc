"""`python -m bench`: how fast is it, beside what a user would pick instead and beside what the machine can do, and is it right?"""

from __future__ import annotations

import importlib
import signal
import sys
import tempfile
import time
from pathlib import Path

import click

from bench.context import Context
from bench.failing import BenchError
from bench.figures import Figure
from bench.needs import check
from bench.report import print_table, told_seconds, write_page

PARTS = (
    "batch",
    "ranges",
    "format_strings",
    "limits",
    "stream",
    "cores",
    "embedded",
    "recovery",
    "memory",
    "latency",
    "growth",
    "stores",
    "reports",
    "usage",
)
"""In this order: each is the module of this name, with a function `run`."""
WITH_PEERS = {"batch", "ranges", "stream"}
"""Parts that compare with what stands in .venv-bench."""


@click.command()
@click.option(
    "--quick", is_flag=True, help="Everything small, one run each: for the equality of results, never for time."
)
@click.option(
    "--part", "parts", multiple=True, type=click.Choice(PARTS), help="Only this part; may be given several times."
)
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    help="Runs of each, 2 by default; the table shows the median, least and greatest.",
)
@click.option("--lines", type=click.IntRange(min=1000), help="Lines of the main log, 1,000,000 by default.")
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the table here, with machine, versions and commit.",
)
def main(quick: bool, parts: tuple[str, ...], runs: int | None, lines: int | None, page: Path | None) -> None:
    """Measure, compare every result with its oracle, print one table of figures, ratios and goals.

    Ends with exit code 1 and a sentence where a peer is missing, a part fails or a result is wrong; a goal that is not reached is no
    failure.
    """
    figures: list[Figure] = []
    failed: list[str] = []
    seconds: dict[str, float] = {}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped then, too
    try:
        if WITH_PEERS.intersection(parts or PARTS):
            check()
        with tempfile.TemporaryDirectory(prefix="bench-") as name, Context(Path(name), quick, runs, lines) as context:
            Path(name).chmod(0o755)  # Elasticsearch runs as another user, below it
            for part in parts or PARTS:
                context.say(f"part {part}")
                began = time.monotonic()
                try:
                    figures += importlib.import_module(f"bench.{part}").run(context)
                except BenchError as error:  # the other parts are worth their time
                    failed.append(f"part {part}: {error}")
                    context.say(f"failed: {failed[-1]}")
                seconds[part] = time.monotonic() - began
            context.say("done" if failed else "done: every result equals its oracle")
    except BenchError as error:
        sys.exit(f"bench: {error}")
    if quick:  # small and alone on a machine that does other things: a goal would be missed or reached by chance
        figures = [figure._replace(goal=None) for figure in figures]
    print_table(figures)
    print(f"seconds a part: {told_seconds(seconds)}")
    if page is not None:
        write_page(page, figures, seconds, quick, sys.argv[1:], failed)
    if failed:
        sys.exit("\n".join(f"bench: {sentence}" for sentence in failed))


if __name__ == "__main__":
    main(prog_name="python -m bench")
