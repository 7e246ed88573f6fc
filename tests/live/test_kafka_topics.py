"""On real Kafka: what is told of topics that somebody changes, and several flows beside one another."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.domain.counted import added
from app.flows.deliveries import TOKENS
from app.flows.registry import COUNTED, TABLES, TOPICS
from app.process.exit import EXIT_REFUSED
from app.settings import load
from app.stores.contract import Store
from app.transports.kafka.topics import create_topics
from app.transports.kafka.view import KafkaView
from tests import ROOT
from tests.flow.content import differences, reduced
from tests.flow.test_flow import simulate
from tests.flow.voting import post
from tests.live.contents import ask_store, stored
from tests.live.running import Live
from tests.live.test_kafka_losses import admin, app, problems, send_lines, start
from tests.live.test_kafka_tools import CLASSES, jars
from tests.services.server import Server

__all__ = ["jars"]
pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


def test_partitions_added_under_a_running_worker_are_told(tmp_path: Path, broker: Server) -> None:
    with Live(tmp_path, broker, FORMAT="combined") as live:
        start(live)
        with admin(live) as client:
            client.create_partitions({"weblogs": 6})
        live.wait_until(
            lambda: any("weblogs has 6 partitions, WEBLOGS_PARTITIONS=4" in each for each in problems(live)),
            "health",
            60,
        )
        assert "weblogs has 6 partitions" in live.workers["worker"].text()
        done = app(live, "check", "--quiet")
        assert done.returncode == 1 and "weblogs has 6 partitions" in done.stdout, done.stdout + done.stderr
        shown = app(live, "topics", "show")
        assert shown.returncode == 1 and "topic weblogs: 0 messages, 6 partitions" in shown.stdout, shown.stderr


def test_a_flow_of_another_app_id_on_the_same_topics_is_told_to_both_and_by_check(
    tmp_path: Path, broker: Server
) -> None:
    with Live(tmp_path, broker, FORMAT="combined") as live:
        start(live)
        other = f"{live.settings.app_id}-2"
        create_topics(msgspec.structs.replace(live.settings, app_id=other))
        live.start_worker("other", APP_ID=other, WINDOW="day")
        send_lines(live, 10)
        said = {"worker": other, "other": live.settings.app_id}
        said = {name: f"The group {group} reads weblogs and weblogs_tokens, too." for name, group in said.items()}
        live.wait_until(
            lambda: all(any(told in each for each in problems(live, name)) for name, told in said.items()), "both", 90
        )
        assert all(told in live.workers[name].text() for name, told in said.items())
        checked = app(live, "check", "--quiet")
        assert checked.returncode == 1 and f"The group {other} reads" in checked.stdout, checked.stdout + checked.stderr
        live.workers["other"].stop()
        live.wait_until(lambda: problems(live) == [], "a healthy worker", 90)
        checked = app(live, "check", "--quiet")  # a delivery by the other window stands there
        assert "The group" not in checked.stdout and "its hits belong to the delivery" in checked.stdout
        assert live.workers["worker"].exits == []


def test_drop_refuses_while_a_worker_runs_and_leaves_other_prefixes_alone(tmp_path: Path, broker: Server) -> None:
    with (
        Live(tmp_path / "one", broker, FORMAT="combined", TOPIC_PREFIX="one.") as one,
        Live(tmp_path / "two", broker, FORMAT="combined", TOPIC_PREFIX="two.", APP_ID=one.settings.app_id) as two,
    ):
        start(one)
        send_lines(one, 5)
        one.wait_drained()
        assert len(one.raw_ids()[0]) == 5 and two.standing.bounds("weblogs")[0] == (0, 0)
        refused = app(one, "topics", "drop", "--yes")
        assert refused.returncode == 1 and "stop it first; nothing was deleted" in refused.stderr, refused.stderr
        gone = app(two, "topics", "drop", "--yes")
        assert gone.returncode == 0 and "topic two.weblogs\n" in gone.stdout and "one." not in gone.stdout, gone.stderr
        assert "topic one.weblogs: 5 messages" in app(one, "topics", "show").stdout


PAGE = (ROOT / "docs" / "how-to" / "more-partitions.md").read_text()
SAVING, SETTINGS = re.findall(r"^ *```sh\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL)
EVENTS = {
    "/votes/": [{"candidate_id": number % 3 + 1, "vote_id": f"v{number}"} for number in range(40)],
    "/spending/": [
        {"user_id": f"u{number % 4}", "transaction_id": f"t{number}", "cents": 250, "time": 1596153600}
        for number in range(40)
    ],
}


def feed(live: Live, name: str, *logs: Path) -> None:
    """Lines, votes and spending, from where they are kept."""
    live.replay(*logs, DATA_DIR=live.folder / name).wait()
    url = live.workers[name].text().rpartition("listening on ")[2].split()[0]
    for path, events in EVENTS.items():
        status, told = post(url, path, events)
        assert status == 200, told
    live.wait_drained()


async def counted(store: Store) -> dict[str, Any]:
    """By kind: the number of events, and the sums over all partitions."""
    return {
        kind.name: (
            len([each async for each in store.ledgers.all_events(kind)]),
            added([each async for each in store.ledgers.all_sums(kind) if each.resolution == "total"]),
        )
        for kind in COUNTED
    }


def test_the_way_to_more_partitions_keeps_lines_votes_and_spending(tmp_path: Path, broker: Server, jars: Path) -> None:
    """By the page, word for word, after somebody added partitions and lines came into them."""
    log, _ = simulate(tmp_path, 600)
    name = f"t{uuid.uuid4().hex[:8]}"
    options = {
        "STORES": "elasticsearch,cassandra",
        "ELASTICSEARCH_PREFIX": f"{name}-",
        "CASSANDRA_KEYSPACE": name,
        "TOPIC_PREFIX": f"{name}.",
        "FORMAT": "weblog_tsv",
    }
    with Live(tmp_path / "live", broker, **options) as live:
        live.start_worker()
        live.wait_started()
        feed(live, "worker", log)
        before = ask_store("elasticsearch", live.settings, counted)
        with admin(live) as client:
            client.create_partitions({f"{name}.weblogs": 6})
        fields = log.read_bytes().splitlines()[1].split(b"\t")
        for partition in (4, 5):
            late = b"\t".join([*fields[:2], b"192.0.2.%d" % partition, *fields[3:]])
            live.send(f"{name}.weblogs", partition, late)
        live.wait_until(lambda: any("has 6 partitions" in each for each in problems(live)), "health", 60)
        assert "messages wait" in app(live, "topics", "show").stdout
        live.workers["worker"].stop()
        refused = live.start_worker("refused")
        deadline = time.monotonic() + 60
        while not refused.ended and time.monotonic() < deadline:
            time.sleep(0.1)
        assert refused.exits == [EXIT_REFUSED], refused.text()[-2000:]
        live.running.remove(refused)
        saved = [save_partition(live, broker, jars, number) for number in (4, 5)]

        old = dict(live.options)
        told = dict(line.strip().split("=", 1) for line in SETTINGS.splitlines())
        told |= {key: value.replace("p12", f"{name}-p12") for key, value in told.items() if value.startswith("p12")}
        told["WEBLOGS_CASSANDRA_KEYSPACE"] = f"{name}_p12"
        told["WEBLOGS_DATA_DIR"] = str(tmp_path / "live" / "p12")
        live.options |= told
        live.settings = load(live.options)
        live.standing.close()
        live.standing = KafkaView(live.settings)
        done = app(live, "init")
        assert done.returncode == 0, done.stdout + done.stderr
        live.start_worker("p12", DATA_DIR=told["WEBLOGS_DATA_DIR"])
        live.wait_started("p12")
        feed(live, "p12", log, *saved)
        checked = app(live, "check", "--quiet")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        content, statistics = reduced(log, *saved)
        assert statistics.hits == 602 and not statistics.rejects
        for store in ("elasticsearch", "cassandra"):
            assert differences(stored(store, live.settings), content) == ""
            assert ask_store(store, live.settings, counted) == before
        assert {partition for topic, partition in live.standing.ends() if topic == TOKENS} == set(range(12))
        live.options, new = old, live.options
        gone = app(live, "topics", "drop", "--yes")
        assert gone.returncode == 0 and f"topic {name}.weblogs\n" in gone.stdout and "p12" not in gone.stdout, (
            gone.stderr
        )
        live.options = new
        shown = app(live, "topics", "show")
        assert shown.returncode == 0 and shown.stdout.count("12 partitions") == len(TOPICS) + len(TABLES) + 1, (
            shown.stdout + shown.stderr
        )


def save_partition(live: Live, broker: Server, jars: Path, number: int) -> Path:
    """By the command of the page."""
    shown, _, file = SAVING.strip().partition(" > ")
    program, *words = shlex.split(shown.replace("127.0.0.1:9092", f"127.0.0.1:{broker.port}"))
    words = [f"{live.settings.topic_prefix}weblogs" if word == "weblogs" else word for word in words]
    words[words.index("--partition") + 1] = str(number)
    place = live.folder / file.replace("4", str(number))
    with place.open("wb") as out:
        done = subprocess.run(
            ["java", "-cp", f"{jars}/*", CLASSES[program], *words],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0 and place.stat().st_size, done.stderr
    return place
