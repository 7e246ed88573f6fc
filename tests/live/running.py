"""Workers and replays on real Kafka, started again when they end, as a supervisor does it."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from app.domain.records import Delivery, Hit
from app.errors import LogError
from app.messages.records import decode_deliveries, decode_rejects
from app.messages.tokens import decode_tokens, hits_of
from app.process.exit import EXIT_REFUSED
from app.process.stack_dump import ASKED
from app.settings import Settings, load
from app.transports.drain import Drain
from app.transports.kafka.options import client_options
from app.transports.kafka.topics import create_topics, drop_topics, droppable, on_broker
from app.transports.kafka.view import KafkaView
from tests import ROOT
from tests.flow.content import COMPARED, Content
from tests.services.server import Server

LINES = int(os.environ.get("N", "50000"))
"""How much passes through the larger tests."""
SCALE = max(1.0, LINES / 50_000)
"""More lines may take longer; how soon something happens at all does not depend on them."""
KILLS = int(os.environ.get("KILLS", "10"))
"""How often one test kills something. Each start of a server takes a while: CI kills less often."""
WAIT_S = 180.0
RESTART_AFTER_S = 0.3


def servers() -> dict[str, str]:
    """The WEBLOGS_ settings of this process' environment: where the real servers are."""
    return {name: value for name, value in os.environ.items() if name.startswith("WEBLOGS_")}


