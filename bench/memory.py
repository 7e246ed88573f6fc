"""Part `memory`: what a delivery costs in the worker's memory, and whether lines of keys that were evicted cost anything."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.context import Context
from bench.embedded import open_flow
from bench.figures import AT_MOST, Figure, Goal, between
from bench.logs import Log, check, made
from bench.processes import resident_bytes
from tests.flow.content import TRUE_FIELDS, stored

__all__ = ["run"]

PART = "memory"
HITS = 8
_PERIOD_S = 4 * 86_400
"""More than a window and the lateness: what was fetched a period ago is evicted."""


def run(context: Context) -> list[Figure]:
    """Resident memory of a worker on the embedded log after it has read logs of different sizes."""
    few, many = context.pick((10_000, 40_000), (100, 300))
    keys = context.pick(5_000, 50)
    folder = context.folder
    small = made(folder / "few.log", _open(few))
    large = made(folder / "many.log", _open(many))
    once = made(folder / "once.log", _periods(keys, 1))
    often = made(folder / "often.log", _periods(keys, 10))
    found = context.repeat(
        [(f"{log.lines:,} lines of {log.keys:,} keys", partial(_resident, context, log)) for log in (small, large, once, often)],
        runs=1,  # it hardly differs from one to the next
    )
    own = sum(len(address) + len(request) for address, _, request, _ in large.wanted) / len(large.wanted)
    agent = sum(len(name) for _, name, _, _ in large.wanted) / len(large.wanted)
    each = tuple((b - a) / (len(large.wanted) - len(small.wanted)) - own for a, b in zip(found[0], found[1], strict=True))
    note = f"{HITS} hits each, {few:,} and {many:,} deliveries; {own:.0f} bytes of address and request off, the agent's {agent:.0f} not"
    return [
        Figure(PART, "a delivery, beyond its own strings", each, "bytes", note, Goal(AT_MOST, 300)),
        between(
            PART, "ten times the lines, same keys, evicted", found[3], found[2], "x",
            f"{once.lines:,} and {often.lines:,} lines", Goal(AT_MOST, 1.1),
        ),
    ]  # fmt: skip


def _resident(context: Context, log: Log) -> int:
    with open_flow(context, STORE_RAW="none") as flow:
        worker = flow.start_worker(CHUNK_BYTES=64 << 10)  # small messages: what is under way is little beside what is kept
        flow.wait_started()
        flow.replay_all(log.path)
        flow.wait_drained(600)
        resident = resident_bytes(worker.pid)
        flow.stop_worker()
        check("the embedded store", stored(flow.folder, TRUE_FIELDS), log.wanted)
        return resident


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
