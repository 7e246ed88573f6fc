"""On real Kafka: what was deleted, or passed over, before a group read it is told until somebody acknowledges it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.flows.registry import progress_topic
from app.messages.progress import GroupMark, progress_message
from app.transports.kafka.admin import open_admin
from app.transports.messages import Message
from app.transports.producers import open_producer
from tests import ROOT
from tests.live.running import Live
from tests.services.server import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
LINE = b'203.0.113.9 - - [31/Dec/2020:10:00:%02d +0000] "GET /a HTTP/1.1" 200 10 "-" "curl/8"\n'


@contextmanager
def admin(live: Live) -> Iterator[Any]:
    client = open_admin(live.settings, 20_000)
    try:
        yield client
    finally:
        client.close()


def delete_before(live: Live, topic: str, partition: int, offset: int) -> None:
    from kafka import TopicPartition

    with admin(live) as client:
        client.delete_records({TopicPartition(topic, partition): offset})


def send_lines(live: Live, count: int, partition: int = 0) -> None:
    from kafka import KafkaProducer

    from app.transports.kafka.options import client_options
    from app.transports.kafka.topics import on_broker

    producer = KafkaProducer(**client_options(live.settings))
    for number in range(count):
        producer.send(on_broker(live.settings, "weblogs"), LINE % (number % 60), partition=partition)
    producer.flush()
    producer.close()


def ask(live: Live, path: str, name: str = "worker") -> tuple[int, str]:
    url = live.workers[name].text().rpartition("listening on ")[2].split()[0]
    try:
        with urllib.request.urlopen(url + path, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def problems(live: Live, name: str = "worker") -> list[str]:
    _, text = ask(live, "health/", name)
    try:
        return list(json.loads(text)["problems"])
    except ValueError:
        return [text]


def app(live: Live, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        env=live.environment("worker"),
        capture_output=True,
        text=True,
        check=False,
    )


def lost(group: str, topic: str, first: int, last: int) -> str:
    return f"Messages {first} to {last} of {topic}/0 ({last - first + 1}) were not read by group {group}"


def start(live: Live, **options: str) -> None:
    if "worker" in live.workers:
        live.workers["worker"].stop()
        live.workers["worker"].log.unlink()
    live.start_worker(**options)
    live.wait_started()


def read_ten_and_stop(live: Live) -> None:
    """A worker has read the first ten lines, and is away."""
    start(live)
    send_lines(live, 10)
    live.wait_drained()
    live.workers["worker"].stop()


def assert_told_until_acknowledged(live: Live, sentence: str, messages: int, topic: str = "weblogs") -> None:
    live.wait_until(lambda: any(sentence in each for each in problems(live)), "the loss in /health/", 60)
    assert sentence in live.workers["worker"].text()
    _, metrics = ask(live, "metrics")
    assert f'weblogs_lost_messages_total{{group="{live.settings.flow_id}",topic="{topic}"}} {messages}.0' in metrics
    live.wait_drained()
    done = app(live, "check", "--quiet")
    assert done.returncode == 1 and sentence in done.stdout, done.stdout + done.stderr
    start(live)  # it survives the process
    live.wait_until(lambda: any(sentence in each for each in problems(live)), "the loss after a restart", 60)
    assert "ERROR" not in live.workers["worker"].text()
    assert sentence in app(live, "topics", "acknowledge").stdout
    live.wait_until(lambda: problems(live) == [], "a healthy worker after the acknowledgement", 30)
    done = app(live, "check", "--quiet")
    assert done.returncode == 0 and "This was acknowledged" in done.stdout, done.stdout + done.stderr
    start(live)
    live.wait_until(lambda: ask(live, "health/")[0] == 200, "a healthy worker after a restart", 30)
    assert [code for code in live.workers["worker"].exits if code] == []


def test_messages_deleted_before_they_were_read_are_told(tmp_path: Path, broker: Server) -> None:
    with Live(tmp_path, broker, FORMAT="combined") as live:
        read_ten_and_stop(live)
        send_lines(live, 20)
        delete_before(live, "weblogs", 0, 25)
        before = app(live, "check", "--quiet")
        assert before.returncode == 1 and lost(live.settings.flow_id, "weblogs", 10, 24) in before.stdout
        start(live)
        assert_told_until_acknowledged(live, lost(live.settings.flow_id, "weblogs", 10, 24), 15)
        hits, _ = live.raw_ids()
        assert len(hits) == 15


def test_messages_that_the_brokers_retention_deletes_unread_are_told(tmp_path: Path, broker: Server) -> None:
    """The broker rolls the segment and deletes it by itself, as it does with a flow that lags for a week."""
    from kafka.admin import ConfigResource, ConfigResourceType

    from app.transports.kafka.topics import on_broker

    with Live(tmp_path, broker, FORMAT="combined") as live:
        read_ten_and_stop(live)
        send_lines(live, 20)
        with admin(live) as client:
            configs = {"retention.ms": "1000", "segment.ms": "1000"}
            client.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, on_broker(live.settings, "weblogs"), configs)]
            )
        live.wait_until(lambda: live.standing.bounds("weblogs")[0] == (30, 30), "the broker to delete what is old", 120)
        sentence = lost(live.settings.flow_id, "weblogs", 10, 29)
        before = app(live, "check", "--quiet")
        assert before.returncode == 1 and sentence in before.stdout, before.stdout + before.stderr
        start(live)
        assert_told_until_acknowledged(live, sentence, 20)


def test_messages_deleted_in_a_topic_between_are_told(tmp_path: Path, broker: Server) -> None:
    with Live(tmp_path, broker, FORMAT="combined") as live:
        read_ten_and_stop(live)
        flow, place = live.settings.flow_id, ("weblogs_tokens", 0)
        first, (_, end) = live.standing.committed(flow)[place], live.standing.bounds(place[0])[0]
        for value in [b"[1,0,[]]"] * 5:
            live.send(place[0], place[1], value)
        delete_before(live, *place, end + 5)
        before = app(live, "check", "--quiet")
        sentence = lost(flow, place[0], first, end + 4)
        assert before.returncode == 1 and sentence in before.stdout, before.stdout + before.stderr
        start(live)
        assert_told_until_acknowledged(live, sentence, end + 5 - first, place[0])


def test_messages_that_are_all_deleted_are_told_though_none_follows(tmp_path: Path, broker: Server) -> None:
    with Live(tmp_path, broker, FORMAT="combined") as live:
        send_lines(live, 20)
        delete_before(live, "weblogs", 0, 20)
        start(live)
        assert_told_until_acknowledged(live, lost(live.settings.flow_id, "weblogs", 0, 19), 20)


@pytest.mark.parametrize("deleted", [25, 30], ids=["some are left", "none is left"])
def test_messages_deleted_under_a_running_worker_are_told(tmp_path: Path, broker: Server, deleted: int) -> None:
    with Live(tmp_path, broker, FORMAT="combined", KAFKA_SESSION=30) as live:
        start(live)
        send_lines(live, 10)
        live.wait_drained()
        worker = live.workers["worker"]
        worker.signal(signal.SIGSTOP)
        send_lines(live, 20)
        delete_before(live, "weblogs", 0, deleted)
        worker.signal(signal.SIGCONT)
        sentence = lost(live.settings.flow_id, "weblogs", 10, deleted - 1)
        assert_told_until_acknowledged(live, sentence, deleted - 10)
        hits, _ = live.raw_ids()
        assert len(hits) == 40 - deleted


def test_an_offset_moved_forward_by_an_operator_is_told(tmp_path: Path, broker: Server) -> None:
    with Live(tmp_path, broker, FORMAT="combined") as live:
        read_ten_and_stop(live)
        send_lines(live, 20)
        live.wait_until(lambda: move(live, "weblogs", 0, 30), "the group to be empty", 60)
        before = app(live, "check", "--quiet")
        assert before.returncode == 1 and lost(live.settings.flow_id, "weblogs", 10, 29) in before.stdout
        start(live)
        send_lines(live, 5)
        assert_told_until_acknowledged(live, lost(live.settings.flow_id, "weblogs", 10, 29), 20)
        hits, _ = live.raw_ids()
        assert len(hits) == 15


def move(live: Live, topic: str, partition: int, offset: int) -> bool:
    """As kafka-consumer-groups --reset-offsets does it; False while the group has members."""
    from kafka import TopicPartition
    from kafka.structs import OffsetAndMetadata

    with admin(live) as client:
        told = client.alter_group_offsets(
            live.settings.flow_id, {TopicPartition(topic, partition): OffsetAndMetadata(offset, "", -1)}
        )
    return {error.__name__ for error in told.values()} == {"NoError"}


def test_messages_that_a_worker_skipped_are_named_by_check(tmp_path: Path, broker: Server) -> None:
    """As if an agent had acknowledged what it never read: the offset is a worker's own, and no mark tells of it."""
    with Live(tmp_path, broker, FORMAT="combined") as live:
        read_ten_and_stop(live)
        send_lines(live, 3)
        live.wait_until(lambda: move(live, "weblogs", 0, 13), "the group to be empty", 60)
        mark = progress_message(GroupMark(live.settings.flow_id, "weblogs", 0, 13))
        with closing(open_producer(live.settings)) as producer:
            producer.append([Message(progress_topic(live.settings.flow_id), 0, *mark, {}, time.time())])
        done = app(live, "check", "--quiet")
        assert done.returncode == 1 and "weblogs: 3 messages missing" in done.stdout, done.stdout
        assert "weblogs/0 12: 1 of its lines are neither hits nor rejects" in done.stdout


def test_a_worker_that_joins_before_anything_is_committed_ends_no_other(tmp_path: Path, broker: Server) -> None:
    with Live(tmp_path, broker, FORMAT="combined") as live:
        start(live)
        for number in range(3):
            send_lines(live, 200, number)
            live.start_worker(f"other-{number}")
            live.wait_started(f"other-{number}")
        live.wait_drained()
        hits, _ = live.raw_ids()
        assert len(hits) == 600
        assert [worker.exits for worker in live.workers.values()] == [[]] * 4
        assert not any("were skipped" in worker.text() for worker in live.workers.values())