def _end_with_parent() -> None:
    """In a child: no test process that is killed leaves workers behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Supervised:
    """A process that is started again whenever it ends, until it ends well or is stopped; its exit codes are kept."""

    def __init__(
        self, command: list[str], environment: dict[str, str], log: Path, *, until_success: bool = False
    ) -> None:
        self._command, self._environment, self.log = command, environment, log
        self._until_success = until_success
        self._wanted = True
        self.exits: list[int] = []
        self.process = self._start()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log, preexec_fn=_end_with_parent
            )

    def _watch(self) -> None:
        while True:
            code = self.process.wait()
            self.exits.append(code)
            if not self._wanted or code == EXIT_REFUSED or (self._until_success and code == 0):
                return
            time.sleep(RESTART_AFTER_S)
            if not self._wanted:
                return
            if code == -signal.SIGKILL:
                self._environment.pop("WEBLOGS_CRASH_AT", None)  # a named point kills once
            self.process = self._start()

    def kill(self) -> None:
        """It will be started again. Between two lives it is waited for, so that each call ends one."""
        while self.process.poll() is not None and not self.ended:
            time.sleep(0.02)
        self.process.kill()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def wait(self, patience_s: float = WAIT_S) -> None:
        """Until it ended well; more lines may take longer."""
        self._thread.join(patience_s * SCALE)
        assert self.ended, f"not done after {patience_s * SCALE:.0f} s: {self.text()[-2000:]}"
        assert self.exits[-1] == 0, self.text()[-2000:]

    def stop(self) -> None:
        """As an operator does it."""
        self._wanted = False
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self._thread.join(5)

    def end(self) -> None:
        """At once and for good."""
        self._wanted = False
        if self.process.poll() is None:
            self.process.kill()
        self._thread.join(10)

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def _told(log: str) -> str:
    """The end of a log; of the stacks behind it, where there are some, the innermost place of each task."""
    log, _, stacks = log.rpartition(ASKED) if ASKED in log else (log, "", "")
    waiting = []
    for block in re.split(r"\n(?=task |thread )", stacks):
        if places := re.findall(r"^  File \"(?:.*?/)?([^/\"]+/[^/\"]+)\", line (\d+), in (\S+)", block, re.MULTILINE):
            waiting.append(
                f"{block.partition(chr(10))[0]}: "
                + " < ".join(f"{name} ({file}:{line})" for file, line, name in places[-3:][::-1])
            )
    return "\n".join((log[-2000:], *sorted(waiting)))


class Live:
    """Fresh topics, and the workers and replays on them."""

    def __init__(self, folder: Path, broker: Server, **options: object) -> None:
        """`options`: settings by name, without WEBLOGS_."""
        broker.start()  # where a test before this one failed and left it away
        broker.wait_ready()
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        own = {
            "APP_ID": f"live-{uuid.uuid4().hex[:8]}",
            "WEB_PORT": 0,
            "TICK_INTERVAL": 1,
            "PARTITIONS": 4,
            "CHUNK_BYTES": 64 << 10,
        }
        self.options = (
            servers() | broker.settings() | {f"WEBLOGS_{name}": str(value) for name, value in (own | options).items()}
        )
        self.settings: Settings = load(self.options | {"WEBLOGS_DATA_DIR": str(folder / "asking")})
        self.standing = KafkaView(self.settings)
        self.running: list[Supervised] = []
        self.workers: dict[str, Supervised] = {}
        self.fresh_topics()

    def fresh_topics(self) -> None:
        drop_topics(self.settings, droppable(self.settings))
        deadline = time.monotonic() + 60
        while True:  # a topic is gone some moments after it was deleted
            try:
                create_topics(self.settings)
                return
            except LogError:
                assert time.monotonic() < deadline
                time.sleep(0.5)

    def environment(self, name: str, **more: object) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("WEBLOGS_")}
        own = {f"WEBLOGS_{key}": str(value) for key, value in more.items()}
        return inherited | self.options | {"WEBLOGS_DATA_DIR": str(self.folder / name)} | own

    # -- processes

    def start_worker(self, name: str = "worker", **more: object) -> Supervised:
        command = [sys.executable, "-m", "faust", "-A", "app", "worker"]
        worker = Supervised(command, self.environment(name, **more), self.folder / f"{name}.log")
        self.workers[name] = worker
        self.running.append(worker)
        return worker

    def replay(self, *arguments: object, **more: object) -> Supervised:
        command = [sys.executable, "-m", "app", "replay", "--quiet", *map(str, arguments)]
        replay = Supervised(command, self.environment("replay", **more), self.folder / "replay.log", until_success=True)
        self.running.append(replay)
        return replay

    # -- waiting

    def wait_until(self, condition: Callable[[], Any], what: str, patience_s: float = WAIT_S) -> None:
        deadline = time.monotonic() + patience_s
        while not condition():
            refused = [one for one in self.running if one.exits[-1:] == [EXIT_REFUSED]]
            assert not refused, refused[0].text()[-3000:]
            if time.monotonic() > deadline:
                raise AssertionError(f"waited in vain for {what}:\n{self.lag()}\n{self.logs()}")
            time.sleep(0.2)

    def wait_started(self, name: str = "worker") -> None:
        self.wait_until(lambda: "listening on" in self.workers[name].text(), f"{name} to start")

    def wait_drained(self, patience_s: float = WAIT_S) -> None:
        """Until every group has committed what its topics hold now, and what comes of it; more lines may take longer."""
        drain = Drain(self.standing)

        def drained() -> bool:
            try:
                return drain.waiting() == 0
            except LogError:
                return False  # the broker is starting

        self.wait_until(drained, "all groups to read everything", patience_s * SCALE)

    def committed(self) -> int:
        """Sum of the offsets of the flow's group: grows with progress."""
        try:
            return sum(self.standing.committed(self.settings.app_id).values())
        except LogError:
            return 0

    def lag(self) -> str:
        """What each group has still to read, or why that is not known."""
        try:
            lag = self.standing.positions(list(self.standing.groups())).lag
        except LogError as error:
            return str(error)
        return "\n".join(
            f"{group} lacks {left} of {topic}/{number}" for (group, topic, number), left in lag.items() if left
        )

    def logs(self) -> str:
        """The end of each; of workers that run, where each of their tasks waits."""
        for worker in self.workers.values():
            if worker.process.poll() is None:
                worker.signal(signal.SIGUSR1)
        time.sleep(1)
        return "\n".join(f"--- {one.log.name} {one.exits}\n{_told(one.text())}" for one in self.running)

    # -- what is in the topics

    def values(self, topic: str) -> list[bytes]:
        from kafka import KafkaConsumer, TopicPartition

        consumer = KafkaConsumer(
            **client_options(self.settings), auto_offset_reset="earliest", enable_auto_commit=False
        )
        try:
            places = [
                TopicPartition(on_broker(self.settings, topic), partition)
                for partition in range(self.settings.partitions)
            ]
            consumer.assign(places)
            ends = consumer.end_offsets(places)
            consumer.seek_to_beginning(*places)
            found: list[bytes] = []
            while any(consumer.position(place) < ends[place] for place in places):
                for records in consumer.poll(timeout_ms=1000).values():
                    found += [record.value for record in records]
            return found
        finally:
            consumer.close()

    def deliveries(self, fields: tuple[str, ...] = COMPARED) -> Content:
        """The newest version of each, from the topic, those that count."""
        newest: dict[tuple[Any, ...], Delivery] = {}
        for value in self.values("weblogs_reduced"):
            for record in decode_deliveries(value):
                known = newest.get(record[:4])
                if known is None or known.version < record.version:
                    newest[record[:4]] = record
        return {
            name: tuple(getattr(record, field) for field in fields)
            for name, record in newest.items()
            if record.superseded_by is None
        }

    def raw_ids(self) -> tuple[Counter[str], Counter[str]]:
        """How often each raw id is among the hits and among the rejects of the topics; repeats are sent after a crash."""
        hits = Counter(
            hit.raw_id
            for value in self.values("weblogs_tokens")
            for hit in map(Hit._make, hits_of(decode_tokens(value)))
        )
        rejects = Counter(reject.raw_id for value in self.values("weblogs_rejects") for reject in decode_rejects(value))
        return hits, rejects

    def send(self, topic: str, partition: int, value: bytes) -> None:
        """As somebody else's producer does it."""
        from kafka import KafkaProducer

        producer = KafkaProducer(**client_options(self.settings))
        try:
            producer.send(topic, value, partition=partition).get(30)
        finally:
            producer.close()

    # -- context

    def __enter__(self) -> Live:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self.running:
            one.end()
        self.standing.close()
