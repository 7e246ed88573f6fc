"""Kafka's own producer and consumer performance tools, fetched with Maven as the servers are, run against one broker."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from bench.failing import BenchError
from tests.services.server import DEFAULT_CACHE

__all__ = ["consumer_rate", "producer_rate"]

_JARS = DEFAULT_CACHE / "kafka-tools" / "jars"


def _jars() -> Path:
    pom = Path(__file__).with_name("pom.xml")
    stamp = _JARS / ".complete"
    if not (stamp.exists() and stamp.read_text() == pom.read_text()):
        fetch = [
            "mvn",
            "-q",
            "-B",
            "-f",
            str(pom),
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={_JARS}",
        ]
        if subprocess.run(fetch, stdout=subprocess.DEVNULL, check=False).returncode != 0:
            raise BenchError("Kafka's performance tools could not be fetched with Maven: see above")
        stamp.write_text(pom.read_text())
    return _JARS


def _run(tool: str, *options: str) -> str:
    command = ["java", "-Xmx512m", "-cp", f"{_jars()}/*", f"org.apache.kafka.tools.{tool}", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode != 0:
        raise BenchError(f"Kafka's {tool} failed: {(done.stderr or done.stdout)[-1500:]}")
    return done.stdout


def producer_rate(server: str, topic: str, count: int, size_bytes: int) -> float:
    """Records a second, acknowledged by all."""
    props = [
        f"bootstrap.servers={server}",
        "acks=all",
        f"max.request.size={8 << 20}",
        f"batch.size={256 << 10}",
        f"buffer.memory={128 << 20}",
    ]
    told = _run(
        "ProducerPerformance", "--topic", topic, "--num-records", str(count), "--record-size", str(size_bytes),
        "--throughput", "-1", "--producer-props", *props,
    )  # fmt: skip
    found = re.findall(rf"^{count} records sent, ([0-9.]+) records/sec", told, re.MULTILINE)
    if not found:
        raise BenchError(f"Kafka's ProducerPerformance told no rate: {told[-500:]}")
    return float(found[-1])


def consumer_rate(server: str, topic: str, count: int) -> float:
    """Records a second, the time to join the group left out."""
    told = _run(
        "ConsumerPerformance", "--bootstrap-server", server, "--topic", topic, "--num-records", str(count), "--timeout", "30000",
        "--hide-header",
    )  # fmt: skip
    cells = [cell.strip() for cell in told.strip().splitlines()[-1].split(",")]
    # start, end, MB, MB a second, records, records a second, ms of joining, ms of fetching, MB and records a second of fetching
    if len(cells) != 10 or int(cells[4]) < count:
        raise BenchError(f"Kafka's ConsumerPerformance read {told[-300:]}")
    return float(cells[9])
