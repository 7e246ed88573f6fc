"""Kafka's own tools, by the page: lines go in, groups and rejects are looked at."""

from __future__ import annotations

import re
import shlex
import subprocess
import uuid
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.flow.test_flow import simulate
from tests.live.running import Live
from tests.live.shipper import PAGES
from tests.live.test_kafka_losses import assert_told_until_acknowledged, lost, read_ten_and_stop, send_lines, start
from tests.services.server import DEFAULT_CACHE, Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
POM = Path(__file__).resolve().parents[1] / "services" / "kafka" / "tools" / "pom.xml"
CLASSES = {
    "kafka-console-producer.sh": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
}
"""What Kafka's scripts run; Maven has the classes alone."""
LINES = 300
TICKS = 2
"""The flow itself sends a message a second to each partition: so many may be under way."""


@pytest.fixture(scope="module")
def jars() -> Path:
    folder = DEFAULT_CACHE / "kafka-tools"
    if not (folder / ".complete").exists():
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        done = subprocess.run(
            [*command, f"-DoutputDirectory={folder}"], capture_output=True, text=True, check=False, timeout=500
        )
        assert done.returncode == 0, done.stdout[-2000:]
        (folder / ".complete").touch()
    return folder


def shown_commands() -> list[str]:
    text = (PAGES / "use-kafkas-tools.md").read_text()
    return "".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)).splitlines()


def run_tool(jars: Path, program: str, words: list[str], given: BinaryIO | None = None) -> str:
    """What it prints."""
    done = subprocess.run(
        ["java", "-cp", f"{jars}/*", CLASSES[program], *words],
        stdin=given or subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_lines_of_the_console_producer_count_and_groups_and_rejects_are_seen(
    tmp_path: Path, broker: Server, jars: Path
) -> None:
    log, _ = simulate(tmp_path, LINES)
    lines = log.read_bytes().splitlines(keepends=True)[1:]
    (tmp_path / "access.log").write_bytes(b"".join(lines) + b"no line of any log\n")
    options = {"FORMAT": "weblog_tsv", "STORES": "elasticsearch", "ELASTICSEARCH_PREFIX": f"t{uuid.uuid4().hex[:8]}-"}
    with Live(tmp_path / "live", broker, **options) as live:
        live.start_worker()
        live.wait_started()
        said = []
        for shown in shown_commands():
            program, *words = shlex.split(shown.partition(" <")[0])
            words = [
                {"127.0.0.1:9092": f"127.0.0.1:{broker.port}"}.get(
                    word, word.replace("weblogs-", f"{live.settings.app_id}-")
                )
                for word in words
            ]
            if "--group" in words:
                words = [live.settings.app_id if word == "weblogs" else word for word in words]
            with (tmp_path / "access.log").open("rb") as given:
                said.append(run_tool(jars, program, words, given if "<" in shown else None))
            live.wait_drained()
        _, flow, store, rejects = said
        for group, told in ((live.settings.app_id, flow), (f"{live.settings.app_id}-elasticsearch", store)):
            rows = [line.split() for line in told.splitlines() if line.startswith(group + " ")]
            lags = [int(row[5]) for row in rows if row[5] != "-"]
            assert lags and max(lags) <= TICKS, told
        assert rejects.count("bad_columns") == 1 and "no line of any log" in rejects
        hits, told_rejects = live.raw_ids()
        assert hits.total() == len(hits) == LINES and told_rejects.total() == 1


def test_a_group_that_kafkas_tool_sets_to_the_end_is_told_with_what_it_passed_over(
    tmp_path: Path, broker: Server, jars: Path
) -> None:
    with Live(tmp_path, broker, FORMAT="combined") as live:
        read_ten_and_stop(live)
        send_lines(live, 20)
        group = live.settings.flow_id
        words = [f"--bootstrap-server=127.0.0.1:{broker.port}", "--group", group, "--topic", "weblogs:0"]
        reset = [*words, "--reset-offsets", "--to-latest", "--execute"]
        live.wait_until(
            lambda: "30" in run_tool(jars, "kafka-consumer-groups.sh", reset), "the tool to move the group", 60
        )
        start(live)
        assert_told_until_acknowledged(live, lost(group, "weblogs", 10, 29), 20)
