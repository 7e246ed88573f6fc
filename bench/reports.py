"""Part `reports`: each question of `report` to a log of combined lines, and to the file of hits that `report index` wrote of it."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from bench.context import Context
from bench.failing import BenchError
from bench.figures import AT_MOST, Figure, Goal
from bench.logs import simulated
from bench.processes import Run, run_to_end

__all__ = ["run"]

PART = "reports"
_GOAL_S, _GOAL_OF_INDEX_S = 3.0, 0.5
_QUESTIONS = {
    "requests": ("--by", "hour"),
    "hosts": (),
    "transfer": (),
    "countries": ("--no-dns",),
    "files": (),
    "clients": (),
    "referers": (),
    "not-found": (),
    "why": (),
    "crawlers": (),
    "visitors": (),
    "waste": (),
    "classes": (),
    "titles": (),
    "qoe": (),
    "hotlinks": (),
    "downloads": (),
    "curve": ("--of", "{path}"),
    "heat": ("--of", "{path}"),
}
"""Question to what it is asked with. Both inputs must give the same answer. `latency` is missing: the simulator's lines tell no durations."""


def run(context: Context) -> list[Figure]:
    """Seconds from the start of the command to its end, with its CPU and its memory."""
    log = simulated(context.folder, context.lines, "combined_range")
    index = context.folder / "hits.parquet"
    run_to_end(_command("index", (), log.path, "-o", str(index)), context.folder / "index.log")
    path = min(log.wanted)[2].rpartition(" ")[2]
    works = [
        (f"{name}, {what}", partial(_ask, context, name, tuple(word.format(path=path) for word in more), source))
        for name, more in _QUESTIONS.items()
        for what, source in (("log", log.path), ("file of hits", index))
    ]
    found = context.repeat(works)
    for name in _QUESTIONS:
        answers = {_rows(each) for each in context.folder.glob(f"{name}-*/answer.csv")}
        if len(answers) != 1:
            raise BenchError(f"report {name} answers in {len(answers)} ways")
    return [_figure(name, runs, log.told) for (name, _), runs in zip(works, found, strict=True)]


def _figure(name: str, runs: list[Run], told: str) -> Figure:
    cpu = min(each.cpu_seconds for each in runs)
    memory = max(each.rss_bytes for each in runs) / 2**20
    goal = _GOAL_S if name.endswith(", log") else _GOAL_OF_INDEX_S
    note = f"{told}; {cpu:.2f} s of CPU at least; {memory:,.0f} MiB at most in one process"
    return Figure(PART, name, tuple(each.seconds for each in runs), "s", note, Goal(AT_MOST, goal))


def _rows(answer: Path) -> str:
    """Without the head, which names the input."""
    return "".join(line for line in answer.read_text().splitlines(keepends=True) if not line.startswith("#"))


def _command(name: str, words: tuple[str, ...], source: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "app", "report", name, *words, "-q", *more, str(source)]


def _ask(context: Context, name: str, words: tuple[str, ...], source: Path) -> Run:
    """Raises BenchError if nothing is answered."""
    folder = context.fresh(name)
    answer = folder / "answer.csv"
    run = run_to_end(_command(name, words, source, "-o", str(answer)), folder / "printed.log")
    if not _rows(answer).strip():
        raise BenchError(f"report {name} of {source.name} is empty")
    return run
