"""Part `memory`: what a delivery costs in the worker's memory, and whether lines of keys that were evicted cost anything."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from random import Random

from app.domain.entries import Entry
from app.domain.open_deliveries import entry_of
from app.domain.tallies import Mark, Part
from app.domain.windows import Rules
from app.engine.partition import DeliveriesPart
from app.messages.state_values import key_bytes, pack_entry
from app.process.memory import GIVE_BACK_INTERVAL_S
from bench.context import Context
from bench.embedded import open_flow
from bench.failing import BenchError
from bench.figures import AT_MOST, Figure, Goal, between
from bench.logs import Log, check, made
from bench.processes import resident_bytes
from bench.worker import PATIENCE_S, drained, open_live, send
from tables.byte_ranges import FORMS
from tests.flow.content import TRUE_FIELDS, stored

__all__ = ["run"]

PART = "memory"
HITS = 8
_LENGTH = 1000
"""Bytes of a hit."""
_CHUNK_BYTES = 64 << 10
"""Small messages: what is under way is little beside what is kept."""
_PERIOD_S = 4 * 86_400
"""More than a window and the lateness: what was fetched a period ago is evicted."""


def run(context: Context) -> list[Figure]:
    """Resident memory of a worker after it has read logs of different sizes: of the flow alone, on Kafka, with its table in memory; and on
    the embedded log, where the SQLite store shares the process and keeps pages and keys, up to bounds, that grow with its file."""
    few, many = context.pick((15_000, 75_000), (100, 300))
    keys = context.pick(20_000, 50)
    folder = context.folder
    small = made(folder / "few.log", _open(few))
    large = made(folder / "many.log", _open(many))
    once = made(folder / "once.log", _periods(keys, 1))
    often = made(folder / "often.log", _periods(keys, 10))
    logs = (small, large, once, often)
    flow, embedded = _measured(context, "flow", _flow, logs), _measured(context, "embedded", _embedded, logs)
    context.stop("kafka")
    own = sum(len(address) + len(request) for address, _, request, _ in large.wanted) / len(large.wanted)
    agent = sum(len(name) for _, name, _, _ in large.wanted) / len(large.wanted)
    note = f"{HITS} hits each, {few:,} and {many:,} deliveries; {own:.0f} bytes of address and request off, the agent's {agent:.0f} not"
    periods = f"{once.lines:,} and {often.lines:,} lines"

    def each(found: list[list[int]]) -> tuple[float, ...]:
        more = len(large.wanted) - len(small.wanted)
        return tuple((b - a) / more - own for a, b in zip(found[0], found[1], strict=True))

    return [
        *(_in_table(hits, step) for hits, step in ((HITS, 2000), (2 * HITS, 1000), (2 * HITS, 2000))),
        Figure(PART, "a delivery, beyond its own strings", each(flow), "bytes", note, Goal(AT_MOST, 300)),
        Figure(PART, "a delivery, with the SQLite store's caches", each(embedded), "bytes", note),
        between(PART, "ten times the lines, same keys, evicted", flow[3], flow[2], "x", periods, Goal(AT_MOST, 1.1)),
        between(PART, "the same with the SQLite store's caches", embedded[3], embedded[2], "x", periods),
    ]


def _in_table(hits: int, step: int) -> Figure:
    """What the table's part in memory allocates for each delivery more, without what the worker needs meanwhile."""
    rules, counts, form = Rules("last_touch"), (2_000, 10_000), bytes((FORMS.newest,))
    taken = []
    for deliveries in counts:
        keys = [
            (f"10.0.{number >> 8}.{number & 255}", "Mozilla/5.0", f"GET /media/film-{number}.mp4")
            for number in range(deliveries)
        ]
        tracemalloc.start()
        part = DeliveriesPart()
        for number, key in enumerate(keys):
            part.apply([(key_bytes(key), form + pack_entry(_entry(number, hits, step, rules)))], 0)
        taken.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    own = sum(len(key[0]) + len(key[2]) for key in keys) / len(keys)
    what = "apart" if step > _LENGTH else "in a row"
    each = (taken[1] - taken[0]) / (counts[1] - counts[0]) - own
    return Figure(
        PART,
        f"the table, {hits} hits {what}",
        (each,),
        "bytes",
        f"{own:.0f} bytes of address and request off",
        Goal(AT_MOST, 300),
    )


def _entry(number: int, hits: int, step: int, rules: Rules) -> Entry:
    short_ids = Random(number)
    parts = [
        Part(
            1.6e9 + 600 * hit,
            short_ids.getrandbits(64),
            at,
            at + _LENGTH - 1,
            _LENGTH,
            -1,
            Mark.OFFSETS | Mark.SENT,
            -1,
        )
        for hit, at in enumerate(range(0, hits * step, step))
    ]
    entry = entry_of(parts, rules)
    entry.touched, entry.sources = 1.7e9 + 0.125, (short_ids.getrandbits(63),)
    return entry


def _measured(
    context: Context, name: str, resident: Callable[[Context, Log], int], logs: Sequence[Log]
) -> list[list[int]]:
    return context.repeat(
        [(f"{name}, {log.lines:,} lines of {log.keys:,} keys", partial(resident, context, log)) for log in logs],
        runs=1,  # it hardly differs from one to the next
    )


def _flow(context: Context, log: Log) -> int:
    broker = context.server("kafka")
    with open_live(
        context.fresh("worker"), broker, TABLE_STORE="memory", CHUNK_BYTES=_CHUNK_BYTES, TICK_INTERVAL=context.tick_s
    ) as live:
        worker = live.start_worker()
        send(live, log)
        done, deadline = drained(live), time.monotonic() + PATIENCE_S
        while not done():
            if time.monotonic() > deadline:
                raise BenchError(f"the flow was not done after {PATIENCE_S:.0f} s: {worker.text()[-2000:]}")
            time.sleep(0.5)
        resident = _settled(context, worker.process.pid)
        worker.stop()
        check("our worker", live.deliveries(TRUE_FIELDS), log.wanted)
        return resident


def _embedded(context: Context, log: Log) -> int:
    with open_flow(context, STORE_RAW="none") as flow:
        worker = flow.start_worker(CHUNK_BYTES=_CHUNK_BYTES)
        flow.wait_started()
        flow.replay_all(log.path)
        flow.wait_drained(PATIENCE_S)
        resident = _settled(context, worker.pid)
        flow.stop_worker()
        check("the embedded store", stored(flow.folder, TRUE_FIELDS), log.wanted)
        return resident


def _settled(context: Context, pid: int) -> int:
    """What is resident once the worker had its turn to give freed memory back."""
    time.sleep(context.pick(1.5 * GIVE_BACK_INTERVAL_S, 0.0))
    return resident_bytes(pid)


def _open(deliveries: int) -> Iterator[tuple[float, int, int, int, int]]:
    """Deliveries that are all open at the end, the hits of one apart from one another."""
    for hit in range(HITS):
        for number in range(deliveries):
            yield 1.6e9 + hit * 600 + number * 600 // deliveries, number, number // 7, hit * 2000, hit * 2000 + 999


def _periods(keys: int, periods: int) -> Iterator[tuple[float, int, int, int, int]]:
    """The same keys, each with five hits a period."""
    for period in range(periods):
        for hit in range(5):
            for number in range(keys):
                yield 1.6e9 + period * _PERIOD_S + hit * 60, number, number // 7, hit * 1000, hit * 1000 + 999
