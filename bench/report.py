"""The table of all figures, on the screen and as docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.figures import Figure, number
from bench.needs import versions
from bench.processes import ROOT

__all__ = ["print_table", "told_seconds", "write_page"]

COLUMNS = ("part", "what", "median", "least", "greatest", "unit", "goal", "reached", "with")


def _row(figure: Figure) -> tuple[str, ...]:
    values = (number(figure.median), number(min(figure.values)), number(max(figure.values)))
    return (figure.part, figure.what, *values, figure.unit, figure.goal_text, figure.reached, figure.note)


def print_table(figures: Sequence[Figure]) -> None:
    """One row a figure."""
    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(
            name, justify="right" if name in ("median", "least", "greatest") else "left", no_wrap=name != "with"
        )
    for figure in figures:
        table.add_row(*_row(figure))
    Console(width=200, highlight=False).print(table)


def told_seconds(seconds: Mapping[str, float]) -> str:
    """How long each part took; what several need, a log or a server, counts for the first of them.

    >>> told_seconds({"batch": 270.4, "ranges": 39.6})
    'batch 270, ranges 40; 310 in all'
    """
    return f"{', '.join(f'{part} {took:.0f}' for part, took in seconds.items())}; {sum(seconds.values()):.0f} in all"


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _processor() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else platform.machine()


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!docs/benchmarks.md")
    return f"{git('rev-parse', '--short=12', 'HEAD') or 'unknown'}{', with changes not committed' if changed else ''}"


def write_page(
    page: Path,
    figures: Sequence[Figure],
    seconds: Mapping[str, float],
    quick: bool,
    arguments: Sequence[str],
    failed: Sequence[str] = (),
) -> None:
    """The table with what it was measured on. `failed`: a text for each part that came to no figures; its first line is shown."""
    cores = len(os.sched_getaffinity(0))
    about = [
        ("machine", f"{_processor()}, {cores} cores, {_memory_gib():.0f} GiB, {platform.platform()}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions().items())),
        ("commit", _commit()),
        ("command", f"`python -m bench {shlex.join(arguments)}`"),
        ("seconds a part", told_seconds(seconds)),
        ("measured", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
    ]
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`. Every result in it was compared with its oracle, and was equal.",
        "",
    ]
    if quick:
        lines += ["**A quick run, for the equality of results: its times say nothing.**", ""]
    lines += [f"- {name}: {text}" for name, text in about]
    lines += ["", *(f"**Failed: {text.splitlines()[0]}**\n" for text in failed)]
    lines += [
        "Median, least and greatest of the runs. A ratio is that of the medians, its least and greatest what the extremes allow."
    ]
    lines += [
        "`x` is times as much. CPU is that of the worker's process, the broker's apart. What each part does: `bench/`.",
        "",
    ]
    lines += ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in _row(figure)) + " |" for figure in figures]
    lines += [
        "",
        "What stands in the way of the goals that are not reached: [What is not fast enough yet](explanation/speed.md).",
    ]
    page.write_text("\n".join(lines) + "\n")
