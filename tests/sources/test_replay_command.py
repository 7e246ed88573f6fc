"""`python -m app replay` sends to the real log, says what it did, and ends with a code that tells."""

from __future__ import annotations

import gzip
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message, unpack_headers
from tests import ROOT
from tests.called import call_app
from tests.flow.running import Flow
from tests.sources.logs import MemoryLog, log, sent_once

CONTENT = log(3000)


def command(
    folder: Path, *arguments: str, stdin: bytes | Path = b"", **settings: str
) -> subprocess.CompletedProcess[str]:
    return call_app(["replay", *arguments], folder, {"DATA_DIR": folder / "var", **settings}, stdin)


def start(folder: Path, *arguments: str, **settings: object) -> subprocess.Popen[bytes]:
    """As users start it."""
    command = [sys.executable, "-m", "app", "replay", *arguments]
    environ = Flow(folder / "var", **settings).environment()
    return subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE)


def catches(running: subprocess.Popen[bytes], number: int) -> bool:
    """Whether the process does something of its own at that signal."""
    (caught,) = re.findall(r"^SigCgt:\s*(\w+)", Path(f"/proc/{running.pid}/status").read_text(), re.MULTILINE)
    return bool(int(caught, 16) & 1 << (number - 1))


def received(folder: Path) -> MemoryLog:
    """What stands in the real log, as a log in memory."""
    found, real = MemoryLog(), EmbeddedLog(folder / "var" / "weblogs-log.db")
    for partition in range(real.partitions("weblogs")):
        for record in real.read("weblogs", partition, 0, 1 << 30):
            headers = dict(unpack_headers(record.headers))
            found.messages.append(Message("weblogs", partition, record.key, record.value, headers, record.timestamp))
    real.close()
    return found


def sent(folder: Path) -> bytes:
    """The lines that stand in the real log, as a file."""
    there = (folder / "var" / "weblogs-log.db").exists()
    return b"".join(text + b"\n" for text in received(folder).texts()) if there else b""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "access.log"
    file.write_bytes(CONTENT)
    return file


def test_a_file_and_its_archive_are_sent_once(tmp_path: Path, path: Path) -> None:
    done = command(tmp_path, str(path))
    assert (done.returncode, done.stdout) == (0, "")
    assert f"3,000 lines, {len(CONTENT):,} bytes in " in done.stderr
    packed = tmp_path / "copy.gz"
    packed.write_bytes(gzip.compress(CONTENT))
    done = command(tmp_path, str(packed), "--line-by-line")
    assert done.returncode == 0 and f"{packed} was already sent: 3,000 lines" in done.stderr
    assert sent_once(received(tmp_path), CONTENT)


def test_a_file_is_sent_once_to_each_log_and_anew_to_one_that_was_made_anew(tmp_path: Path, path: Path) -> None:
    logs = [f"sqlite:///{tmp_path}/{name}.db" for name in ("var/weblogs-log", "other")]
    for said in ("3,000 lines, ", "was already sent"):
        for broker in logs:
            assert said in command(tmp_path, str(path), BROKER=broker).stderr
    for file in (tmp_path / "var").glob("weblogs-log.db*"):
        file.unlink()
    assert "3,000 lines, " in command(tmp_path, str(path)).stderr
    assert sent_once(received(tmp_path), CONTENT)


def test_standard_input_is_read_from_a_pipe_and_from_a_file(tmp_path: Path, path: Path) -> None:
    assert command(tmp_path, "-", stdin=gzip.compress(CONTENT)).returncode == 0
    done = command(tmp_path, "-", stdin=CONTENT)
    assert "stdin was already sent" in done.stderr
    again = command(tmp_path, "-", stdin=path)
    assert again.returncode == 0 and "stdin was already sent" in again.stderr
    assert sent_once(received(tmp_path), CONTENT)


def test_other_lines_from_standard_input_are_another_source(tmp_path: Path) -> None:
    command(tmp_path, "-", stdin=CONTENT)
    other = CONTENT[:-100] + log(5, 9000)
    assert command(tmp_path, "-", stdin=other).returncode == 0
    assert len(received(tmp_path).sources()) == 2
    assert Counter(received(tmp_path).texts()) == Counter(CONTENT.splitlines() + other.splitlines())


def test_what_can_not_be_read_is_said_and_the_rest_is_sent(tmp_path: Path, path: Path) -> None:
    done = command(tmp_path, str(tmp_path / "none.log"), str(path), "--quiet")
    assert done.returncode == 1
    assert (
        done.stderr
        == f"{tmp_path}/none.log does not exist: check the name (`replay --follow` waits for a file that is yet to come)\n"
    )
    assert sent_once(received(tmp_path), CONTENT)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument"),
        (["--format", "comon", "x.log"], "there is no log format 'comon'; did you mean common"),
        (["--order", "up", "x.log"], "'up' is not one of"),
        (["--follow", "--order", "random", "x.log"], "--follow reads files as they grow"),
        (["--rate", "-1", "x.log"], "--rate"),
    ],
)
def test_a_command_that_makes_no_sense_ends_with_2(tmp_path: Path, arguments: list[Any], said: str) -> None:
    done = command(tmp_path, *arguments)
    assert done.returncode == 2 and said in done.stderr


def test_a_broker_that_is_not_known_is_one_sentence(tmp_path: Path, path: Path) -> None:
    done = command(tmp_path, str(path), BROKER="carrier-pigeon://x")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "carrier-pigeon" in done.stderr


def test_a_signal_stops_at_an_acknowledged_place_and_the_same_command_goes_on(tmp_path: Path, path: Path) -> None:
    running = start(tmp_path, "--rate", "500", str(path))
    while not list(tmp_path.glob("var/sources/1024/*.json")):
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=20)
    assert running.returncode == 1 and b"stopped before the end, the same command goes on from there" in said
    assert command(tmp_path, str(path)).returncode == 0
    assert sent_once(received(tmp_path), CONTENT)


@pytest.mark.parametrize("lines", [0, 3, 3000], ids=["no writer yet", "too few to tell the format", "a silent writer"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_silent_pipe_holds_up_neither_the_lines_that_came_nor_the_end(
    tmp_path: Path, number: int, lines: int
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    running = start(tmp_path, "--quiet", str(pipe))
    stream = pipe.open("wb", buffering=0) if lines else None
    try:
        if stream is not None:
            stream.write(log(lines))
        while not catches(running, signal.SIGTERM) or (lines > 3 and not sent(tmp_path)):
            assert running.poll() is None
            time.sleep(0.02)
        running.send_signal(number)
        _, said = running.communicate(timeout=20)
    finally:
        running.kill()
        running.communicate()
        if stream is not None:
            stream.close()
    assert (running.returncode, said) == (1, b"")
    assert sent(tmp_path) == log(lines if lines > 3 else 0)


@pytest.mark.long
def test_ten_kills_at_random_lose_nothing_and_move_nothing(tmp_path: Path, path: Path) -> None:
    rng = random.Random(3)
    path.write_bytes(log(40_000))
    for _ in range(10):
        with start(tmp_path, "--rate", "20000", "--quiet", str(path), CHUNK_BYTES=2048) as running:
            try:
                running.wait(rng.uniform(0.2, 0.9))
            except subprocess.TimeoutExpired:
                running.kill()
    assert command(tmp_path, str(path)).returncode == 0
    lines = set(received(tmp_path).lines())
    assert len({source for source, _, _ in lines}) == 1
    assert sorted(text for _, _, text in lines) == sorted(log(40_000).splitlines())
