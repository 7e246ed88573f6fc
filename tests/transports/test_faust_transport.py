"""Real Faust workers on the embedded log, each in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message, unpack_headers

TIMEOUT_S = 60


@contextmanager
def worker(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", f"tests.transports.{script}", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(done: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not done():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"not reached; the worker said: {process.communicate()[0]}")
        time.sleep(0.02)


def stop(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(TIMEOUT_S)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def numbered(topic: str, numbers: range) -> list[Message]:
    return [Message(topic, n % 2, None, b"%d" % n, {"n": b"%d" % n}, 1.0) for n in numbers]


def noted(path: Path) -> Counter[tuple[str, int, int, str]]:
    """How often each (topic, partition, offset, value) was handled."""
    found: Counter[tuple[str, int, int, str]] = Counter()
    for line in lines(path):
        topic, partition, offset, value, headers = line.split(" ", 4)
        assert headers == str({"n": value.encode()}), headers
        found[topic, int(partition), int(offset), value] += 1
    return found


def has_noted(path: Path, count: int) -> bool:
    return len(noted(path)) == count


def expected(numbers: range) -> set[tuple[str, int, int, str]]:
    return {(topic, n % 2, n // 2, str(n)) for topic in ("first", "second") for n in numbers}


@pytest.mark.long
def test_two_apps_in_one_worker_keep_their_own_offsets_over_a_hang_a_kill_and_a_restart(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.db")
    for topic in ("first", "second"):
        log.create_topic(topic, 2)
        log.append(numbered(topic, range(800)))

    def send(numbers: range) -> None:
        """From another process than the worker's."""
        for topic in ("first", "second"):
            log.append(numbered(topic, numbers))

    with worker("two_apps", tmp_path, "hang") as process:
        wait_until(lambda: len(noted(tmp_path / "sink.txt")) == 4, process)  # both its agents hang now
        send(range(800, 900))
        wait_until(lambda: len(noted(tmp_path / "flow.txt")) == 1800, process)
        wait_until(lambda: sum(log.committed("flow").values()) == 1800, process)
        assert log.groups() == {"flow": ["first", "second"], "flow-sink": ["first", "second"]}
        assert sum(log.committed("flow-sink").values()) <= 4
        process.kill()

    with worker("two_apps", tmp_path) as process:
        wait_until(lambda: len(noted(tmp_path / "sink.txt")) == 1800, process)
        send(range(900, 1000))
        for name in ("flow", "sink"):
            path = tmp_path / f"{name}.txt"
            wait_until(partial(has_noted, path, 2000), process)
        assert stop(process) == 0

    for name in ("flow", "sink"):
        found = noted(tmp_path / f"{name}.txt")
        assert set(found) == expected(range(1000))
    assert set(noted(tmp_path / "flow.txt").values()) == {1}
    assert set(log.lag().values()) == {0}
    log.close()


@pytest.mark.long
def test_fausts_own_table_take_and_sends_work_and_a_restart_goes_on_where_it_stopped(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.db")
    log.create_topic("words", 2)
    words = [b"red", b"green", b"blue", b"red"]

    def send(times: int) -> None:
        log.append([Message("words", hash(word) % 2, word, word, {}, 1.0) for word in words * times])

    send(25)
    with worker("table_app", tmp_path) as process:
        wait_until(lambda: len(lines(tmp_path / "counts.txt")) == 100, process)
        wait_until(lambda: sum(log.committed("tables").values()) == 200, process)
        assert stop(process) == 0
    send(25)
    with worker("table_app", tmp_path) as process:
        wait_until(lambda: len(lines(tmp_path / "counts.txt")) >= 200, process)
        assert stop(process) == 0

    counts = {(word, int(count)) for word, count in (line.split() for line in lines(tmp_path / "counts.txt"))}
    assert counts == {("red", n) for n in range(1, 101)} | {
        (word, n) for word in ("green", "blue") for n in range(1, 51)
    }
    sent = [row for partition in range(2) for row in log.read("counts", partition, 0)]
    assert {row.key: unpack_headers(row.headers) for row in sent} == {word: [("word", word)] for word in words}
    by_key = [{row.key for row in log.read("counts", partition, 0)} for partition in range(2)]
    assert by_key[0].isdisjoint(by_key[1])
    echoes = log.read("echoes", 0, 0)
    assert [row.timestamp for row in echoes] == [7.0] * 200
    log.close()


def test_a_second_worker_on_the_same_log_ends_with_the_name_of_the_first(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.db")
    log.lock_worker()
    with worker("two_apps", tmp_path) as process:
        output, _ = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode not in (0, None)
        assert "another worker (process" in output
    log.close()
