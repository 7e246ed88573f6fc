"""One question, one answer: the log, the hits and the sums of Elasticsearch and of Cassandra, the HTTP interface; workers are killed on the way.

Lines: a fifth of N (50,000); apache_logs as it is.
"""

from __future__ import annotations

import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.test_flow import simulate
from tests.live.contents import STORES, live_into_stores
from tests.live.running import LINES, SCALE, Live
from tests.ports import free_port
from tests.reports.faces import Answers, assert_one_answer, assert_served
from tests.services.server import Server
from tests.test_real_logs import real

pytestmark = [pytest.mark.live, pytest.mark.timeout(900 * SCALE)]
KILLS = 4


@pytest.fixture
def live(tmp_path: Path, broker: Server) -> Iterator[Live]:
    with live_into_stores(tmp_path / "live", broker, COUNT_REQUESTS="true", FORMAT="auto") as made:
        yield made


def wait_listening(live: Live, worker: str, port: int) -> None:
    """It may have been killed before it listened, so its log does not tell."""

    def is_there() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/", timeout=10):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    live.wait_until(is_there, f"{worker} to start")


@pytest.mark.parametrize("name", ["simulated", "apache_logs"])
def test_every_face_gives_one_answer_though_workers_are_killed(live: Live, tmp_path: Path, name: str) -> None:
    if name == "apache_logs" and not os.environ.get("REAL_LOGS"):
        pytest.skip("apache_logs did not run: REAL_LOGS names no folder that has it")
    log = simulate(tmp_path, LINES // 5)[0] if name == "simulated" else real(name)
    rng, ports = random.Random(name), {"one": free_port(), "two": free_port()}
    for worker, port in ports.items():
        live.start_worker(worker, WEB_PORT=port)
    for worker, port in ports.items():
        wait_listening(live, worker, port)
    lines = log.read_bytes().count(b"\n")
    replay = live.replay("--rate", lines / 30, "--chunk-bytes", 16 << 10, log)
    for _ in range(KILLS):
        time.sleep(rng.uniform(2.0, 6.0))
        live.workers[rng.choice(["one", "two"])].kill()
    replay.wait(400)
    live.wait_drained(400)
    found: list[Answers] = [assert_one_answer(log, store, live.settings) for store in STORES]
    assert found[0] == found[1]
    for worker, port in ports.items():
        wait_listening(live, worker, port)
        assert_served(f"http://127.0.0.1:{port}", found[0])
    assert sum(len(one.exits) for one in live.workers.values()) == KILLS
    if name == "apache_logs":
        rows, totals = found[0]["requests?by=status"]
        assert [row["requests"] for row in rows] == [9125, 445, 213, 164, 45, 3, 2, 2]
        assert totals == {"requests": 9999, "bytes": 2_747_282_505}
