"""A worker as a process, with few descriptors or thousands of clients that want nothing."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.flow.running import Flow
from tests.flow.voting import get, post

SILENT, SLOW = 3000, 1000
LASTS_S = 40.0
ALL_PAGES = (
    *("/", "/health/", "/metrics", "/deliveries/", "/result/", "/candidates/", "/openapi.json", "/login", "/vote_to_2"),
    *(
        "/voting_distribution.csv",
        "/voting_distribution.svg",
        "/voting_distribution.png",
        "/spending/top",
        "/spending/u/sum",
    ),
)


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == resource.RLIM_INFINITY or hard > SILENT + SLOW + 500, (
        "the hard limit of descriptors is too low for this test"
    )
    resource.setrlimit(resource.RLIMIT_NOFILE, (SILENT + SLOW + 500, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def descriptors(number: int) -> Iterator[None]:
    """The children that are started meanwhile have this many, and cannot have more."""
    popen = subprocess.Popen.__init__

    def limited(self: subprocess.Popen[bytes], command: list[str], *arguments: object, **options: object) -> None:
        popen(self, ["prlimit", f"--nofile={number}:{number}", *command], *arguments, **options)  # type: ignore[call-overload]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "__init__", limited)
        yield


def memory_mb(flow: Flow) -> float:
    assert flow.worker is not None
    text = Path(f"/proc/{flow.worker.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


async def _silent(port: int, until: float) -> None:
    """Holds a connection, and takes a new one when it is closed."""
    while time.monotonic() < until:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with suppress(TimeoutError, ConnectionError):
                await asyncio.wait_for(reader.read(), max(0.1, until - time.monotonic()))
            writer.close()
        await asyncio.sleep(0.5)


async def _slow(port: int, until: float) -> None:
    """A header line of a head that never ends, twice a second."""
    while time.monotonic() < until:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            with suppress(ConnectionError):
                while time.monotonic() < until and not writer.is_closing():
                    writer.write(b"X-More: y\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.5)
            writer.close()
        await asyncio.sleep(0.5)


async def _attack(port: int, lasts_s: float) -> None:
    until = time.monotonic() + lasts_s
    await asyncio.gather(*(_silent(port, until) for _ in range(SILENT)), *(_slow(port, until) for _ in range(SLOW)))


@pytest.mark.long
def test_a_worker_with_few_descriptors_that_are_all_wanted_answers_every_page(tmp_path: Path) -> None:
    with Flow(tmp_path / "var") as flow:
        with descriptors(200):
            flow.start_worker()
        flow.wait_started()
        port = int(flow.url().rstrip("/").rpartition(":")[2])

        async def hold() -> None:
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(400)]
            for path in ALL_PAGES:
                with await asyncio.to_thread(urlopen, flow.url().rstrip("/") + path, timeout=60) as answered:
                    assert answered.status == 200, path
            assert (await asyncio.to_thread(post, flow.url(), "/votes/", [{"candidate_id": 2}]))[0] == 200
            for _, writer in held:
                writer.close()

        asyncio.run(hold())
        flow.stop_worker()
        assert "out of system resource" not in flow.log_text() and "Traceback" not in flow.log_text(), flow.log_text()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_3000_silent_connections_and_1000_slow_heads_take_nothing_from_others(
    tmp_path: Path, many_descriptors: None
) -> None:
    with Flow(tmp_path / "var") as flow:
        flow.start_worker()
        flow.wait_started()
        port = int(flow.url().rstrip("/").rpartition(":")[2])
        before_mb, told = memory_mb(flow), dict[str, float]()

        async def use() -> None:
            nonlocal told
            assert flow.worker is not None
            attack = asyncio.create_task(_attack(port, LASTS_S))
            client = await asyncio.create_subprocess_exec(
                "python3",
                "-c",
                _CLIENT,
                str(port),
                str(flow.worker.pid),
                str(LASTS_S - 5),
                stdout=asyncio.subprocess.PIPE,
            )
            out, _ = await client.communicate()
            told = json.loads(out)
            assert told["unanswered"] == 0, told
            assert memory_mb(flow) - before_mb < 100
            await attack

        asyncio.run(use())
        print(told)
        assert told["sent"] > 0 and told["most_work_s"] < 1.0, told
        flow.wait_drained()
        metrics = urlopen(f"{flow.url()}metrics", timeout=10).read().decode()
        assert f"weblogs_lines_total {float(told['sent'])}" in metrics
        assert get(flow.url(), "/health/")["healthy"]
        flow.stop_worker()
        assert len(flow.log_text()) < 100_000 and "Traceback" not in flow.log_text(), flow.log_text()[-3000:]


_CLIENT = """
import json, sys, time
from pathlib import Path
from http.client import HTTPConnection
port, pid, lasts_s = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
until, slowest_s, most_work_s, sent, unanswered = time.monotonic() + lasts_s, 0.0, 0.0, 0, 0
def work_s():
    # what the worker's threads computed so far: what it does before it answers, however busy the machine is
    return sum(int(each.read_text().split()[0]) for each in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
def ask(method, path, body=None):
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()
time.sleep(2)
while time.monotonic() < until:
    began, worked_s = time.monotonic(), work_s()
    unanswered += ask("GET", "/health/") != 200
    slowest_s, most_work_s = max(slowest_s, time.monotonic() - began), max(most_work_s, work_s() - worked_s)
    if ask("POST", "/weblogs/", b"no log line %d" % sent) == 200:
        sent += 1
    else:
        unanswered += 1
    time.sleep(0.2)
print(json.dumps({"slowest_s": slowest_s, "most_work_s": most_work_s, "sent": sent, "unanswered": unanswered}))
"""
