"""`python -m bench.votes`: how fast are votes taken, results given out, and batches counted? By wrk, against a worker of its own."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from bench.worker import open_live
from tests.flow.running import Flow
from tests.flow.voting import assert_votes_are_true, call, simulate, stored_votes
from tests.ports import free_port
from tests.services.server import Server

CONNECTIONS = 500
_POST = """
wrk.method = "POST"
wrk.body = '{"candidate_id": 2, "opinion": "test"}'
wrk.headers["Content-Type"] = "application/json"
"""
_PACED_MS = 150
_PACED = f"{_POST}function delay() return math.random(0, {2 * _PACED_MS}) end\n"
"""Each connection waits so long on average before each vote: 2,000 to 3,000 a second of all, below what a worker can take."""


def cpu_seconds(pid: int) -> float:
    """What a process has used since its start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(pid: int, url: str, path: str, seconds: int, script: Path | None = None, name: str = "") -> int:
    """Runs wrk against a worker, prints what it measured under a name; how many requests were answered."""
    before = cpu_seconds(pid)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "--timeout", "20s"]
    command += ["-s", str(script)] if script else []
    told = subprocess.run([*command, url.rstrip("/") + path], capture_output=True, text=True, check=True).stdout
    answered = int(re.search(r"(\d+) requests in", told)[1])  # type: ignore[index]
    if (bad := re.search(r"Non-2xx or 3xx responses: (\d+)", told)) is not None:
        raise SystemExit(f"{path}: {bad[1]} of {answered} answers were no success")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])  # type: ignore[index]
    slowest = re.search(r"(?m)^ +99% +(\S+)", told)[1]  # type: ignore[index]
    cpu = (cpu_seconds(pid) - before) / max(answered, 1) * 1e6
    click.echo(f"{name or path:14} {rate:>9,.0f} a second, p99 {slowest}, {cpu:.0f} µs of the worker's CPU each")
    return answered


def one_by_one(pid: int, url: str, seconds: int, folder: Path, wait_drained: Callable[[], None]) -> None:
    """Votes, the first of a fresh worker and broker apart, and results; raises SystemExit where a vote that was taken is not counted."""
    answered, loads = 0, {"/vote/, first": _PACED, "/vote/, paced": _PACED, "/vote/": _POST}
    for name, lua in loads.items():
        script = folder / "post.lua"
        script.write_text(lua)
        answered += load(pid, url, "/vote/", seconds, script, name)
    wait_drained()
    load(pid, url, "/result/", seconds)
    ((candidate,), _) = json.loads(call(url, "/result/", headers={"Cache-Control": "no-cache"})[2])
    # wrk leaves at most one request of each connection without having seen its answer
    if not answered <= candidate["num_vote"] <= answered + len(loads) * CONNECTIONS:
        raise SystemExit(f"{answered} votes were answered with success, {candidate['num_vote']} are counted")


def on_kafka(folder: Path, seconds: int) -> None:
    """The same with the topics on a Kafka that is started for it."""
    broker, port = Server.on_free_ports("kafka", folder / "servers"), free_port()
    broker.start()
    try:
        broker.wait_ready()
        with open_live(folder / "kafka", broker, WEB_PORT=port, ROLES="flow,sqlite") as live:
            worker = live.start_worker()
            live.wait_started()
            one_by_one(worker.process.pid, f"http://127.0.0.1:{port}/", seconds, folder, live.wait_drained)
    finally:
        broker.remove()


@click.command()
@click.option(
    "--quick", is_flag=True, help="Two seconds each and 10,000 votes: for the equality of results, not for rates."
)
@click.option("--kafka", is_flag=True, help="On a Kafka started for it, votes one by one alone.")
@click.option("--votes", type=int, help="Votes in batches; default 200,000.")
def main(quick: bool, kafka: bool, votes: int | None) -> None:
    """Votes one by one from 500 connections, results from the cache, votes in batches; the counts are compared."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not there: apt-get install wrk")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    seconds, votes = (2, votes or 10_000) if quick else (5, votes or 200_000)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # servers that do not run as root look into it
        if kafka:
            on_kafka(folder, seconds)
        else:
            with Flow(folder / "one", WEB_PORT=free_port()) as flow:
                flow.start_worker()
                flow.wait_started()
                assert flow.worker is not None
                one_by_one(flow.worker.pid, flow.url(), seconds, folder, flow.wait_drained)
            in_batches(folder, votes)
    click.echo("every count equals the truth")


def in_batches(folder: Path, votes: int) -> None:
    """From the simulator, until the store holds them; compared with its truth."""
    with Flow(folder / "many", WEB_PORT=free_port(), PARTITIONS=8) as flow:
        flow.start_worker()
        flow.wait_started()
        assert flow.worker is not None
        before, began = cpu_seconds(flow.worker.pid), time.monotonic()
        truth = folder / "truth.json"
        client = simulate(flow, "votes", "-n", votes, "--batch", 5000, "--truth", truth)
        if client.wait() != 0:
            raise SystemExit((flow.folder / "simulate.log").read_text())
        flow.wait_drained(600)
        true = json.loads(truth.read_text())
        took, used = time.monotonic() - began, cpu_seconds(flow.worker.pid) - before
        each = f"{used / true['sent'] * 1e6:.1f} µs of the worker's CPU each"
        click.echo(
            f"{'/votes/':14} {true['sent'] / took:>9,.0f} a second into the store, the simulating client included, {each}"
        )
        assert_votes_are_true(*stored_votes(flow.folder), true)


if __name__ == "__main__":
    main(prog_name="python -m bench.votes")
