"""Part `usage`: what the usage log's middleware costs a request, and how many records a second get from it into the archive."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, MutableMapping
from contextlib import closing
from pathlib import Path
from typing import Any

from app.archiving.check import Places, check_usage
from app.archiving.manifests import Manifests
from app.archiving.parquet import read_archive
from app.archiving.storage import Folder
from app.archiving.worker import Archiver, ArchiveRules
from app.domain.usage.records import RESPONSE
from app.settings import Settings
from app.transports.broker_view import open_view
from app.usage.asgi import UsageASGI
from app.usage.log import UsageLog
from app.usage.options import UsageOptions
from bench.context import Context
from bench.failing import BenchError
from bench.figures import AT_LEAST, AT_MOST, Figure, Goal

__all__ = ["run"]

PART = "usage"
_PACE_S = 0.001
"""Before each call while its cost is measured, with the middleware or without: a service is not called in a loop without end."""
_RATE = 5_000
"""Calls a second, two records each."""
_WAIT_S = 120.0
_HEADS = b"""host: shop.example\r
user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r
accept: application/json\r
accept-encoding: gzip, deflate, br\r
connection: keep-alive"""


async def _service(scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def _receive() -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: MutableMapping[str, Any]) -> None:
    pass


def _scope(number: int) -> dict[str, Any]:
    """As a server makes it, of what it has just read, and the service's own sign-in before the middleware."""
    path = f"/items/{number % 100}"
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"page=2",
        "headers": [(name, value) for line in _HEADS.split(b"\r\n") for name, _, value in [line.partition(b": ")]],
        "client": ("10.0.0.1", 4000),
        "user_id": f"u{number % 50}",
    }


def _log(folder: Path, **options: Any) -> UsageLog:
    broker = f"sqlite:///{folder}/log.db"
    return UsageLog(UsageOptions(service="shop", spool=folder / "spool", broker=broker, machine="m1", **options))


def _user(scope: MutableMapping[str, Any]) -> str | None:
    """What the how-to names: who calls is the service's business, and not measured here."""
    user: str | None = scope.get("user_id")
    return user


def run(context: Context) -> list[Figure]:
    """Each call is made without and with the middleware, in turn; then all records of a stream of calls are archived."""
    calls, seconds = context.pick(10_000, 500), context.pick(10, 1)
    [costs] = context.repeat([("cost of a call", lambda: asyncio.run(_cost(context.fresh(PART), calls)))])
    [rates] = context.repeat([("middleware to archive", lambda: _through(context.fresh(PART), _RATE * seconds))])
    bare = ", ".join(f"{each[2]:.1f} and {each[3]:.1f}" for each in costs)
    note = f"{calls:,} calls with, as many without, in turn; without it p50 and p99 are {bare} µs"
    return [
        Figure(PART, "p50, added to a call", tuple(each[0] for each in costs), "µs", note, Goal(AT_MOST, 20)),
        Figure(PART, "p99, added to a call", tuple(each[1] for each in costs), "µs", note, Goal(AT_MOST, 200)),
        Figure(
            PART,
            "middleware to archive",
            tuple(rates),
            "records/s",
            f"{2 * _RATE * seconds:,} records made, synced, sent, archived; each once, by number and checksum",
            Goal(AT_LEAST, 10_000),
        ),
    ]


async def _cost(folder: Path, calls: int) -> tuple[float, float, float, float]:
    """µs: what p50 and p99 gain by the middleware, and what they are without it."""
    log = _log(folder)
    wrapped = UsageASGI(_service, log, _user)
    without: list[float] = []
    with_it: list[float] = []
    try:
        for number in range(calls):
            for app, times in ((_service, without), (wrapped, with_it)):
                await asyncio.sleep(_PACE_S)
                scope = _scope(number)
                begin = time.perf_counter_ns()
                await app(scope, _receive, _send)
                times.append((time.perf_counter_ns() - begin) / 1000)
    finally:
        log.stop()
    without.sort()
    with_it.sort()
    half, most = calls // 2, int(calls * 0.99)
    return with_it[half] - without[half], with_it[most] - without[most], without[half], without[most]


def _through(folder: Path, calls: int) -> float:
    """Records a second, from the first call until the last record is in a file and everything was compared."""
    log = _log(folder, queue_records=200_000)
    app = UsageASGI(_service, log, _user)

    async def call() -> None:
        for number in range(calls):
            await app(_scope(number), _receive, _send)

    begin = time.monotonic()
    asyncio.run(call())
    if not log.stop(_WAIT_S):
        raise BenchError(f"the log did not send all records within {_WAIT_S:.0f} s")
    view = open_view(Settings(broker=f"sqlite:///{folder}/log.db"))
    if view is None:
        raise BenchError("there is no log")
    archive = Folder(folder / "archive")
    with closing(view):
        Archiver(view, "usage", archive, ArchiveRules("parquet", interval_s=0)).run_once(time.time() + 1)
        took = time.monotonic() - begin
        report = check_usage(Places(view, "usage", archive, "parquet", [folder / "spool"]))
    if report.exit_code != 0 or report.problems:
        raise BenchError(f"the check of the archive ends with {report.exit_code}: {report.problems[:3]}")
    found = Counter(record.kind for done in _files(folder / "archive") for record in read_archive(done))
    if found[RESPONSE] != calls:
        raise BenchError(f"{found[RESPONSE]:,} of {calls:,} answers are in the archive")
    return found.total() / took


def _files(archive: Path) -> list[Path]:
    manifests = Manifests(Folder(archive))
    every = [manifests.done(each) for partition in manifests.partitions() for each in manifests.of(partition)]
    return [archive / done.file for done in every if done is not None]
