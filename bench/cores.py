"""Part `cores`: two workers on two cores beside one on one core, on Kafka.

The workers are stopped while the log goes into its topic, so that the replay takes none of their time. They have their tables before: a
worker that is stopped while it reads one runs into the time limits of what it asked the broker, and ends. The broker runs on the core
that the one worker does not use, and on both beside two: its share is measured and shown, and taken off the cores that the workers had.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from functools import partial

from bench.context import Context
from bench.failing import BenchError
from bench.figures import AT_LEAST, Figure, Goal, between
from bench.logs import Log, check
from bench.processes import Run, pin
from bench.topics import Topics
from bench.worker import PATIENCE_S, changelog_of, drained, open_live, send, watch
from tests.flow.content import TRUE_FIELDS
from tests.live.running import Live, Supervised

__all__ = ["run"]

PART = "cores"
_READ = re.compile(r"(\w+): \d+ changelog records read")


def run(context: Context) -> list[Figure]:
    """Rates, the broker's share, and how many times one worker two are."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise BenchError("two workers on two cores need two cores: this machine lets us use one")
    log = context.log
    one, two = context.repeat(
        [
            ("one worker on one core", lambda: _run(context, log, [cores[0]], {cores[1]})),
            ("two workers on two cores", lambda: _run(context, log, cores, set(cores))),
        ],
    )
    rates_one = [log.lines / run.seconds for run in one]
    rates_two = [log.lines / run.seconds for run in two]
    shares = [run.broker_seconds / run.seconds for run in two]
    left = [rate / (2 - share) for rate, share in zip(rates_two, shares, strict=True)]
    busy = [run.cpu_seconds / run.seconds for run in two]
    return [
        Figure(PART, "one worker on one core", tuple(rates_one), "lines/s", f"{log.told}; the broker on the other core"),
        Figure(PART, "two workers on two cores", tuple(rates_two), "lines/s", f"{log.told}; the broker on the same cores"),
        Figure(PART, "the broker's share of those two cores", tuple(shares), "cores", f"the workers had {min(busy):.2f} cores or more"),
        between(PART, "two workers, times one", rates_two, rates_one, "x", "as they ran, beside the broker"),
        between(
            PART, "two workers, times one, the broker's share apart", [2 * rate for rate in left], rates_one, "x",
            "lines a second and core that the broker left to them", Goal(AT_LEAST, 1.7),
        ),
    ]  # fmt: skip


def _run(context: Context, log: Log, cores: list[int], broker_cores: set[int]) -> Run:
    broker = context.server("kafka")
    before = os.sched_getaffinity(0)
    # frozen workers keep their partitions for a session
    with (
        open_live(context.fresh("cores"), broker, KAFKA_SESSION=300, TICK_INTERVAL=context.tick_s) as live,
        Topics(broker.port, live.settings.partitions) as topics,
    ):
        workers = _started(live, cores)
        names = {worker.process.pid: core for worker, core in zip(workers, cores, strict=True)}
        live.wait_until(
            lambda: set(_owners(topics, changelog_of(live))) == set(names), "every worker to have partitions"
        )
        for worker in workers:
            worker.signal(signal.SIGSTOP)
        try:
            send(live, log)
            pin(_pid(broker.pid), broker_cores)
            for pid, core in names.items():
                pin(pid, {core})
        finally:
            for worker in workers:
                worker.signal(signal.SIGCONT)
        try:
            run = watch(live, workers, broker, topics).until(drained(live), PATIENCE_S)
        finally:
            pin(_pid(broker.pid), before)
        for worker in workers:
            worker.stop()
        check(f"{len(cores)} workers", live.deliveries(TRUE_FIELDS), log.wanted)
        return run


def _started(live: Live, cores: list[int]) -> list[Supervised]:
    """A worker for each core, one after the other: each has read the tables of the partitions that the next one leaves to it."""
    workers: list[Supervised] = []
    for core in cores:
        before = [_tables_read(worker) for worker in workers]
        new = live.start_worker(f"worker-{core}")
        live.wait_started(f"worker-{core}")
        for worker, was in zip(workers, before, strict=True):
            live.wait_until(partial(_all_read_again, worker, was), "a worker to read its tables again")
        workers.append(new)
    return workers


def _all_read_again(worker: Supervised, was: Counter[str]) -> bool:
    return all(_tables_read(worker)[table] > times for table, times in was.items())


def _tables_read(worker: Supervised) -> Counter[str]:
    """Table -> how often the worker has read its changelog: one more with each change of its partitions."""
    return Counter(_READ.findall(worker.text()))


def _pid(pid: int | None) -> int:
    if pid is None:
        raise BenchError("the broker ended")
    return pid


def _owners(topics: Topics, changelog: str) -> Counter[int]:
    """Process id of the last owner of a partition -> partitions; empty while a partition has none."""
    last = {
        record.partition: int(record.value.split()[0])
        for record in topics.records(changelog)
        if record.key == b"\0owner"
    }
    return Counter(last.values()) if len(last) == topics.partitions else Counter()
