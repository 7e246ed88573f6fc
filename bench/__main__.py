"""`python -m bench`: how fast are `reduce` and the flow, and are they right?"""

from __future__ import annotations

import json
import os
import platform
import statistics
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench.measure import Run, flow_run, reduce_run, simulate
from tests.flow.content import TRUE_FIELDS, Content, differences, truth

QUICK_LINES, FULL_LINES = 50_000, 1_000_000


@click.command()
@click.option("--quick", is_flag=True, help="50,000 lines, one run each: for the equality of results, not for rates.")
@click.option("--lines", type=int, help="Another number of lines.")
@click.option("--runs", type=int, help="Runs of each, 3 by default; the table shows the median, least and greatest.")
def main(quick: bool, lines: int | None, runs: int | None) -> None:
    """Rates of reduce and of the running flow on one simulated log; every result is compared with the truth."""
    lines = lines or (QUICK_LINES if quick else FULL_LINES)
    runs = runs or (1 if quick else 3)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        log, answers = simulate(folder, lines)
        wanted = truth(answers)
        click.echo(
            f"{lines:,} lines, {log.stat().st_size:,} bytes, {len(wanted):,} deliveries; "
            f"{os.cpu_count()} cores, Python {platform.python_version()}, {runs} run{'s' * (runs > 1)} each"
        )
        reduces, flows = [], []
        for number in range(runs):  # in turn, so that a slow minute of the machine hits both
            reduces.append(_checked_reduce(log, folder / "out.jsonl", wanted))
            flows.append(flow_run(log, folder / f"var-{number}", wanted))
    table = Table("what", "lines/s", "least", "greatest", "CPU µs a line", "memory at most", box=None)
    _row(table, "reduce, one core, start and result file included", lines, reduces)
    _row(table, "flow: log to embedded store, raw hits kept", lines, flows)
    Console(width=120).print(table)
    click.echo("every result equals the simulator's truth")


def _checked_reduce(log: Path, out: Path, wanted: Content) -> Run:
    run = reduce_run(log, out)
    found = {}
    with out.open() as file:
        for line in file:
            record = json.loads(line)
            key = (record["ip_address"], record["user_agent"], record["request"], record["window_start"])
            found[key] = tuple(record[name] for name in TRUE_FIELDS)
    if wrong := differences(found, wanted):
        raise SystemExit(f"reduce is wrong: {wrong}")
    return run


def _row(table: Table, what: str, lines: int, runs: list[Run]) -> None:
    rates = sorted(lines / run.seconds for run in runs)
    cpu = statistics.median(run.cpu_seconds for run in runs) / lines * 1e6
    memory = max(run.rss_bytes for run in runs)
    table.add_row(
        what, f"{statistics.median(rates):,.0f}", f"{rates[0]:,.0f}", f"{rates[-1]:,.0f}", f"{cpu:.1f}", f"{memory / 2**20:,.0f} MiB"
    )


if __name__ == "__main__":
    main(prog_name="python -m bench")
