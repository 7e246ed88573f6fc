"""On real Kafka: messages that no version of ours wrote, and a newer version's, in each topic; damaged values of the states."""

from __future__ import annotations

import json
import re
import shutil
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from app.domain.records import DAMAGED_STATE, Reject
from app.errors import UnknownForm
from app.flows.deliveries import LINES, REJECTS, TOKENS
from app.flows.registry import COUNTED, STAGES, TABLES, TOPICS, changelog_topic
from app.flows.spending import SPENDING
from app.flows.usage import USAGE_FLOW, USAGE_TOPIC
from app.flows.votes import VOTES
from app.messages.forms import DamagedMessage
from app.messages.headers import Headers
from app.messages.records import decode_rejects
from app.messages.tokens import decode_tokens, hits_of
from app.messages.usage import encode_usage
from app.process.exit import EXIT_REFUSED
from app.steps.ledger import RULES
from app.transports.kafka.changelog import OWNER
from app.transports.kafka.options import client_options
from app.transports.kafka.topics import on_broker
from app.transports.kafka.view import KafkaView
from tests.archiving.world import record
from tests.live.running import Live
from tests.live.test_kafka_losses import LINE, app, problems, send_lines
from tests.services.server import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
VOTE = b'["%s",2,1600000000.0]'
PAYMENT = b'["%s","u1",1600000000.0,250]'
FOREIGN_VALUES = {
    "garbage": b"\x00\xff\xfe",
    "another form": b"[0,[]]",
    "somebody else's": b'{"order": 17}',
    "null": None,
}
PARTITION = 1


def send(live: Live, topic: str, *values: bytes | None, headers: Any = ()) -> list[int]:
    """As somebody else's producer does it, to one partition; their offsets."""
    from kafka import KafkaProducer

    with closing(KafkaProducer(**client_options(live.settings))) as producer:
        name = on_broker(live.settings, topic)
        sent = [producer.send(name, value, b"key", list(headers), PARTITION) for value in values]
        return [each.get(30).offset for each in sent]


def feed(live: Live, name: str) -> None:
    """Something of each flow."""
    send_lines(live, 3, PARTITION)
    send(live, VOTES.name, b"[" + VOTE % name.encode() + b"]")
    send(live, SPENDING.name, b"[" + PAYMENT % name.encode() + b"]")
    send(live, USAGE_TOPIC, *encode_usage([record(name, 1, monitored=True)]))


def rejects_of(live: Live) -> list[Reject]:
    found = []
    for value in live.values(REJECTS):
        with suppress(DamagedMessage, UnknownForm, TypeError):  # a foreign one, which this test sent
            found += decode_rejects(value)
    return found


def hits_of_topic(live: Live) -> set[str]:
    """Raw ids."""
    found: set[str] = set()
    for value in live.values(TOKENS):
        with suppress(DamagedMessage, UnknownForm, TypeError):
            found |= {hit[12] for hit in hits_of(decode_tokens(value))}
    return found


def last_value(live: Live, topic: str) -> bytes:
    with closing(KafkaView(live.settings)) as view:
        return [bytes(value) for _, _, value in view.read(topic)][-1]


def with_a_key_too_many(value: bytes) -> bytes:
    """In each row of a message of ours."""

    def widened(part: Any, depth: int) -> Any:
        if not isinstance(part, list):
            return part
        return [widened(each, depth + 1) for each in part] + ([1] if depth else [])

    return json.dumps(widened(json.loads(value), 0)).encode()


READ_TOPICS = [topic for topic in TOPICS if topic not in USAGE_FLOW.told]
"""Nobody of ours reads notices."""


def test_a_foreign_message_in_each_topic_is_a_reject_with_its_place_and_the_flow_goes_on(
    tmp_path: Path, broker: Server
) -> None:
    with Live(tmp_path, broker, FORMAT="combined", COUNT_REQUESTS="true") as live:
        live.start_worker()
        live.wait_started()
        feed(live, "first")
        send_lines(live, 1)
        send(live, LINES, b"no line at all\n")
        live.wait_drained()
        foreign: dict[tuple[str, int], str] = {}
        for topic in READ_TOPICS:
            values = dict(FOREIGN_VALUES)
            if topic != LINES:
                values["a key too many"] = with_a_key_too_many(last_value(live, topic))
            offsets = send(live, topic, *values.values())
            foreign |= {(topic, offset): kind for kind, offset in zip(values, offsets, strict=True)}
        headers = [(Headers.FORM, b"x")]
        foreign[LINES, send(live, LINES, LINE % 1, headers=headers)[0]] = "headers of another form"
        feed(live, "second")
        live.wait_drained()
        told = {
            (reject.source.partition("@")[0].partition("/")[0], number)
            for reject in rejects_of(live)
            for number in (reject.position, reject.position >> 24)
            if reject.source.endswith(f"/{PARTITION}")
        }
        untold = {
            place: kind for place, kind in foreign.items() if place not in told and place[0] + kind != LINES + "null"
        }
        assert not untold, "an empty message of lines holds no line; all others are told"
        assert live.workers["worker"].exits == [], live.workers["worker"].text()[-2000:]
        assert any("foreign_message" in each for each in problems(live))
        shown = app(live, "topics", "show")
        assert shown.returncode == 0, shown.stderr
        for topic in READ_TOPICS:
            assert re.search(rf"^topic {topic}: [1-9][\d,]* messages, 4 partitions", shown.stdout, re.MULTILINE), (
                shown.stdout
            )
        assert len(hits_of_topic(live)) == 7
        for kind in COUNTED:
            assert [name for name in ("first", "second") if name.encode() in last_value(live, kind.reduced)] == [
                "second"
            ]


