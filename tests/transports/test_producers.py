from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import LogFull, SettingsError
from app.settings import load
from app.transports.embedded.file import log_path
from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message
from app.transports.producers import open_producer


def test_a_producer_needs_no_worker_to_have_made_the_topics(tmp_path: Path) -> None:
    settings = load({"WEBLOGS_DATA_DIR": str(tmp_path / "a folder"), "WEBLOGS_PARTITIONS": "3"})
    producer = open_producer(settings)
    assert producer.partitions("weblogs") == 3
    producer.append([Message("weblogs", 2, None, b"line\n", {"source": b"s"}, 1.0)])
    producer.close()
    log = EmbeddedLog(tmp_path / "a folder" / "weblogs-log.db")
    assert [row.value for row in log.read("weblogs", 2, 0)] == [b"line\n"]
    log.close()


def test_a_producer_takes_the_number_of_partitions_that_the_topic_has(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "weblogs-log.db")
    log.create_topic("weblogs", 2)
    log.close()
    producer = open_producer(load({"WEBLOGS_DATA_DIR": str(tmp_path), "WEBLOGS_PARTITIONS": "8"}))
    assert producer.partitions("weblogs") == 2
    producer.close()


def test_a_producer_is_told_to_wait_while_the_log_is_full(tmp_path: Path) -> None:
    producer = open_producer(load({"WEBLOGS_DATA_DIR": str(tmp_path), "WEBLOGS_LOG_MAX_BYTES": str(1 << 20)}))
    producer.partitions("weblogs")
    with pytest.raises(LogFull, match="wait until the worker has consumed"):
        for _ in range(20):
            producer.append([Message("weblogs", 0, None, b"x" * 200_000, {}, 1.0)])
    producer.close()


@pytest.mark.parametrize("broker", ["amqp://localhost", "sqlite", "nothing"])
def test_a_broker_that_is_not_supported_is_named(broker: str) -> None:
    with pytest.raises(SettingsError, match=broker):
        open_producer(load({"WEBLOGS_BROKER": broker}))


@pytest.mark.parametrize(
    ("broker", "path"),
    [
        ("sqlite:///var/log.db", "var/log.db"),
        ("sqlite:////srv/log.db", "/srv/log.db"),
        ("sqlite:////srv/a%20b%23c.db", "/srv/a b#c.db"),
    ],
)
def test_a_broker_url_names_a_relative_or_an_absolute_path(broker: str, path: str) -> None:
    assert log_path(broker) == Path(path)


@pytest.mark.parametrize("broker", ["sqlite://host/log.db", "sqlite:///", "sqlite:///folder/", "sqlite:/log.db"])
def test_a_broker_url_without_a_file_is_refused(broker: str) -> None:
    with pytest.raises(SettingsError, match="names no file"):
        log_path(broker)
