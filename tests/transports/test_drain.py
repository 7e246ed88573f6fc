"""When everything that was sent has passed: stage by stage, whatever goes on being sent beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.transports.drain import Drain
from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message

STAGES = (("lines",), ("hits",))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with closing(EmbeddedLog(tmp_path / "log.db")) as log:
        for topic in ("lines", "hits"):
            log.create_topic(topic, 2)
        log.register_group("flow", ["lines", "hits"])
        log.register_group("store", ["hits"])
        yield log


def send(log: EmbeddedLog, topic: str, partition: int = 0) -> None:
    log.append([Message(topic, partition, None, b"", {}, 0.0)])


def test_an_empty_log_is_drained(log: EmbeddedLog) -> None:
    assert Drain(log, STAGES).waiting() == 0


def test_what_came_of_a_stage_is_waited_for_in_the_next_by_every_group(log: EmbeddedLog) -> None:
    send(log, "lines")
    drain = Drain(log, STAGES)
    assert drain.waiting() == 1
    send(log, "hits", 1)
    log.commit("flow", {("lines", 0): 1})
    assert drain.waiting() == 2
    log.commit("flow", {("hits", 1): 1})
    assert drain.waiting() == 1
    log.commit("store", {("hits", 1): 1})
    assert drain.waiting() == 0


def test_what_is_sent_later_to_a_stage_that_is_waited_for_does_not_count(log: EmbeddedLog) -> None:
    send(log, "hits")
    drain = Drain(log, STAGES)
    assert drain.waiting() == 2
    send(log, "hits")
    assert drain.waiting() == 2
    for group in ("flow", "store"):
        log.commit(group, {("hits", 0): 1})
    send(log, "hits")
    assert drain.waiting() == 0


def test_a_topic_that_nobody_reads_yet_is_waited_for(log: EmbeddedLog) -> None:
    log.create_topic("reduced", 1)
    drain = Drain(log, (*STAGES, ("reduced",)))
    assert drain.waiting() == 1
    log.register_group("store", ["hits", "reduced"])
    assert drain.waiting() == 0
