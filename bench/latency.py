"""Part `latency`: at 1,000 lines a second, from a line's POST to its delivery visible in the embedded store."""

from __future__ import annotations

import http.client
import sqlite3
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from bench.context import Context
from bench.embedded import open_flow
from bench.failing import BenchError
from bench.figures import AT_MOST, Figure, Goal

__all__ = ["run"]

PART = "latency"
RATE = 1000
"""Lines a second."""
EACH = 20
"""Lines of a POST."""
_LOOK_S = 0.005


def run(context: Context) -> list[Figure]:
    """p50 and p99 of all lines of a run; every line is a delivery of its own."""
    seconds = context.pick(10, 1)
    [runs] = context.repeat([(f"{RATE} lines a second", lambda: _run(context, seconds))])
    note = f"{RATE * seconds:,} lines, {EACH} a POST, each a delivery of its own"
    return [
        Figure(
            PART,
            "p50, line in to delivery visible",
            tuple(_share(run, 0.5) * 1e3 for run in runs),
            "ms",
            note,
            Goal(AT_MOST, 150),
        ),
        Figure(
            PART,
            "p99, line in to delivery visible",
            tuple(_share(run, 0.99) * 1e3 for run in runs),
            "ms",
            note,
            Goal(AT_MOST, 500),
        ),
    ]


def _share(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _run(context: Context, seconds: int) -> list[float]:
    """Seconds that each line took."""
    with open_flow(context) as flow:
        flow.start_worker()
        flow.wait_started()
        seen: dict[str, float] = {}
        stop = threading.Event()
        looking = threading.Thread(target=_look, args=(flow.folder / "weblogs.db", seen, stop), daemon=True)
        looking.start()
        sent = _send(flow.url(), RATE * seconds)
        deadline = time.monotonic() + 60
        while len(seen) < len(sent) and time.monotonic() < deadline:
            time.sleep(0.05)
        stop.set()
        looking.join()
        flow.stop_worker()
    if seen.keys() != sent.keys():
        raise BenchError(f"latency: {len(sent)} lines were sent, {len(seen)} deliveries were seen")
    return [seen[request] - sent[request] for request in sent]


def _send(url: str, count: int) -> dict[str, float]:
    """Request of each line -> when it was due, by the clock that `_look` reads: a POST that is late is no excuse."""
    where = urlsplit(url)
    if where.hostname is None:
        raise BenchError(f"the worker told no address: {url}")
    today = datetime.now(UTC).strftime("%Y-%m-%d\t%Y-%m-%d %H:%M:%S")
    due_at: dict[str, float] = {}
    with closing(http.client.HTTPConnection(where.hostname, where.port, timeout=30)) as connection:
        begin = time.perf_counter() + 0.5
        for first in range(0, count, EACH):
            due = begin + first / RATE
            time.sleep(max(0.0, due - time.perf_counter()))
            requests = [f"GET /live/{number}.mp4" for number in range(first, first + EACH)]
            lines = [
                f"{today}\t10.0.{number % 200}.7\tPlayer/1.0\t{name} HTTP/1.1\t206\t0-999"
                for number, name in enumerate(requests)
            ]
            due_at.update(dict.fromkeys(requests, due))
            connection.request("POST", "/weblogs/", "\n".join(lines).encode(), {"Content-Type": "text/plain"})
            answer = connection.getresponse()
            told = answer.read()
            if answer.status != 200:
                raise BenchError(f"POST /weblogs/ answered {answer.status}: {told[:200]!r}")
    return due_at


def _look(store: Path, seen: dict[str, float], stop: threading.Event) -> None:
    since = 0.0
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=10)) as database:
        while not stop.wait(_LOOK_S):
            rows = database.execute(
                "SELECT request, ingested FROM reduced_weblogs WHERE ingested >= ?", (since,)
            ).fetchall()
            now = time.perf_counter()
            for request, ingested in rows:
                seen.setdefault(request, now)
                since = max(since, ingested)
