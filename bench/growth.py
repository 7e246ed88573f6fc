"""Part `growth`: CPU of a worker on Kafka and bytes of its changelog as one thing grows and the others stay: three sizes, ten times each.

The exponent is the slope of the fitted line through the logarithms: 1 where twice as much costs twice as much.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from math import log10
from typing import NamedTuple

from bench.context import PARTITIONS, Context
from bench.figures import AT_MOST, Figure, Goal, number
from bench.logs import Log, check, made
from bench.processes import cpu_seconds
from bench.topics import Topics
from bench.worker import PATIENCE_S, changelog_of, drained, open_live, send, watch
from tests.flow.content import TRUE_FIELDS

__all__ = ["run"]

PART = "growth"
SIZES = (1, 10, 100)
Rows = Iterator[tuple[float, int, int, int, int]]


class Dimension(NamedTuple):
    """One thing that grows."""

    rows: Callable[[int], Rows]
    """From the factor, 1, 10 or 100, to a log."""
    grows_to: Callable[[int], str]
    """From the factor to what there is then."""
    partitions: Callable[[int], int] = lambda _: PARTITIONS


class Cost(NamedTuple):
    """Of one run."""

    cpu_seconds: float
    changelog_bytes: int


def run(context: Context) -> list[Figure]:
    """The exponents, one goal for all of them."""
    figures = []
    for name, dimension in _dimensions(context).items():
        sizes = SIZES
        logs = [made(context.folder / f"growth-{factor}.log", dimension.rows(factor)) for factor in sizes]
        works = [
            (f"{name}: {dimension.grows_to(factor)}", lambda log=log, factor=factor: _run(context, log, dimension.partitions(factor)))  # noqa: B023
            for factor, log in zip(sizes, logs, strict=True)
        ]
        found = context.repeat(works, 1)
        told = ", ".join(dimension.grows_to(factor) for factor in sizes)
        for what, unit, pick in (("CPU", "s", lambda cost: cost.cpu_seconds), ("changelog", "bytes", lambda cost: float(cost.changelog_bytes))):
            costs = [statistics.median(map(pick, costs)) for costs in found]
            note = f"{told}: {', '.join(map(number, costs))} {unit}; the last ten times {_slope(sizes[1:], costs[1:]):.2f}"
            figures.append(Figure(PART, f"{name}: {what}", (_slope(sizes, costs),), "exponent", note, Goal(AT_MOST, 1.1)))
    return figures


def _slope(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Of the least squares line through the logarithms."""
    return statistics.linear_regression([log10(size) for size in sizes], [log10(max(cost, 0.01)) for cost in costs]).slope


def _dimensions(context: Context) -> dict[str, Dimension]:
    few = context.pick(8_000, 80)  # lines of the smallest log: below, the clock of the process is too coarse
    most = context.pick(80_000, 800)  # lines where their number stays the same
    deep = context.pick(100, 2)  # hits, and ranges, of a delivery at the smallest
    return {
        "lines": Dimension(lambda factor: _spread(few * factor, few * factor // 8), lambda factor: f"{few * factor:,} lines"),
        "keys": Dimension(lambda factor: _spread(most, most * factor // 200), lambda factor: f"{most * factor // 200:,} keys"),
        "hits a delivery": Dimension(
            lambda factor: _deep(20, deep * factor, one_byte=False), lambda factor: f"{deep * factor:,} hits in each of 20"
        ),
        "hostile one-byte ranges": Dimension(
            lambda factor: _deep(20, deep * factor, one_byte=True), lambda factor: f"{deep * factor:,} ranges in each of 20"
        ),
        "partitions": Dimension(
            lambda _: _spread(most, most // 8), lambda factor: f"{factor} partitions", lambda factor: factor if factor < 100 else 100
        ),
    }


def _spread(lines: int, keys: int) -> Rows:
    """Lines over keys in turn, each the next piece of the file."""
    keys = max(1, keys)
    return ((1.6e9 + place * 3600 // lines, place % keys, place % keys // 7, place // keys * 1000, place // keys * 1000 + 999) for place in range(lines))


def _deep(keys: int, hits: int, one_byte: bool) -> Rows:
    """Few deliveries of many hits in shuffled order: pieces that join in the end, or every second byte, which never do."""
    rng = random.Random(1)
    orders = [rng.sample(range(hits), hits) for _ in range(keys)]
    for place in range(hits):
        for key in range(keys):
            piece = orders[key][place]
            span = (2 * piece, 2 * piece) if one_byte else (piece * 1000, piece * 1000 + 999)
            yield (1.6e9 + place * 3600 // hits, key, key, *span)


def _run(context: Context, log: Log, partitions: int) -> Cost:
    broker = context.server("kafka")
    with (
        open_live(context.fresh("growth"), broker, PARTITIONS=partitions, TICK_INTERVAL=60) as live,
        Topics(broker.port, partitions) as topics,
    ):
        worker = live.start_worker()
        live.wait_started()
        changelog = changelog_of(live)
        live.wait_until(lambda: topics.count(changelog) >= partitions, "the worker to own its partitions")
        before = cpu_seconds(worker.process.pid)
        idle_before = topics.count("weblogs_reduced")
        send(live, log)
        watching = watch(live, [worker], broker, topics)
        watching.until(drained(live), PATIENCE_S)
        end = next(look for look in watching.looks if look.written == watching.looks[-1].written)
        assert idle_before == 0
        size = sum(len(record.key) + len(record.value or b"") for record in topics.records(changelog))
        worker.stop()
        check("the worker", live.deliveries(TRUE_FIELDS), log.wanted)
        return Cost(end.cpu_seconds - before, size)


