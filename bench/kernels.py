"""`python -m bench.kernels COMMIT`: what reads the lines of each built-in format, beside what an earlier commit reads them with.

Both read the same files in turn, pair by pair, so that a slow minute of the machine hits both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from app.domain import formats
from app.domain.formats.base import FormatOptions
from bench.figures import AT_MOST, Figure, Goal, between
from bench.logs import simulated
from bench.processes import ROOT
from bench.report import print_table

PART = "kernels"
_GOAL = 1.1
_READINGS = 3
_MEASURING = ROOT / "bench" / "peers" / "kernel_rates.py"
Told = dict[str, tuple[float, int, int]]
"""Kernel -> seconds, hits, and a sum over them."""


@click.command()
@click.argument("commit")
@click.option("--pairs", default=5, show_default=True, help="How often each of the two reads everything.")
@click.option("--lines", default=50_000, show_default=True, help="Lines of each format.")
def main(commit: str, pairs: int, lines: int) -> None:
    """CPU of each kernel, in microseconds a line, and how many times as much as that of COMMIT it is.

    Ends with exit code 1 if one gives other hits than before: another number, or another sum.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name, _tree(commit, Path(name)) as tree:
        files = _files(Path(name), lines)
        runs = [(_measured(tree, files), _measured(ROOT, files)) for _ in range(pairs)]
    figures: list[Figure] = []
    for kernel in runs[0][0]:
        hits = runs[0][0][kernel][1]
        was, now = ([run[at][kernel][0] / hits * 1e6 for run in runs] for at in (0, 1))
        figures.append(Figure(PART, kernel, tuple(now), "µs a line", f"{hits:,} hits"))
        figures.append(between(PART, f"{kernel}, times {commit}", now, was, "x", goal=Goal(AT_MOST, _GOAL)))
    print_table(figures)
    if other := [kernel for kernel, told in runs[0][0].items() if told[1:] != runs[0][1][kernel][1:]]:
        sys.exit(f"bench: other hits than at {commit}: {', '.join(other)}")


@contextmanager
def _tree(commit: str, folder: Path) -> Iterator[Path]:
    """The files of a commit."""
    tree = folder / "tree"
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(tree), commit], cwd=ROOT, check=True)
    try:
        yield tree
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)


def _measured(tree: Path, files: dict[str, Path]) -> Told:
    command = [sys.executable, str(_MEASURING), str(_READINGS), *(f"{name}={path}" for name, path in files.items())]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return {kernel: (told[0], told[1], told[2]) for kernel, told in json.loads(done.stdout).items()}


def _files(folder: Path, lines: int) -> dict[str, Path]:
    """Format to a log: simulated where the simulator writes it, else the format's own example with the clients of a simulated log."""
    ranged = simulated(folder, lines, "combined_range").path
    text = ranged.read_text()
    written = {
        "weblog_tsv": simulated(folder, lines).path.read_text(),
        "combined_range": text,
        "combined": "".join(line.rpartition(' "')[0] + "\n" for line in text.splitlines()),
    }
    parse = formats.get("combined_range").make_parser((), FormatOptions())
    hits = [hit for hit in map(parse, text.splitlines()) if hit is not None]
    for name, form in formats.FORMATS.items():
        if name not in written:
            heads, line = _example(form)
            written[name] = heads + "".join(
                line.replace("203.0.113.9", hit[1] or "-")
                .replace("/films/1.mp4", (hit[3] or "").rpartition(" ")[2])
                .replace("16:46:07", f"{int(hit[0]) // 3600 % 24:02}:{int(hit[0]) // 60 % 60:02}:{int(hit[0]) % 60:02}")
                + "\n"
                for hit in hits
            )
    files = {name: folder / f"{name}.of" for name in written}
    for name, path in files.items():
        path.write_text(written[name])
    return files


def _example(form: formats.Format) -> tuple[str, str]:
    """The head lines, and the first line that is a hit."""
    parse = form.make_parser((), FormatOptions())
    heads = ""
    for line in form.example.splitlines():
        try:
            if parse(line) is not None:
                return heads, line
        except ValueError:  # the row of column names
            pass
        heads += f"{line}\n"
    raise AssertionError(form.name)


if __name__ == "__main__":
    main(prog_name="python -m bench.kernels")
