"""Part `stream`: the same job over real Kafka, state durable on both sides, by our worker and by what a user would pick instead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from functools import partial
from pathlib import Path
from typing import Any

from bench.context import PARTITIONS, Context
from bench.failing import BenchError
from bench.figures import AT_LEAST, AT_MOST, Figure, Goal, between
from bench.logs import Log, check, narrowed
from bench.needs import PEER_PYTHON
from bench.processes import ROOT, Run
from bench.topics import Topics
from bench.watching import Watch, Watched
from bench.worker import bytes_in_topics, changelog_of, worker_run
from tests.live.running import Live

__all__ = ["run"]

PART = "stream"
_PATIENCE_S = 900.0
_FAUST = "plain Faust"


def run(context: Context) -> list[Figure]:
    """Our worker with the stores' groups off and on; the peers and ours on fewer lines of as many keys."""
    log, few, broker = context.log, context.sparse, context.server("kafka")
    sizes: list[dict[str, int]] = []

    def look(live: Live) -> None:
        found = bytes_in_topics(live, broker)
        sizes.append(
            {name.replace(changelog_of(live), "the changelog of byte_ranges"): size for name, size in found.items()}
        )

    with Topics(broker.port, PARTITIONS) as topics:
        source = _source(topics, few.path)
        off, on, same = context.repeat(
            [
                ("our worker, stores off", lambda: worker_run(context, log, look=look)),
                ("our worker, stores on", lambda: worker_run(context, log, ROLES="flow,sqlite")),
                ("our worker, the peers' lines", lambda: worker_run(context, few)),
            ]
        )
        [by_line] = context.repeat(
            [("our worker, one line a message", lambda: worker_run(context, few, how=("--line-by-line",)))], runs=1
        )
        peers = _commands()
        found = context.repeat(
            [(name, partial(_peer_run, context, topics, name, peers[name], source, few)) for name in peers]
        )
        topics.drop(source)
    taken = dict(zip(peers, found, strict=True))
    return [*_ours(off, on, log), *_bytes(sizes, log), *_same(same, by_line, few), *_peers(taken, same, by_line, few)]


def _source(topics: Topics, path: Path) -> str:
    """A topic with the lines of a log, one a message."""
    name = f"bench-lines-{uuid.uuid4().hex[:8]}"
    topics.make(name)
    topics.fill(name, path)
    return name


def _commands() -> dict[str, list[str]]:
    """Name -> what runs it in the folder of its state."""
    peer = str(PEER_PYTHON)
    return {
        _FAUST: [
            sys.executable,
            "-m",
            "faust",
            "-A",
            "bench.peers.stream_faust",
            "worker",
            "--without-web",
            "-l",
            "warn",
        ],
        "Quix Streams": [peer, "-m", "bench.peers.stream_quix"],
        "Bytewax": [peer, "-m", "bytewax.run", "bench.peers.stream_bytewax", "-r", "FOLDER", "-s", "5", "-b", "0"],
    }


def _peer_run(context: Context, topics: Topics, name: str, command: list[str], source: str, log: Log) -> Run:
    group, folder = f"bench-{uuid.uuid4().hex[:8]}", context.fresh("peer")
    target = f"{group}-results"
    topics.make(target, *([f"{group}-hits"] if name == _FAUST else []))
    if name == "Bytewax":
        subprocess.run([str(PEER_PYTHON), "-m", "bytewax.recovery", str(folder), "1"], check=True, cwd=ROOT)
    own = {
        "SERVER": topics.server,
        "SOURCE": source,
        "TARGET": target,
        "GROUP": group,
        "FOLDER": folder,
        "PARTITIONS": topics.partitions,
    }
    environment = {
        **os.environ,
        "PYTHONWARNINGS": "ignore",
        **{f"BENCH_{key}": str(value) for key, value in own.items()},
    }
    printed = folder / "printed.log"
    with printed.open("ab") as log_file:
        filled = [str(folder) if word == "FOLDER" else word for word in command]
        process = subprocess.Popen(filled, cwd=ROOT, env=environment, stdout=log_file, stderr=log_file)
    counted = sum(answer[10] for answer in log.wanted.values())
    begun = (target, f"{group}-hits", f"repartition__{group}--{source}--key")
    try:
        watch = Watch(
            lambda: [Watched(process, printed)],
            context.server("kafka").pid,
            lambda: topics.count(*begun),
            lambda: topics.count(target),
        )
        # a result for each line that counts; more would be repeats
        run = watch.until(lambda: watch.looks[-1].written >= counted, _PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    check(name, _latest(topics, target), narrowed(log.wanted))
    topics.drop(group)
    return run


def _latest(topics: Topics, target: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    newest = {record.key: record.value for record in topics.records(target)}
    if None in newest:
        raise BenchError(f"{target} has records without a key")
    return {
        (*json.loads(key), session[0]): (session[0], session[1], session[4], session[2], session[3])
        for key, value in newest.items()
        for session in json.loads(value)
    }


def _rates(runs: list[Run], lines: int) -> tuple[float, ...]:
    return tuple(lines / run.seconds for run in runs)


def _cost(runs: list[Run], lines: int) -> tuple[float, ...]:
    """CPU µs a line."""
    return tuple(run.cpu_seconds / lines * 1e6 for run in runs)


def _pair(what: str, runs: list[Run], log: Log, goals: tuple[Goal | None, Goal | None] = (None, None)) -> list[Figure]:
    broker = max(run.broker_seconds for run in runs) / log.lines * 1e6
    memory = max(run.rss_bytes for run in runs) / 2**20
    return [
        Figure(PART, what, _rates(runs, log.lines), "lines/s", log.told, goals[0]),
        Figure(
            PART,
            f"{what}: CPU",
            _cost(runs, log.lines),
            "µs a line",
            f"broker {broker:.1f} µs apart; {memory:,.0f} MiB at most",
            goals[1],
        ),
    ]


def _ours(off: list[Run], on: list[Run], log: Log) -> list[Figure]:
    goals = (Goal(AT_LEAST, 60_000, 100_000), Goal(AT_MOST, 14, 9))
    return [
        *_pair("our worker, stores' groups off", off, log, goals),
        *_pair("our worker, stores' groups on (sqlite)", on, log, goals),
    ]


def _bytes(sizes: list[dict[str, int]], log: Log) -> list[Figure]:
    """On the broker's disk, one replica."""
    return [
        Figure(
            PART,
            f"our worker: {name}",
            tuple(found[name] / log.lines for found in sizes),
            "bytes a line",
            f"{log.told}; one replica",
        )
        for name in sizes[0]
    ]


def _same(same: list[Run], by_line: list[Run], few: Log) -> list[Figure]:
    return [
        *_pair("our worker, the peers' lines", same, few),
        *_pair("our worker, the peers' lines, one a message", by_line, few),
    ]


def _peers(found: dict[str, list[Run]], same: list[Run], by_line: list[Run], few: Log) -> list[Figure]:
    goals = {_FAUST: Goal(AT_LEAST, 40, 60), "Quix Streams": Goal(AT_LEAST, 4, 6)}
    figures = []
    for name, runs in found.items():
        figures += _pair(f"{name}, one line a message", runs, few)
        peer = _cost(runs, few.lines)
        for what, ours, goal in (("ours", same, goals.get(name)), ("ours, one line a message", by_line, None)):
            figures.append(
                between(PART, f"{name}: CPU a line, times {what}", peer, _cost(ours, few.lines), "x", few.told, goal)
            )
    return figures
