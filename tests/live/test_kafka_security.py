"""TLS and SCRAM between everything of ours and Kafka; wrong credentials in one sentence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.process.exit import EXIT_REFUSED
from tests import ROOT
from tests.flow.content import differences, reduced, stored
from tests.flow.test_flow import NINE
from tests.live.running import Live
from tests.services.server import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def secured() -> Iterator[Server]:
    beside = Server.beside("kafka")
    server = Server("kafka", beside.base / "kafka-tls", beside.port + 600, password="right-secret", cache=beside.cache)
    try:
        server.start()
        server.wait_ready()
        yield server
    finally:
        server.remove()


def test_the_flow_runs_over_tls_with_scram(tmp_path: Path, secured: Server) -> None:
    with Live(tmp_path, secured) as live:
        live.start_worker()
        live.replay(NINE).wait()
        live.wait_drained()
        content, _ = reduced(NINE)
        assert differences(live.deliveries(), content) == ""
        live.workers["worker"].stop()
        assert differences(stored(live.folder / "worker"), content) == ""


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["faust", "-A", "app", "worker"], EXIT_REFUSED),
        (["app", "init", "--wait", "1"], 2),
        (["app", "replay", str(NINE)], 2),
    ],
    ids=["worker", "init", "replay"],
)
@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"KAFKA_PASSWORD": "wrong"}, "WEBLOGS_KAFKA_PASSWORD"), ({"KAFKA_CA": ""}, "WEBLOGS_KAFKA_CA")],
    ids=["password", "CA"],
)
def test_wrong_credentials_are_one_sentence(
    tmp_path: Path, secured: Server, command: list[str], code: int, wrong: dict[str, str], named: str
) -> None:
    with Live(tmp_path, secured) as live:
        environment = live.environment("worker", **wrong)
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == code, done.stderr
        said = [line for line in done.stderr.splitlines() if line.strip()]
        assert len(said) == 1, done.stderr
        assert named in said[0]
