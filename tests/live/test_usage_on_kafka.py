"""The usage log on real Kafka: what was made while the broker was away arrives, and the check finds all of it in the archive."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.archiving.check import Places, check_usage
from app.archiving.manifests import Manifests, sha256_of
from app.archiving.repair import repair_usage
from app.archiving.storage import Folder
from app.archiving.worker import Archiver, ArchiveRules
from app.errors import LogUnreachable
from app.transports.kafka.producer import KafkaProducer
from app.transports.kafka.view import KafkaView
from app.transports.messages import Message
from app.usage.brokers import KafkaUsageBroker
from app.usage.log import UsageLog
from app.usage.options import UsageOptions
from app.words import usage_lines
from tests import ROOT
from tests.live.running import Live
from tests.services.server import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


def test_records_made_while_the_broker_is_away_are_archived_once_and_each_file_is_made_again_byte_by_byte(
    tmp_path: Path, broker: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    spool, archive = tmp_path / "spool", tmp_path / "archive"
    with Live(tmp_path / "live", broker) as live:
        options = UsageOptions(
            service="shop", spool=spool, broker=f"kafka://127.0.0.1:{broker.port}", machine="m1", heartbeat_s=3600.0
        )
        log = UsageLog(options)
        for number in range(3000):
            log.record("request", user_id=f"u{number % 50}")
            time.sleep(0.0005)
            if number == 1000:
                broker.kill()
            if number == 2000:
                broker.start()
        broker.wait_ready()
        log.stop(60)
        last = UsageLog(options)  # what the first could not send before its end, the next process sends
        last.record("request", user_id="u")
        with closing(KafkaView(live.settings)) as view:

            def held() -> int:
                Archiver(view, "usage", Folder(archive), ArchiveRules("parquet", interval_s=0.0)).run_once()
                manifests = Manifests(Folder(archive))
                every = [manifests.done(one) for each in manifests.partitions() for one in manifests.of(each)]
                return sum(done.rows for done in every if done is not None)

            live.wait_until(lambda: held() >= 3004, "the records in the archive", 120)
            assert last.stop(60)
            live.wait_until(lambda: held() == 3005, "the stop record", 60)
            places = Places(view, "usage", Folder(archive), "parquet", [spool], lambda: KafkaView(live.settings))
            report = check_usage(places)
            told = [line for state in report.states for line in usage_lines(state)]
            archived = [
                (state.made, held.missing, held.doubled, held.late)
                for state in report.states
                for held in state.held[:1]
            ]
            assert sorted(archived) == [(3, (), (), ()), (3002, (), (), ())], told
            assert report.problems == [] and not any(state.is_unknown for state in report.states)
            before = {path: sha256_of(path) for path in archive.rglob("*.parquet")}
            for path in [*before, *archive.rglob("*.done.json")]:
                path.unlink()
            held()
            assert {path: sha256_of(path) for path in archive.rglob("*.parquet")} == before
            largest = max(before, key=lambda path: path.stat().st_size)
            largest.unlink()
            count, repaired = repair_usage(places)
            assert count > 0 and not any(state.held[0].missing for state in repaired.states)


AWAY_S = 60.0
SERVING = """
import sys, time
from pathlib import Path
from app.usage.log import UsageLog
from app.usage.options import UsageOptions
folder = Path(sys.argv[1])
log = UsageLog(UsageOptions(service="shop", spool=folder / "spool", broker=sys.argv[2], machine="m1"))
with open(folder / "journal", "w", buffering=1) as journal:
    number = 0
    while not (folder / "stop").exists():
        print(log.record("request", user_id=f"u{(number := number + 1) % 50}"), file=journal)
        time.sleep(0.002)
sys.exit(not log.stop(120))
"""


@pytest.mark.parametrize("number", range(int(os.environ.get("FAULT_ROUNDS", "1"))))
def test_a_broker_that_is_away_for_a_minute_under_load_costs_no_record_and_doubles_none(
    tmp_path: Path, broker: Server, number: int
) -> None:
    spool, archive, journal = tmp_path / "spool", Folder(tmp_path / "archive"), tmp_path / "journal"
    with Live(tmp_path / "live", broker) as live:
        command = [sys.executable, "-c", SERVING, str(tmp_path), f"kafka://127.0.0.1:{broker.port}"]
        service = subprocess.Popen(command, cwd=ROOT)
        try:
            live.wait_until(lambda: journal.exists() and journal.stat().st_size > 5_000 + 500 * number, "calls", 60)
            broker.kill()
            before = journal.stat().st_size
            time.sleep(AWAY_S)
            assert journal.stat().st_size > before  # the service went on
            broker.start()
            broker.wait_ready()
            time.sleep(5)
            (tmp_path / "stop").touch()
            assert service.wait(180) == 0
        finally:
            service.kill()
            service.wait()
            broker.start()
            broker.wait_ready()
        noted = {int(line) for line in journal.read_text().split("\n")[:-1]}
        with closing(KafkaView(live.settings)) as view:
            Archiver(view, "usage", archive, ArchiveRules("csv", interval_s=0.0)).run_once(time.time() + 1)
            report = check_usage(Places(view, "usage", archive, "csv", [spool], lambda: KafkaView(live.settings)))
        (state,) = report.states
        (held,) = [each for each in state.held if each.side == "archive"]
        assert (held.missing, held.doubled, held.altered, held.late, held.on_the_way) == ((), (), (), (), ())
        assert state.dropped == {} and state.tail is None and held.records == state.made
        assert noted <= set(range(1, state.made + 1))


@pytest.mark.parametrize("kind", ["usage log", "replay and POST"])
def test_a_broker_that_does_not_answer_leaves_no_thread_of_a_client_behind(
    tmp_path: Path, broker: Server, kind: str
) -> None:
    """Each failed send drops its client. In a long outage there would be hundreds of threads and connections."""

    def clients() -> int:
        return sum("kafka-python-producer" in thread.name for thread in threading.enumerate())

    with Live(tmp_path / "live", broker) as live:
        options = UsageOptions(service="shop", spool=tmp_path / "spool", broker=f"kafka://127.0.0.1:{broker.port}")
        of_usage, of_lines = (
            KafkaUsageBroker(options.broker.removeprefix("kafka://"), options),
            KafkaProducer(live.settings),
        )

        def send() -> None:
            if kind == "usage log":
                of_usage.send([(b"u", b"{}")])
            else:
                of_lines.append([Message("usage", 0, None, b"{}", {}, time.time())])

        before = clients()
        for _ in range(2):
            send()
            assert clients() == before + 1
            broker.pause()
            try:
                with pytest.raises(LogUnreachable):
                    send()
            finally:
                broker.resume()
            gc.collect()
            assert clients() == before
        send()
        of_usage.close()
        of_lines.close()
        assert clients() == before
