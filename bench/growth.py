"""Part `growth`: CPU of a worker on Kafka and bytes of its changelog as one thing grows and the others stay: three sizes, ten times each.

The exponent is the slope of the fitted line through the logarithms, or that of the last step where it is greater: 1 where twice as much
costs twice as much.
"""

from __future__ import annotations

import itertools
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import log10
from typing import NamedTuple

from bench.context import PARTITIONS, Context
from bench.figures import AT_MOST, Figure, Goal, number
from bench.logs import Log, check, made
from bench.processes import cpu_seconds
from bench.topics import Topics
from bench.worker import PATIENCE_S, changelog_of, drained, open_live, send
from tests.flow.content import TRUE_FIELDS, Content

__all__ = ["run"]

PART = "growth"
Rows = Iterator[tuple[float, int, int, int, int]]


class Dimension(NamedTuple):
    """One thing that grows."""

    unit: str
    sizes: tuple[int, ...]
    rows: Callable[[int], Rows]
    """From a size to a log."""


class Cost(NamedTuple):
    """Of one log."""

    cpu_seconds: float
    changelog_bytes: int


def run(context: Context) -> list[Figure]:
    """The exponents. One worker takes the logs of all sizes; each number of partitions has a worker of its own."""
    figures = []
    dimensions = _dimensions(context)
    numbers = itertools.count()
    with _worker(context) as measured:
        for name, dimension in dimensions.items():
            costs = []
            for size in dimension.sizes:
                context.say(f"{name}: {size:,} {dimension.unit}")
                log_number = next(numbers)
                path = context.folder / f"growth-{log_number}.log"
                costs.append(measured(made(path, _apart(dimension.rows(size), log_number))))
                path.unlink()
            figures += _figures(name, dimension.unit, dimension.sizes, costs)
    sizes, costs = context.pick((1, 10, 100), (1, 2)), []
    log = made(context.folder / "growth-partitions.log", _spread(context.pick(40_000, 400), context.pick(5_000, 50)))
    for partitions in sizes:
        context.say(f"partitions: {partitions}")
        with _worker(context, partitions) as measured:
            costs.append(measured(log))
    return [*figures, *_figures("partitions", "partitions", sizes, costs)]


def _figures(name: str, unit: str, sizes: Sequence[int], costs: Sequence[Cost]) -> list[Figure]:
    found = []
    told = " / ".join(f"{size:,}" for size in sizes)
    for what, in_what, values in (
        ("CPU", "s", [cost.cpu_seconds for cost in costs]),
        ("changelog", "bytes", [float(cost.changelog_bytes) for cost in costs]),
    ):
        note = f"{told} {unit}: {' / '.join(map(number, values))} {in_what}; exponent of the last step {_slope(sizes[-2:], values[-2:]):.2f}"
        found.append(Figure(PART, f"{name}: {what}", (_slope(sizes, values),), "exponent", note, Goal(AT_MOST, 1.1)))
    return found


def _slope(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Of the least squares line through the logarithms."""
    return statistics.linear_regression(
        [log10(size) for size in sizes], [log10(max(cost, 0.01)) for cost in costs]
    ).slope


def _dimensions(context: Context) -> dict[str, Dimension]:
    least = context.pick(4_000, 80)  # lines of the smallest log: below, the clock of a process is too coarse
    same = context.pick(40_000, 400)  # lines where their number stays
    keys = context.pick(200, 4)
    deep = context.pick(100, 10)

    def sizes(first: int) -> tuple[int, ...]:
        return (first, 10 * first, 100 * first)[: context.pick(3, 2)]

    return {
        "lines": Dimension("lines", sizes(least), lambda lines: _spread(lines, lines // 8)),
        "keys": Dimension("keys", sizes(keys), lambda keys: _spread(same, keys)),
        "hits a delivery": Dimension("hits in each of 20", sizes(deep), lambda hits: _deep(20, hits, one_byte=False)),
        "hostile one-byte ranges": Dimension(
            "ranges in each of 20", sizes(deep), lambda hits: _deep(20, hits, one_byte=True)
        ),
    }


def _apart(rows: Rows, number: int) -> Rows:
    """The same of other clients: every log has its own deliveries."""
    return ((time, client + number * 100_000, name, lo, hi) for time, client, name, lo, hi in rows)


def _spread(lines: int, keys: int) -> Rows:
    """Lines over keys in turn, each the next piece of the file."""
    for place in range(lines):
        piece, key = divmod(place, keys)
        yield 1.6e9 + place * 3600 // lines, key, key // 7, piece * 1000, piece * 1000 + 999


def _deep(keys: int, hits: int, one_byte: bool) -> Rows:
    """Few deliveries of many hits in shuffled order: pieces that join in the end, or every second byte, which never do."""
    rng = random.Random(1)
    orders = [rng.sample(range(hits), hits) for _ in range(keys)]
    for place in range(hits):
        for key in range(keys):
            piece = orders[key][place]
            span = (2 * piece, 2 * piece) if one_byte else (piece * 1000, piece * 1000 + 999)
            yield (1.6e9 + place * 3600 // hits, key, key, *span)


@contextmanager
def _worker(context: Context, partitions: int = PARTITIONS) -> Iterator[Callable[[Log], Cost]]:
    """What sends a log through a running worker; at the end the deliveries of all of them are compared."""
    wanted: Content = {}
    broker = context.server("kafka")
    with (
        open_live(context.fresh("growth"), broker, PARTITIONS=partitions, TICK_INTERVAL=context.tick_s) as live,
        Topics(broker.port, partitions) as topics,
    ):
        worker = live.start_worker()
        live.wait_started()
        changelog = changelog_of(live)
        live.wait_until(lambda: topics.count(changelog) >= partitions, "the worker to own its partitions")

        def measured(log: Log) -> Cost:
            since, before = topics.ends(changelog), cpu_seconds(worker.process.pid)
            send(live, log)
            live.wait_until(drained(live), "the flow to read everything", PATIENCE_S)
            used = cpu_seconds(worker.process.pid) - before
            wanted.update(log.wanted)
            return Cost(
                used, sum(len(record.key) + len(record.value or b"") for record in topics.records(changelog, since))
            )

        yield measured
        worker.stop()
        check("the worker", live.deliveries(TRUE_FIELDS), wanted)
