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
from bench.figures import AT_MOST, Figure, Goal
from bench.logs import simulated
from bench.processes import ROOT
from bench.report import print_table

PART = "kernels"
_GOAL = 1.1
_MEASURING = ROOT / "bench" / "peers" / "kernel_rates.py"


class Tree:
    """A process that reads with the program of one commit."""

    def __init__(self, tree: Path, files: dict[str, Path]) -> None:
        words = [f"{name}={path}" for name, path in files.items()]
        self._process = subprocess.Popen(
            [sys.executable, str(_MEASURING), *words],
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.kernels: list[str] = json.loads(self._line())
        self.facts: dict[str, list[int]] = {}
        """Kernel -> hits and a sum over them."""

    def read(self, kernel: str) -> float:
        """Seconds of CPU of one reading."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{self.kernels.index(kernel)}\n")
        self._process.stdin.flush()
        seconds, *self.facts[kernel] = json.loads(self._line())
        return float(seconds)

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"bench: the reading process ended with exit code {self._process.wait()}")
        return line


@click.command()
@click.argument("commit")
@click.option("--pairs", default=15, show_default=True, help="How often each of the two reads each log.")
@click.option("--format", "names", multiple=True, type=click.Choice(list(formats.FORMATS)), help="All without one.")
@click.option("--lines", default=20_000, show_default=True, help="Lines of each log.")
def main(commit: str, pairs: int, names: tuple[str, ...], lines: int) -> None:
    """CPU of each kernel, in microseconds a line, and how many times as much as that of COMMIT it is: the median of the pairs.

    Ends with exit code 1 if one gives other hits than before: another number, or another sum.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name, _tree(commit, Path(name)) as tree:
        files = {form: path for form, path in _files(Path(name), lines).items() if form in (names or formats.FORMATS)}
        before, now = Tree(tree, files), Tree(ROOT, files)
        figures = [figure for kernel in before.kernels for figure in _pairs(kernel, commit, before, now, pairs)]
        before.close()
        now.close()
    print_table(figures)
    if other := [kernel for kernel, facts in before.facts.items() if facts != now.facts[kernel]]:
        sys.exit(f"bench: other hits than at {commit}: {', '.join(other)}")


def _pairs(kernel: str, commit: str, before: Tree, now: Tree, pairs: int) -> list[Figure]:
    before.read(kernel)  # remembers what it will meet again
    now.read(kernel)
    read: list[dict[Tree, float]] = []
    for number in range(pairs):
        read.append({tree: tree.read(kernel) for tree in ((before, now), (now, before))[number % 2]})
    hits = now.facts[kernel][0]
    own = tuple(pair[now] / hits * 1e6 for pair in read)
    times = tuple(pair[now] / pair[before] for pair in read)
    return [
        Figure(PART, kernel, own, "µs a line", f"{hits:,} hits"),
        Figure(PART, f"{kernel}, times {commit}", times, "x", "pair by pair", Goal(AT_MOST, _GOAL)),
    ]


@contextmanager
def _tree(commit: str, folder: Path) -> Iterator[Path]:
    """The files of a commit."""
    tree = folder / "tree"
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(tree), commit], cwd=ROOT, check=True)
    try:
        yield tree
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)


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
