"""Alerts on records of real Kafka and on deliveries: each notice reaches log, webhook, topic and Alertmanager once, whenever the process is killed."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import requests

from app.domain.alerts.lifecycle import Notice
from app.flows.usage import NOTICES_TOPIC
from app.messages.notices import decode_notices
from app.process.crash_points import ALERT_POINTS
from app.settings import load
from app.stores import open_store
from app.usage.brokers import KafkaUsageBroker
from app.usage.options import UsageOptions
from app.usage.sending import packed_record
from tests import ROOT
from tests.alerts.receiving import Receiver, alertmanager
from tests.alerts.test_deliveries import SAMPLE, deliveries
from tests.alerts.test_notices import EVENTS, SECRET, TOML, UNTIL
from tests.live.running import Live
from tests.services.server import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


def notify(folder: Path, webhook: str, alerts: str) -> str:
    (folder / "secret").write_bytes(SECRET)
    return (
        f'\n[notify]\ntopic = true\nwebhook = "{webhook}"\nwebhook_secret_file = "{folder}/secret"\n'
        f'alertmanager = "{alerts}"\n'
    )


def told(live: Live, *arguments: object, crash_at: str = "") -> str:
    """The log of a run."""
    more = {"CRASH_AT": crash_at} if crash_at else {}
    command = [sys.executable, "-m", "app", *map(str, arguments)]
    environment = live.environment("alerts", STORES="sqlite", **more)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == (-signal.SIGKILL if crash_at else 0), done.stdout + done.stderr
    return done.stdout


def assert_each_once(live: Live, receiver: Receiver, count: int, point: str) -> None:
    lines = (live.folder / "alerts" / "alerts" / "notices.jsonl").read_text().splitlines()
    file = [Notice(**json.loads(line)) for line in lines]
    assert [notice.status for notice in file] == ["firing", "resolved"] * (count // 2)
    assert len({notice.id for notice in file}) == count
    topic = [each for value in live.values(NOTICES_TOPIC) for each in decode_notices(value)]
    assert sorted(topic) == sorted(file)
    posted = [heads["Idempotency-Key"] for heads, _ in receiver.got]
    assert list(dict.fromkeys(posted)) == [notice.id for notice in file]
    assert len(posted) == count * (2 if point == "alerts_delivered" else 1)  # its receiver knows it by its id


@pytest.mark.parametrize("point", ALERT_POINTS)
def test_notices_on_records_of_kafka_are_told_once_whenever_the_process_is_killed(
    tmp_path: Path, broker: Server, point: str
) -> None:
    receiver = Receiver()
    with Live(tmp_path / "live", broker) as live, receiver.serving() as url, alertmanager(tmp_path) as alerts:
        (tmp_path / "rules.toml").write_text(TOML + notify(tmp_path, url, alerts))
        options = UsageOptions(service="shop", spool=tmp_path / "spool", broker=live.settings.broker)
        with closing(KafkaUsageBroker(f"127.0.0.1:{broker.port}", options)) as sending:
            for at in range(0, len(EVENTS), 7):
                sending.send([packed_record(event.of) for event in EVENTS[at : at + 7]])
        command = ["usage", "alerts", "--rules", tmp_path / "rules.toml", "--once", "--until", UNTIL]
        told(live, *command, crash_at=point)
        told(live, *command)
        assert_each_once(live, receiver, 4, point)
        assert "any" not in told(live, *command)
        assert_each_once(live, receiver, 4, point)
        assert requests.get(f"{alerts}/api/v2/alerts", timeout=30).json() == []


@pytest.mark.parametrize("point", ALERT_POINTS)
def test_notices_on_deliveries_are_told_once_whenever_the_process_is_killed(
    tmp_path: Path, broker: Server, point: str
) -> None:
    receiver = Receiver()
    with Live(tmp_path / "live", broker) as live, receiver.serving() as url, alertmanager(tmp_path) as alerts:
        (tmp_path / "rules.toml").write_text(SAMPLE.read_text() + notify(tmp_path, url, alerts))

        async def stored() -> None:
            store = open_store("sqlite", load(live.options | {"WEBLOGS_DATA_DIR": str(live.folder / "alerts")}))
            await store.open()
            await store.writes.write_deliveries(deliveries(falls_=True))
            await store.close()

        asyncio.run(stored())
        command = ["alerts", "--rules", tmp_path / "rules.toml"]
        told(live, *command, crash_at=point)
        told(live, *command)
        assert_each_once(live, receiver, 2, point)
        assert "fewer whole deliveries" not in told(live, *command)
        assert_each_once(live, receiver, 2, point)
