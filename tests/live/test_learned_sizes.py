"""On real Kafka two workers learn sizes of files from a store that they share, each for itself, and judge by them; `check` agrees."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT
from tests.flow.running import KILLED
from tests.live.contents import STORES, ask_store, stored
from tests.live.running import Live
from tests.services.server import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
FIELDS = ("verdict", "reason", "evidence", "total_bytes")
UNKNOWN = ("unknown", "size_unknown", "bytes", None)
WHOLE = ("complete", None, "learned", 1000)
CUT = ("partial", "cut_off", "learned", 1000)
A_SECOND = 0.0003
"""In hours, about."""
CLIENTS = range(400)


def lines(clients: range, hour: int, sent: int = 1000) -> str:
    return "".join(
        f"10.0.{client // 250}.{client % 250} - - [01/Nov/2020:{hour:02}:00:00 +0000] "
        f'"GET /film.mp4 HTTP/1.1" 200 {sent if client % 10 else 400 + client} "-" "VLC"\n'
        for client in clients
    )


@pytest.fixture(params=STORES)
def live(tmp_path: Path, broker: Server, request: pytest.FixtureRequest) -> Iterator[Live]:
    """Topics and a store of its own; workers learn every second."""
    name, store = f"t{uuid.uuid4().hex[:8]}", request.param
    own = {"STORES": store, "ELASTICSEARCH_PREFIX": f"{name}-", "CASSANDRA_KEYSPACE": name, "LEARN_SIZES": A_SECOND}
    with Live(tmp_path / "live", broker, **own) as made:
        yield made
        ask_store(
            store, made.settings, lambda each: each.retention.drop({"raw", "reduced", "rejects"}), read_only=False
        )


def verdicts(live: Live) -> set[tuple[object, ...]]:
    """Of the clients that got all, and those that did not, as (cut, verdict …)."""
    found = stored(live.settings.store_names[0], live.settings, FIELDS)
    assert len(found) == len(CLIENTS)
    return {(int(key[0].rpartition(".")[2]) % 10 == 0, *row) for key, row in found.items()}


def app(live: Live, worker: str, *words: str) -> tuple[int, str]:
    """A command with the data folder of a worker: its exit code, and the last line that it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "app", *words, "--quiet"],
        cwd=ROOT,
        env=live.environment(worker),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, (done.stdout or done.stderr).strip().rpartition("\n")[2]


def test_two_workers_of_which_one_is_killed_judge_by_sizes_that_they_learned_and_check_names_what_later_lines_contradict(
    live: Live, tmp_path: Path
) -> None:
    logs = [tmp_path / f"{number}.log" for number in range(3)]
    logs[0].write_text(lines(CLIENTS, 10))
    logs[1].write_text(lines(CLIENTS, 11))
    logs[2].write_text(lines(CLIENTS[1:3], 12, sent=5000))
    workers = [live.start_worker(name) for name in ("one", "two")]
    for name in live.workers:
        live.wait_started(name)

    def names(size: str) -> list[bool]:
        files = [live.folder / name / "learned-sizes.tsv" for name in live.workers]
        return [file.exists() and f"GET /film.mp4\t{size}\t" in file.read_text() for file in files]

    def told(size: str) -> bool:
        return all(names(size))

    live.replay(logs[0]).wait()
    live.wait_drained()
    before = verdicts(live)
    if not any(names("1000")):  # a slow machine may have learned it while the log was read
        assert before == {(False, *UNKNOWN), (True, *UNKNOWN)}
    live.wait_until(lambda: told("1000"), "both workers to learn the size")
    assert app(live, "one", "check") == (0, "no differences")

    replay = live.replay("--rate", 100, "--chunk-bytes", 1024, logs[1])
    live.wait_until(lambda: WHOLE in stored(live.settings.store_names[0], live.settings, FIELDS).values(), "a verdict")
    workers[0].kill()
    replay.wait()
    live.wait_drained()
    assert workers[0].exits == [KILLED]
    assert verdicts(live) == {(False, *WHOLE), (True, *CUT)}
    live.wait_until(lambda: told("1000"), "the size to be there again")
    for name in live.workers:
        assert app(live, name, "check") == (0, "no differences")

    live.replay(logs[2]).wait()
    live.wait_drained()
    live.wait_until(lambda: told("-"), "both workers to learn that the size is not known")
    code, told_last = app(live, "two", "check", "--json")
    assert (code, json.loads(told_last)["differences"]) == (1, len(CLIENTS) - 2)
    assert app(live, "two", "repair")[0] == 0
    assert verdicts(live) == {(False, *UNKNOWN), (True, *UNKNOWN)}
    for name in live.workers:
        assert app(live, name, "check") == (0, "no differences")