NUMBERED = [topic for topic in TOPICS if any(topic in stage.fills for stage in STAGES)]
"""The topics whose messages begin with a form number; those of what comes in are read by people's programs."""


@pytest.mark.parametrize("topic", [LINES, USAGE_TOPIC, *NUMBERED])
def test_a_newer_form_in_any_topic_ends_the_worker_with_78_once(tmp_path: Path, broker: Server, topic: str) -> None:
    with Live(tmp_path, broker, FORMAT="combined", COUNT_REQUESTS="true") as live:
        worker = live.start_worker()
        live.wait_started()
        if topic == LINES:
            (offset,) = send(live, LINES, LINE % 1, headers=[(Headers.FORM, b"99")])
        else:
            (offset,) = send(live, topic, b"[99,[],[]]")
        deadline = time.monotonic() + 60
        while not worker.ended:
            assert time.monotonic() < deadline, worker.text()[-2000:]
            time.sleep(0.1)
        assert worker.exits == [EXIT_REFUSED]
        last = worker.text().strip().splitlines()[-1]
        assert f"message {offset} of {topic}/{PARTITION}" in last and "has form 99; this program knows form " in last, (
            last
        )
        assert "Traceback" not in worker.text()
        shown = app(live, "topics", "show")
        assert shown.returncode == 0 and re.search(rf"^topic {topic}: [1-9]", shown.stdout, re.MULTILINE), shown.stderr


@pytest.mark.parametrize("table", TABLES)
def test_a_damaged_state_on_kafka_is_put_aside_and_the_flow_goes_on(tmp_path: Path, broker: Server, table: str) -> None:
    """Each value of the changelog that is no rule is overwritten with garbage, and the workers' own copy is gone."""
    with Live(tmp_path, broker, FORMAT="combined", COUNT_REQUESTS="true") as live:
        live.start_worker()
        live.wait_started()
        feed(live, "first")
        live.wait_drained()
        live.workers["worker"].stop()
        topic = changelog_topic(live.settings.flow_id, table)
        damage_changelog(live, topic)
        for kept in (tmp_path / "worker").glob("tables*"):
            shutil.rmtree(kept)
        again = live.start_worker("again", DATA_DIR=tmp_path / "worker")
        live.wait_started("again")
        feed(live, "second")
        live.wait_drained()
        assert again.exits == [], again.text()[-2000:]
        found = [reject for reject in rejects_of(live) if reject.reason == DAMAGED_STATE]
        assert found and all(f"the state {table}/" in each.detail for each in found)
        assert any("damaged_state" in each for each in problems(live, "again"))
        live.wait_drained()
        again.stop()
        repaired = app(live, "repair", "--quiet")
        assert repaired.returncode == 0, repaired.stdout + repaired.stderr
        checked = app(live, "check", "--quiet")
        assert checked.returncode == 0, checked.stdout + checked.stderr


def damage_changelog(live: Live, topic: str) -> None:
    """The newest value of each key; a record without a key is refused by Kafka itself."""
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    name = on_broker(live.settings, topic)
    consumer = KafkaConsumer(**client_options(live.settings), auto_offset_reset="earliest", enable_auto_commit=False)
    places = [TopicPartition(name, number) for number in range(live.settings.partitions)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends = consumer.end_offsets(places)
    newest: dict[tuple[int, bytes], bytes | None] = {}
    while any(consumer.position(place) < ends[place] for place in places):
        for records in consumer.poll(timeout_ms=1000).values():
            newest |= {(each.partition, each.key): each.value for each in records if each.key}
    consumer.close()
    damaged = 0
    with closing(KafkaProducer(**client_options(live.settings))) as producer:
        for (partition, key), value in newest.items():
            if value and key not in (RULES, OWNER):
                producer.send(name, b"garbage", key=key, partition=partition)
                damaged += 1
        producer.flush()
    assert damaged


def test_lines_of_a_transactional_producer_are_read_and_its_marks_hold_up_nobody(
    tmp_path: Path, broker: Server
) -> None:
    """Kafka keeps a mark at the end of each transaction, at an offset of its own that no consumer is given."""
    from kafka import KafkaProducer

    with Live(tmp_path, broker, FORMAT="combined", COUNT_REQUESTS="true") as live:
        worker = live.start_worker()
        live.wait_started()
        options = client_options(live.settings) | {"transactional_id": live.settings.app_id}
        with closing(KafkaProducer(**options)) as producer:
            producer.init_transactions()
            for ended in (producer.commit_transaction, producer.abort_transaction, producer.commit_transaction):
                producer.begin_transaction()
                for topic, value in ((LINES, LINE % 1), (VOTES.name, b"[" + VOTE % ended.__name__.encode() + b"]")):
                    producer.send(on_broker(live.settings, topic), value, partition=PARTITION).get(30)
                ended()
                live.wait_drained(30)
        send_lines(live, 2, PARTITION)
        live.wait_drained(30)
        assert worker.exits == [], worker.text()[-2000:]
        assert len(hits_of_topic(live)) in (4, 5), "an aborted line counts or does not, all others do"
        assert problems(live) == []
        checked = app(live, "check", "--quiet")
        assert checked.returncode == 0, checked.stdout + checked.stderr
