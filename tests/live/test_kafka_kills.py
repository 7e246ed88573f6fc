"""On real Kafka: workers and replay killed, frozen, added and taken away. Nothing is lost, nothing counts twice. Lines: N (50,000)."""

from __future__ import annotations

import itertools
import random
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from app.process.crash_points import WORKER_POINTS
from tests.flow.content import TRUE_FIELDS, differences, reduced, truth
from tests.flow.running import KILLED
from tests.flow.test_flow import simulate
from tests.live.running import KILLS, LINES, SCALE, Live, Supervised
from tests.services.server import Server

BAD = b"no hit at all\n\n31.12.1999\tx\n"

pytestmark = [pytest.mark.live, pytest.mark.timeout(900 * SCALE)]

Logs = tuple[list[Path], list[Path]]
"""The logs, and the truth of each."""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    """Simulated logs with some bad lines at the end of the first, and the truth of each: several sources spread over the partitions."""
    folder = tmp_path_factory.mktemp("logs")
    made = [simulate(folder, LINES // 4, seed=seed) for seed in range(1, 5)]
    with made[0][0].open("ab") as file:
        file.write(BAD)
    return [log for log, _ in made], [answers for _, answers in made]


def assert_nothing_lost(live: Live, logs: list[Path], answers: list[Path]) -> None:
    live.wait_drained()
    content, statistics = reduced(*logs)
    assert differences(live.deliveries(), content) == ""
    wanted = {key: row for path in answers for key, row in truth(path).items()}
    assert differences(live.deliveries(TRUE_FIELDS), wanted) == ""
    hits, rejects = live.raw_ids()
    assert len(hits) == statistics.hits
    assert len(rejects) == statistics.rejects.total() == 3
    assert statistics.lines == len(hits) + len(rejects) + statistics.heads


def has_exited(worker: Supervised, times: int) -> bool:
    return len(worker.exits) > times


def has_committed(live: Live, messages: int) -> bool:
    return live.committed() > messages


def pace(seconds: float) -> tuple[object, ...]:
    """So that kills fall into the run."""
    return "--rate", LINES / seconds, "--chunk-bytes", 16 << 10


@pytest.mark.parametrize("table_store", ["rocksdb", "memory"])
def test_a_worker_killed_many_times_at_random_loses_nothing(
    tmp_path: Path, broker: Server, logs: Logs, table_store: str
) -> None:
    rng = random.Random(table_store)
    with Live(tmp_path, broker, TABLE_STORE=table_store) as live:
        worker = live.start_worker()
        replay = live.replay(*pace(30), *logs[0])
        for _ in range(KILLS):
            time.sleep(rng.uniform(1.5, 4))
            worker.kill()
        replay.wait()
        assert_nothing_lost(live, *logs)
        assert worker.exits.count(KILLED) == KILLS


@pytest.mark.parametrize("table_store", ["rocksdb", "memory"])
def test_one_of_two_workers_killed_many_times_loses_nothing(
    tmp_path: Path, broker: Server, logs: Logs, table_store: str
) -> None:
    rng = random.Random(table_store)
    with Live(tmp_path, broker, TABLE_STORE=table_store) as live:
        workers = [live.start_worker(name) for name in ("one", "two")]
        replay = live.replay(*pace(35), *logs[0])
        for _ in range(KILLS):
            time.sleep(rng.uniform(1.5, 5))
            rng.choice(workers).kill()
        replay.wait()
        assert_nothing_lost(live, *logs)
        assert sum(worker.exits.count(KILLED) for worker in workers) == KILLS


@pytest.mark.parametrize("point", WORKER_POINTS)
def test_a_worker_killed_at_a_named_point_loses_nothing(tmp_path: Path, broker: Server, point: str) -> None:
    log, answers = simulate(tmp_path, 6000)
    with log.open("ab") as file:
        file.write(BAD)
    with Live(tmp_path / "live", broker, CHANGELOG_BATCH_BYTES=8192) as live:
        if point == "recovery":  # there must be something to recover
            live.start_worker()
            live.replay(log).wait()
            live.wait_drained()
            live.workers["worker"].stop()
            live.options["WEBLOGS_TABLE_STORE"] = "memory"
        worker = live.start_worker(CRASH_AT=f"{point}:2")
        live.replay("--rate", 1500, "--chunk-bytes", 16 << 10, log).wait()
        live.wait_until(lambda: worker.exits[:1] == [KILLED], f"the point {point}")
        assert_nothing_lost(live, [log], [answers])


def test_a_replay_killed_many_times_loses_and_doubles_nothing(tmp_path: Path, broker: Server, logs: Logs) -> None:
    rng = random.Random(3)
    with Live(tmp_path, broker) as live:
        live.start_worker()
        replay = live.replay(*pace(40), *logs[0])
        for _ in range(KILLS):
            time.sleep(rng.uniform(0.5, 2.5))
            replay.kill()
        replay.wait()
        assert replay.exits.count(KILLED) == KILLS
        assert_nothing_lost(live, *logs)


@pytest.mark.parametrize("table_store", ["rocksdb", "memory"])
def test_a_worker_frozen_beyond_its_session_writes_nothing_stale_and_exits(
    tmp_path: Path, broker: Server, logs: Logs, table_store: str
) -> None:
    with Live(tmp_path, broker, KAFKA_SESSION=6, TABLE_STORE=table_store) as live:
        one, two = live.start_worker("one"), live.start_worker("two")
        live.wait_started("one")
        live.wait_started("two")
        replay = live.replay(*pace(30), *logs[0])
        for worker in (one, two):
            time.sleep(4)
            exits = len(worker.exits)
            worker.signal(signal.SIGSTOP)
            time.sleep(10)
            worker.signal(signal.SIGCONT)
            live.wait_until(partial(has_exited, worker, exits), "the frozen worker to exit", 60)
        replay.wait()
        assert_nothing_lost(live, *logs)


@pytest.mark.parametrize("table_store", ["rocksdb", "memory"])
def test_a_second_worker_that_comes_and_goes_changes_nothing(
    tmp_path: Path, broker: Server, logs: Logs, table_store: str
) -> None:
    with Live(tmp_path, broker, TABLE_STORE=table_store) as live:
        live.start_worker("one")
        live.wait_started("one")
        replay = live.replay(*pace(30), *logs[0])
        time.sleep(6)
        two = live.start_worker("two")
        live.wait_started("two")
        time.sleep(8)
        assert "changelog records read" in two.text()
        two.stop()
        replay.wait()
        assert_nothing_lost(live, *logs)


def test_a_worker_that_stands_by_takes_over_without_loss(tmp_path: Path, broker: Server, logs: Logs) -> None:
    with Live(tmp_path, broker, STANDBYS=1) as live:
        one = live.start_worker("one")
        live.start_worker("two")
        live.wait_started("one")
        live.wait_started("two")
        replay = live.replay(*pace(25), *logs[0])
        time.sleep(10)
        one.end()
        replay.wait()
        assert_nothing_lost(live, *logs)


@pytest.mark.parametrize("table_store", ["rocksdb", "memory"])
def test_a_broker_killed_many_times_loses_nothing_and_the_flow_goes_on_within_a_minute(
    tmp_path: Path, broker: Server, logs: Logs, table_store: str
) -> None:
    rng = random.Random(table_store)
    with Live(tmp_path, broker, TABLE_STORE=table_store) as live:
        for name in ("one", "two"):
            live.start_worker(name)
            live.wait_started(name)
        replay = live.replay(*pace(90), *logs[0])
        for down_s in itertools.islice(itertools.cycle((0, 8, 2, 0, 15, 0, 1, 4, 0, 0)), KILLS):
            time.sleep(rng.uniform(1, 4))
            before = live.committed()
            broker.kill()
            time.sleep(down_s)
            broker.start()
            broker.wait_ready()
            answered = time.monotonic()
            live.wait_until(partial(has_committed, live, before), "progress after the broker is back", 60)
            print(
                f"broker down for {down_s} s more than its start; progress {time.monotonic() - answered:.1f} s after it answered"
            )
        replay.wait(300)
        assert_nothing_lost(live, *logs)
