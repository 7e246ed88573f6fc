"""Part `recovery`: kill -9, and how soon the table of a worker on Kafka is whole again: from the changelog alone, and from its disk."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.context import Context
from bench.failing import BenchError
from bench.figures import AT_LEAST, Figure, Goal
from bench.topics import Topics
from bench.worker import PATIENCE_S, drained, open_live
from tests.flow.content import TRUE_FIELDS
from tests.live.running import Live, Supervised

__all__ = ["run"]

PART = "recovery"
_READ = re.compile(r"byte_ranges: (\d+) changelog records read in ([0-9.]+) s")
_SECOND_HITS = 1000
_HITS = TRUE_FIELDS.index("hits")


class Recovery(NamedTuple):
    """What the worker says of one, and the clock from the kill on."""

    records: int
    seconds: float
    whole_seconds: float
    """From the kill until the table was whole: restart and imports included."""


def run(context: Context) -> list[Figure]:
    """With the state in memory: all keys from the changelog. With RocksDB: only what came since its last write."""
    keys = context.pick(1_000_000, 2_000)
    broker = context.server("kafka")
    folder = context.fresh("recovery")
    lines = _write(folder / "keys.log", range(keys), 0)
    again = _write(folder / "again.log", range(0, keys, max(1, keys // _SECOND_HITS)), 1)
    with (
        open_live(folder, broker, TICK_INTERVAL=context.tick_s) as live,
        Topics(broker.port, live.settings.partitions) as topics,
    ):
        context.say(f"filling a table with {keys:,} keys")
        worker = live.start_worker("memory", TABLE_STORE="memory")
        _through(live, folder / "keys.log")
        if topics.count("weblogs_rejects"):
            raise BenchError("lines of the recovery log were rejected")
        memory = [_killed(context, worker, f"memory store, kill {number + 1}") for number in range(context.runs)]
        worker.stop()
        context.say("RocksDB store: filling it from the changelog")
        worker = live.start_worker("disk", TABLE_STORE="rocksdb")
        filled = _next(worker, 0, time.monotonic())
        disk = [_killed(context, worker, f"RocksDB store, kill {number + 1}") for number in range(context.runs)]
        _through(live, folder / "again.log")
        disk.append(_killed(context, worker, "RocksDB store, kill after more lines"))
        worker.stop()
        _check(live, lines, again)
    if wrong := [one.records for one in (*memory, filled) if one.records < keys]:
        raise BenchError(f"a recovery read {wrong[0]:,} records of a table with {keys:,} keys")
    note = (
        f"{keys:,} keys; from the kill to a whole table {statistics.median(one.whole_seconds for one in memory):.1f} s"
    )
    rate = tuple(one.records / max(one.seconds, 0.05) for one in memory)
    return [
        Figure(PART, "memory store: changelog records read", rate, "keys/s", note, Goal(AT_LEAST, 100_000)),
        Figure(
            PART,
            "RocksDB store, empty: the same",
            (filled.records / max(filled.seconds, 0.05),),
            "keys/s",
            f"{keys:,} keys",
        ),
        Figure(
            PART,
            "RocksDB store: records read after a kill",
            tuple(float(one.records) for one in disk),
            "records",
            f"{keys:,} keys",
        ),
        Figure(
            PART,
            "RocksDB store: from the kill to a whole table",
            tuple(one.whole_seconds for one in disk),
            "s",
            "restart included",
        ),
    ]


def _write(path: Path, keys: range, number: int) -> int:
    """A line for each key, its hit number `number`."""
    from simulator.lines import HEADS, line_writer

    write = line_writer("weblog_tsv")

    def lines() -> Iterator[str]:
        for key in keys:
            address = f"10.{key >> 16 & 255}.{key >> 8 & 255}.{key & 255}"
            lo = number * 1000
            time_s = 1_600_000_000 + key // 50  # all of it within the lateness: nothing is evicted
            yield write(
                time_s,
                address,
                f"Player/{key % 200}.0 (Linux)",
                f"GET /media/{key}.mp4 HTTP/1.1",
                206,
                lo,
                lo + 999,
                -1,
                -1,
            )

    with path.open("w") as file:
        file.write(HEADS["weblog_tsv"])
        file.writelines(lines())
    return len(keys)


def _through(live: Live, log: Path) -> None:
    live.replay(log).wait(PATIENCE_S)
    live.wait_until(drained(live), "the flow to read everything", PATIENCE_S)


def _killed(context: Context, worker: Supervised, what: str) -> Recovery:
    """Kill it; it is started again at once."""
    context.say(what)
    before = len(_READ.findall(worker.text()))
    killed = time.monotonic()
    worker.kill()
    return _next(worker, before, killed)


def _next(worker: Supervised, before: int, began: float) -> Recovery:
    while len(found := _READ.findall(worker.text())) <= before:
        if time.monotonic() - began > 300:
            raise BenchError(f"the table was not whole after 300 s: {worker.text()[-2000:]}")
        time.sleep(0.02)
    records, seconds = found[-1]
    return Recovery(int(records), float(seconds), time.monotonic() - began)


def _check(live: Live, lines: int, again: int) -> None:
    """The hits that came after the recoveries met those from before."""
    hits = [answer[_HITS] for answer in live.deliveries(TRUE_FIELDS).values()]
    if len(hits) != lines or hits.count(2) != again or hits.count(1) != lines - again:
        raise BenchError(f"after recovery: {len(hits)} deliveries of {lines}, {hits.count(2)} of {again} with two hits")
