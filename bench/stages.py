"""`python -m bench.stages`: CPU a line in each stage between the topics, in one process, without a broker or a store."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from agents.count_requests import requests_of
from app.domain.formats import FormatOptions
from app.domain.open_deliveries import no_sizes
from app.domain.windows import Rules
from app.engine.partition import MemoryPart
from app.flows.requests import REQUESTS
from app.messages.events import encode_counted
from app.messages.origins import Lines
from app.messages.records import encode_deliveries
from app.messages.tokens import decode_tokens, encode_tokens
from app.settings import settings
from app.steps.ledger import Arrived, Ledger
from app.steps.merger import Merger
from app.steps.tokenizer import Tokenizer
from bench.logs import simulated
from simulator.lines import FORMATS

NEVER = 1 << 62
BATCH_BYTES = 1 << 20
"""Tokens that are merged at a time."""


class Stages:
    """Seconds of CPU by name of the stage."""

    def __init__(self) -> None:
        self.cpu_s: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self.cpu_s[name] += time.process_time() - began


def chunks(data: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    """Whole lines, about `size` bytes at a time, each with its position."""
    at = 0
    while at < len(data):
        end = data.rfind(b"\n", at, at + size) + 1 if at + size < len(data) else len(data)
        yield at, data[at:end]
        at = end


def run(
    data: bytes, form: str, chunk_bytes: int, partitions: int, columns: bool, fields: str = ""
) -> tuple[int, int, dict[str, float]]:
    """Lines, distinct keys and the seconds of CPU of each stage."""
    own, stages = settings(), Stages()
    stage = stages.stage
    tokenizer = Tokenizer(partitions, form, FormatOptions(fields=fields), columns_from_bytes=0 if columns else NEVER)
    merger = Merger(
        Rules(own.window, own.window_length, own.lateness), no_sizes, own.state_ttl, own.changelog_batch_bytes
    )
    ledger = Ledger(REQUESTS.rules(own), own.changelog_batch_bytes)
    states = [MemoryPart() for _ in range(partitions)]
    counts = [MemoryPart() for _ in range(partitions)]
    waiting: list[list[bytes]] = [[] for _ in range(partitions)]
    lines, offsets = 0, [0] * partitions

    def merge(partition: int) -> None:
        values, waiting[partition] = waiting[partition], []
        with stage("tokens read"):
            messages = [decode_tokens(value) for value in values]
        steps = merger.steps(partition, states[partition], messages)
        while True:
            with stage("merged"):
                step = next(steps, None)
            if step is None:
                return
            with stage("records written"):
                encode_deliveries(step.records)
            with stage("state changed"):
                states[partition].apply(list(step.changes.items()), 0)

    def count(partition: int, values: list[bytes]) -> None:
        """What WEBLOGS_COUNT_REQUESTS adds."""
        with stage("requests counted"):
            for value in values:
                offsets[partition] += 1
                arrived = Arrived(offsets[partition], time.time(), requests_of(value).events)
                for step in ledger.steps("weblogs_tokens@1", partition, counts[partition], [arrived]):
                    encode_counted((), step.sums)
                    counts[partition].apply(list(step.changes.items()), 0)

    for number, (position, chunk) in enumerate(chunks(data, chunk_bytes)):
        headers = {"source": b"0" * 32, "name": b"bench", "position": b"%d" % position}
        with stage("lines read"):
            found = tokenizer.tokenize([Lines("weblogs@1", 0, number, time.time(), chunk, headers)])
        lines += found.lines
        with stage("tokens written"):
            values = {partition: encode_tokens(tokens) for partition, tokens in found.tokens.items()}
        for partition, some in values.items():
            count(partition, some)
            waiting[partition] += some
            if sum(map(len, waiting[partition])) >= BATCH_BYTES:
                merge(partition)
    for partition in range(partitions):
        if waiting[partition]:
            merge(partition)
    return lines, sum(state.entries for state in states), dict(stages.cpu_s)


@click.command()
@click.option("--lines", default=400_000, show_default=True, help="Simulated lines.")
@click.option("--chunk-bytes", default=512 << 10, show_default=True, help="Size of a message of lines.")
@click.option("--partitions", default=8, show_default=True)
@click.option("--format", "form", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True)
@click.option("--fields", default="", help="Optional fields that hits keep, as in WEBLOGS_FIELDS.")
def main(lines: int, chunk_bytes: int, partitions: int, form: str, fields: str) -> None:
    """CPU of each stage, lines as rows beside lines as columns."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        data = simulated(Path(name), lines, form).path.read_bytes()
    run(data[: 1 << 20], form, chunk_bytes, partitions, True, fields)  # loads the libraries
    counted, keys, rows = run(data, form, chunk_bytes, partitions, False, fields)
    counted_too, keys_too, columns = run(data, form, chunk_bytes, partitions, True, fields)
    assert (counted, keys) == (counted_too, keys_too)
    click.echo(f"{counted:,} lines, {keys:,} keys; CPU in µs a line")
    table = Table("stage", "rows", "columns", box=None)
    for stage in rows:
        table.add_row(stage, f"{rows[stage] / counted * 1e6:.2f}", f"{columns[stage] / counted * 1e6:.2f}")
    table.add_row("all", f"{sum(rows.values()) / counted * 1e6:.2f}", f"{sum(columns.values()) / counted * 1e6:.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
