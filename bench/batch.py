"""Part `batch`: `reduce` on both cores beside GoAccess, DuckDB and Polars, from the log file to a result file, start included."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from urllib.parse import unquote

from app.domain.proof import Proof
from app.domain.windows import Rules
from bench.context import Context
from bench.failing import BenchError
from bench.figures import AT_LEAST, AT_MOST, Figure, Goal, between
from bench.logs import Log, check, narrowed, simulated
from bench.needs import PEER_PYTHON
from bench.processes import Run, run_to_end
from tests.flow.content import TRUE_FIELDS, Content, reduced

__all__ = ["reduce_run", "run"]

PART = "batch"
_GOALS = {"weblog_tsv": 1_000_000, "combined_range": 500_000}


def run(context: Context) -> list[Figure]:
    """Both formats; and how the memory of `reduce` grows when the lines do and the open deliveries do not."""
    figures: list[Figure] = []
    for form, goal in _GOALS.items():
        log = context.log if form == "weblog_tsv" else simulated(context.folder, context.lines, form)
        works: dict[str, Callable[[], Run]] = {
            "reduce": partial(reduce_run, context, log),
            "DuckDB": partial(_peer_run, context, "duckdb", log, form, str(len(os.sched_getaffinity(0)))),
            "Polars": partial(_peer_run, context, "polars", log, form),
            "GoAccess": partial(_goaccess_run, context, log, form),
        }
        found = dict(
            zip(works, context.repeat([(f"{name}, {form}", work) for name, work in works.items()]), strict=True)
        )
        rates = {name: tuple(log.lines / run.seconds for run in runs) for name, runs in found.items()}
        for name, runs in found.items():
            cpu = sorted(run.cpu_seconds for run in runs)[len(runs) // 2] / log.lines * 1e6
            memory = max(run.rss_bytes for run in runs) / 2**20
            note = f"{log.told}; {cpu:.2f} µs CPU a line; {memory:,.0f} MiB at most"
            figures.append(
                Figure(
                    PART,
                    f"{name}, {form}",
                    rates[name],
                    "lines/s",
                    note,
                    Goal(AT_LEAST, goal) if name == "reduce" else None,
                )
            )
        for name, times in (("GoAccess", 10), ("DuckDB", 3), ("Polars", None)):
            want = None if times is None else Goal(AT_LEAST, times)
            figures.append(between(PART, f"reduce beside {name}, {form}", rates["reduce"], rates[name], "x", goal=want))
    return [*figures, _memory(context)]


def reduce_run(context: Context, log: Log) -> Run:
    """`python -m app reduce` into a JSON lines file, all fields compared."""
    folder = context.fresh("reduce")
    out = folder / "out.jsonl"
    run = run_to_end(
        [sys.executable, "-m", "app", "reduce", "--quiet", "-o", str(out), str(log.path)], folder / "printed.log"
    )
    found = {}
    with out.open() as file:
        for line in file:
            record = json.loads(line)
            key = (record["ip_address"], record["user_agent"], record["request"], record["window_start"])
            found[key] = tuple(record[name] for name in TRUE_FIELDS)
    check("reduce", found, log.wanted)
    out.unlink()
    return run


def _peer_run(context: Context, name: str, log: Log, *more: str) -> Run:
    folder = context.fresh(name)
    out = folder / "out.jsonl"
    run = run_to_end(
        [str(PEER_PYTHON), "-m", f"bench.peers.batch_{name}", str(log.path), str(out), *more], folder / "printed.log"
    )
    found = {}
    with out.open() as file:
        for line in file:
            row = json.loads(line)
            key = (row["ip_address"], row["user_agent"], row["request"], float(row["first"]))
            found[key] = (float(row["first"]), float(row["last"]), row["ranges"] or [], row["hits"], row["sent"])
    check(name, found, _wanted_of_peers(log.path))
    out.unlink()
    return run


@cache
def _wanted_of_peers(log: Path) -> Content:
    """What `reduce` makes of the log if all that was sent counts: peers know no bytes in flight. Its own run is held to the truth."""
    return narrowed(reduced(log, rules=Rules(proof=Proof(in_flight_bytes=0)), fields=TRUE_FIELDS)[0])


def _goaccess_run(context: Context, log: Log, form: str) -> Run:
    """Its JSON report. It knows no byte ranges: the lines that it took and the hits of each request are compared."""
    from bench.peers.goaccess import command, hits_of

    folder = context.fresh("goaccess")
    out = folder / "out.json"
    run = run_to_end(command(log.path, out, form), folder / "printed.log")
    report = json.loads(out.read_text())
    if report["general"]["valid_requests"] != log.lines:
        raise BenchError(f"GoAccess counted {report['general']['total_requests']} of {log.lines} lines")
    found, wanted = hits_of(report), _hits_by_path(log.path, form)
    if wrong := [(path, hits, wanted[path]) for path, hits in found.items() if hits != wanted[path]]:
        raise BenchError(f"GoAccess: the hits of {len(wrong)} requests differ: {wrong[:3]}")
    if not found:
        raise BenchError("GoAccess told of no request")
    return run


@cache
def _hits_by_path(log: Path, form: str) -> Counter[str]:
    hits: Counter[str] = Counter()
    with log.open() as file:
        if form == "weblog_tsv":
            next(file)
        for line in file:
            request = line.split("\t")[4] if form == "weblog_tsv" else line.split('"')[1]
            words = request.split(" ")
            path = " ".join(words[1:-1]) if words[-1].startswith("HTTP/") else request
            hits[unquote(path)] += 1  # as GoAccess shows it
    return hits


def _memory(context: Context) -> Figure:
    """Ten times the lines over ten times the days: as many deliveries are open at a time.

    The fewer lines are enough for all reading processes: what one reads at a time is part of what is compared.
    """
    times = context.pick(10, 1)
    few, many = _days(context, times), _days(context, 10 * times)
    small, large = (tuple(run.rss_bytes for run in runs) for runs in context.repeat(
        [("reduce, memory, few lines", lambda: reduce_run(context, few)), ("reduce, memory, ten times", lambda: reduce_run(context, many))]
    ))  # fmt: skip
    note = f"{few.lines:,} and {many.lines:,} lines, as many deliveries open"
    return between(PART, "reduce: memory at ten times the lines", large, small, "x", note, Goal(AT_MOST, 1.5))


def _days(context: Context, times: int) -> Log:
    """Deliveries that are over within an hour, each of eight hits; three days of them, or as many times that."""
    from bench.logs import made

    keys = context.pick(6_000, 100) * times
    step = 3 * 86_400 * times / keys
    rows = (
        (1.6e9 + number * step + hit, number % 40_000, number, hit * 1000, hit * 1000 + 999)
        for number in range(keys)
        for hit in range(8)
    )
    return made(context.folder / f"days-{times}.log", rows)
