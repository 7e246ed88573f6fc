"""Part `ranges`: the union of byte ranges by `app.domain.byteranges` and by libraries, in four orders, results compared."""

from __future__ import annotations

import json
import statistics
import subprocess

from bench.context import Context
from bench.failing import BenchError
from bench.figures import Figure, between, number
from bench.needs import PEER_PYTHON
from bench.processes import ROOT

__all__ = ["run"]

PART = "ranges"
CASES = ("sequential", "reversed", "shuffled", "one-byte")
ONE_BY_ONE = ("ours", "portion", "intervaltree", "pyroaring", "bitmap")
AT_ONCE = ("ours at once", "portion at once", "intervaltree at once", "numpy at once")
_SLOW = {"portion": 500, "portion at once": 2_000}
"""Ways whose cost grows with the square of the ranges get no more than these."""
_WIDE = {"pyroaring": 1_000, "bitmap": 1_000}
"""Ways whose cost grows with the bytes of a range get no more than these where ranges are no single bytes."""


def _most(case: str, way: str, count: int) -> int:
    """How many ranges a way gets."""
    return min(count, (_SLOW if case == "one-byte" else _SLOW | _WIDE).get(way, count))


def run(context: Context) -> list[Figure]:
    """How long ours takes a range, and how many times that each other way takes for as many ranges."""
    count = context.pick(10_000, 500)
    works = [(case, lambda case=case: _measured(case, count)) for case in CASES]
    figures = []
    for case, runs in zip(CASES, context.repeat(works), strict=True):
        for ways in (ONE_BY_ONE, AT_ONCE):
            ours = ways[0]
            for way in ways:
                size = _most(case, way, count)
                values = [run[way, size] / size * 1e9 for run in runs]
                if way == ours:
                    figures.append(Figure(PART, f"{case}: {way}", tuple(values), "ns a range", f"{size:,} ranges"))
                else:
                    note = f"{number(statistics.median(values))} ns a range; {size:,} ranges"
                    beside = [run[ours, size] / size * 1e9 for run in runs]
                    figures.append(between(PART, f"{case}: {way}, times ours", values, beside, "x", note))
    return figures


def _measured(case: str, count: int) -> dict[tuple[str, int], float]:
    """(way, ranges) -> seconds. Raises BenchError where two ways give other ranges."""
    sizes = {_most(case, way, count) for way in (*ONE_BY_ONE, *AT_ONCE)}
    found: dict[tuple[str, int], float] = {}
    for size in sorted(sizes):
        ways = [way for way in (*ONE_BY_ONE, *AT_ONCE) if size == _most(case, way, count) or way.startswith("ours")]
        command = [str(PEER_PYTHON), "-W", "ignore", "-m", "bench.peers.union", case, str(size), *ways]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if told.returncode != 0:
            raise BenchError(f"the union of ranges, {case}, failed: {told.stderr[-1000:]}")
        results = [json.loads(line) for line in told.stdout.splitlines()]
        if wrong := [result["way"] for result in results if result["digest"] != results[0]["digest"]]:
            raise BenchError(f"the union of ranges, {case}: {', '.join(wrong)} and ours give other ranges")
        found |= {(result["way"], size): result["seconds"] for result in results}
    return found
