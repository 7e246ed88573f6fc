"""Reading a topic as it stands: from its log start to its end at the moment of asking, beside everybody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.errors import LogError, SettingsError
from app.settings import load
from app.transports.broker_view import open_view
from app.transports.embedded.log import EmbeddedLog
from app.transports.embedded.view import EmbeddedView
from app.transports.messages import Message


def message(partition: int, value: bytes) -> Message:
    return Message("t", partition, None, value, {}, 0.0)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with closing(EmbeddedLog(tmp_path / "log.db", keep_s=0.0)) as made:
        made.create_topic("t", 2)
        made.append([message(n % 2, b"%d" % n) for n in range(5)])
        yield made


@pytest.fixture
def topics(log: EmbeddedLog) -> Iterator[EmbeddedView]:
    with closing(EmbeddedView(log.path)) as made:
        yield made


def test_all_messages_come_once_partition_by_partition(topics: EmbeddedView) -> None:
    assert list(topics.read("t")) == [(0, 0, b"0"), (0, 1, b"2"), (0, 2, b"4"), (1, 0, b"1"), (1, 1, b"3")]
    assert topics.bounds("t") == {0: (0, 3), 1: (0, 2)}
    assert topics.bounds("nosuch") == {} and list(topics.read("nosuch")) == []


def test_only_what_lies_between_two_offsets(topics: EmbeddedView) -> None:
    assert [value for _, _, value in topics.read("t", {0: 1}, {0: 2, 1: 1})] == [b"2", b"1"]
    assert list(topics.read("t", {0: 99, 1: 99})) == []


def test_messages_that_come_while_it_is_read_are_left_to_the_next_time(log: EmbeddedLog, topics: EmbeddedView) -> None:
    reading = topics.read("t")
    assert next(reading) == (0, 0, b"0")
    log.append([message(0, b"5"), message(1, b"6")])
    assert [value for _, _, value in reading] == [b"2", b"4", b"1", b"3"]


def test_more_than_a_page_of_messages(log: EmbeddedLog, topics: EmbeddedView) -> None:
    log.append([message(1, b"x") for _ in range(2500)])
    offsets = [offset for partition, offset, _ in topics.read("t") if partition == 1]
    assert offsets == list(range(2502))


def test_what_was_trimmed_is_passed_over_and_lag_and_commits_are_told(log: EmbeddedLog, topics: EmbeddedView) -> None:
    log.register_group("g", ["t"])
    log.commit("g", {("t", 0): 2})
    assert log.trim(now=1e12) == 2
    assert list(topics.read("t")) == [(0, 2, b"4"), (1, 0, b"1"), (1, 1, b"3")]
    assert topics.committed("g") == {("t", 0): 2}
    assert topics.positions(["g"]).lag == {("g", "t", 0): 1, ("g", "t", 1): 2}


def test_a_log_that_is_not_there_gives_no_reader_and_a_broken_one_an_error(tmp_path: Path) -> None:
    assert open_view(load({"WEBLOGS_DATA_DIR": str(tmp_path)})) is None
    (tmp_path / "weblogs-log.db").write_bytes(b"no log" * 1000)
    with pytest.raises(LogError):
        open_view(load({"WEBLOGS_DATA_DIR": str(tmp_path)}))
    with pytest.raises(SettingsError):
        open_view(load({"WEBLOGS_BROKER": "nats://x"}))
