"""On real Kafka: what an operator's hands do to topics, groups and the data folder is told, and loses and doubles nothing."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from app.flows.deliveries import DELIVERIES
from app.flows.registry import changelog_topic
from app.process.exit import EXIT_CANNOT_GO_ON
from app.transports.kafka.options import MAX_MESSAGE_BYTES
from app.transports.kafka.topics import create_topics, on_broker
from tests.flow.voting import post
from tests.live.running import Live
from tests.live.test_kafka_losses import (
    LINE,
    admin,
    app,
    ask,
    delete_before,
    problems,
    read_ten_and_stop,
    send_lines,
    start,
)
from tests.services.server import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
HEALED_S = 60


def make_anew(live: Live, topic: str) -> None:
    """As kafka-topics.sh --delete and --create."""
    with admin(live) as client:
        client.delete_topics([on_broker(live.settings, topic)])
    create_topics(live.settings)


def configure(live: Live, topic: str, **settings: str) -> None:
    """As kafka-configs.sh --alter."""
    from kafka.admin import ConfigResource, ConfigResourceType

    configs = {name.replace("_", "."): value for name, value in settings.items()}
    with admin(live) as client:
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])


def assert_check_is_clean(live: Live) -> None:
    done = app(live, "check", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr


VOTED = [{"candidate_id": number, "num_vote": votes} for number, votes in ((1, 14), (2, 13), (3, 13))]


def voted(live: Live) -> list[dict[str, int]]:
    """The result by candidate."""
    return sorted(json.loads(ask(live, "result/")[1])[0], key=lambda each: each["candidate_id"])


@pytest.mark.parametrize(
    ("more", "frozen"),
    [(4, False), (30, False), (30, True)],
    ids=["fewer than before", "more than before", "more than before, unseen"],
)
def test_a_topic_made_anew_under_a_running_worker_loses_no_line(
    tmp_path: Path, broker: Server, more: int, frozen: bool
) -> None:
    """By the incarnation of before, its lines would have the ids of lines that were counted."""
    with Live(tmp_path, broker, FORMAT="combined") as live:
        start(live)
        send_lines(live, 10)
        live.wait_drained()
        worker = live.workers["worker"]
        if frozen:  # its next fetch goes on in the new topic, where the old one ended
            worker.signal(signal.SIGSTOP)
        make_anew(live, "weblogs")
        send_lines(live, more)
        worker.signal(signal.SIGCONT)
        live.wait_until(lambda: len(live.raw_ids()[0]) >= 10 + more, "the lines of the new topic", HEALED_S)
        live.wait_drained()
        hits, _ = live.raw_ids()
        assert len(hits) == 10 + more
        assert set(worker.exits) == {EXIT_CANNOT_GO_ON}, worker.text()[-2000:]
        assert "was deleted and made anew under this worker: weblogs." in worker.text()
        live.wait_until(lambda: problems(live) == [], "a healthy worker", HEALED_S)
        assert_check_is_clean(live)


def test_a_changelog_made_anew_ends_the_worker_and_repair_mends_what_it_then_does_not_know(
    tmp_path: Path, broker: Server
) -> None:
    (deliveries,) = DELIVERIES.tables
    with Live(tmp_path, broker, FORMAT="combined") as live:
        start(live)
        send_lines(live, 10)
        live.wait_drained()
        make_anew(live, changelog_topic(live.settings.flow_id, deliveries))
        worker = live.workers["worker"]
        live.wait_until(lambda: worker.exits == [EXIT_CANNOT_GO_ON], "the worker to end", HEALED_S)
        live.wait_until(lambda: worker.text().count("listening on") == 2, "it to start again", HEALED_S)
        assert f"made anew under this worker: {live.settings.flow_id}-{deliveries}-changelog" in worker.text()
        send_lines(live, 12)
        live.wait_drained()
        told = app(live, "check", "--quiet")
        assert told.returncode == 1 and "altered" in told.stdout, told.stdout + told.stderr
        mended = app(live, "repair", "--quiet")
        assert mended.returncode == 0, mended.stdout + mended.stderr
        assert_check_is_clean(live)


def test_a_group_whose_offsets_kafka_forgot_has_lost_nothing_that_it_had_read(tmp_path: Path, broker: Server) -> None:
    """Kafka keeps the offsets of a group that is away for a week, by default, and may have deleted the messages too."""
    with Live(tmp_path, broker, FORMAT="combined") as live:
        read_ten_and_stop(live)
        group = live.settings.flow_id

        def forgotten() -> bool:
            with admin(live) as client:
                client.delete_groups([group])
            return not live.standing.committed(group)

        live.wait_until(forgotten, "the group to be empty", HEALED_S)
        delete_before(live, "weblogs", 0, 10)
        start(live)
        send_lines(live, 5)
        live.wait_drained()
        time.sleep(25)  # more than two looks at what is gone
        assert problems(live) == [] and "were not read" not in live.workers["worker"].text()
        assert len(live.raw_ids()[0]) == 15
        assert_check_is_clean(live)


def test_groups_that_are_set_back_to_the_beginning_count_nothing_twice(tmp_path: Path, broker: Server) -> None:
    """As kafka-consumer-groups.sh --reset-offsets --to-earliest."""
    from kafka import TopicPartition
    from kafka.structs import OffsetAndMetadata

    with Live(tmp_path, broker, FORMAT="combined") as live:
        start(live)
        send_lines(live, 50)
        votes = [{"candidate_id": number % 3 + 1, "vote_id": f"v{number}"} for number in range(40)]
        url = live.workers["worker"].text().rpartition("listening on ")[2].split()[0]
        assert post(url, "/votes/", votes)[0] == 200
        live.wait_drained()
        live.wait_until(lambda: voted(live) == VOTED, "the votes", HEALED_S)
        live.workers["worker"].stop()

        def set_back() -> bool:
            told = set()
            with admin(live) as client:
                for group in live.standing.groups():
                    places = [
                        TopicPartition(on_broker(live.settings, topic), at)
                        for topic, at in live.standing.committed(group)
                    ]
                    first = dict.fromkeys(places, OffsetAndMetadata(0, "", -1))
                    told |= {error.__name__ for error in client.alter_group_offsets(group, first).values()}
            return told == {"NoError"}

        live.wait_until(set_back, "the groups to be empty", HEALED_S)
        start(live)
        live.wait_drained()
        assert problems(live) == []
        assert voted(live) == VOTED
        assert len(live.raw_ids()[0]) == 50
        assert_check_is_clean(live)


def test_a_topic_configured_to_delete_or_refuse_what_counts_is_told_until_it_is_set_back(
    tmp_path: Path, broker: Server
) -> None:
    (deliveries,) = DELIVERIES.tables
    with Live(tmp_path, broker, FORMAT="combined") as live:
        changelog = changelog_topic(live.settings.flow_id, deliveries)
        wrong = {
            changelog: {"cleanup_policy": "delete"},
            "weblogs": {"cleanup_policy": "compact,delete"},
            "weblogs_tokens": {"min_insync_replicas": "2"},
            "weblogs_reduced": {"max_message_bytes": "1000"},
        }
        right = {
            changelog: {"cleanup_policy": "compact"},
            "weblogs": {"cleanup_policy": "delete"},
            "weblogs_tokens": {"min_insync_replicas": "1"},
            "weblogs_reduced": {"max_message_bytes": str(MAX_MESSAGE_BYTES)},
        }
        start(live)
        for topic, settings in wrong.items():
            configure(live, topic, **settings)
        live.wait_until(lambda: len(problems(live)) >= 4, "all four in /health/", 30)
        told = "\n".join(problems(live))
        for topic, settings in wrong.items():
            for name, value in settings.items():
                assert f"The topic {topic} has {name.replace('_', '.')}={value} and needs" in told
        checked, shown = app(live, "check", "--quiet"), app(live, "topics", "show")
        assert checked.returncode == shown.returncode == 1
        assert checked.stdout.count("set it back") == shown.stdout.count("set it back") == 4, checked.stdout
        for topic, settings in right.items():
            configure(live, topic, **settings)
        live.wait_until(lambda: problems(live) == [], "a healthy worker", HEALED_S)
        send_lines(live, 5)
        live.wait_drained()
        assert_check_is_clean(live)
        assert live.workers["worker"].exits == []


def test_lines_that_a_topic_took_no_more_count_once_when_it_takes_them_again(tmp_path: Path, broker: Server) -> None:
    """A topic that needs more replicas than there are lets nobody write: the worker ends, and starts, and names it."""
    with Live(tmp_path, broker, FORMAT="combined") as live:
        start(live)
        configure(live, "weblogs_tokens", min_insync_replicas="2")
        send_lines(live, 20)
        live.wait_until(lambda: any("min.insync.replicas=2" in each for each in problems(live)), "health", HEALED_S)
        time.sleep(35)
        configure(live, "weblogs_tokens", min_insync_replicas="1")
        live.wait_until(lambda: len(live.raw_ids()[0]) == 20, "the lines", HEALED_S)
        live.wait_drained()
        live.wait_until(lambda: problems(live) == [], "a healthy worker", HEALED_S)
        assert set(live.workers["worker"].exits) <= {EXIT_CANNOT_GO_ON}
        assert_check_is_clean(live)


def test_messages_of_no_bytes_and_of_the_most_that_the_broker_takes_are_judged_line_by_line(
    tmp_path: Path, broker: Server
) -> None:
    from kafka import KafkaProducer

    from app.transports.kafka.options import client_options

    with Live(tmp_path, broker, FORMAT="combined") as live:
        start(live)
        line = LINE % 1
        most = (MAX_MESSAGE_BYTES - 4096) // len(line)
        producer = KafkaProducer(**client_options(live.settings), max_request_size=2 * MAX_MESSAGE_BYTES)
        values = (b"", None, b"\n", b"\n" * 1000, line * most, b"y" * (MAX_MESSAGE_BYTES - 4096))
        for number, value in enumerate(values):
            producer.send("weblogs", value, key=b"k", partition=number % 4).get(60)
        producer.close()
        live.wait_drained()
        hits, rejects = live.raw_ids()
        assert len(hits) == most and len(rejects) == 1 + 1000 + 1, (
            "each blank line is a reject, and what is no line at all"
        )
        assert live.workers["worker"].exits == [] and problems(live) == []
        assert_check_is_clean(live)


def test_a_data_folder_removed_under_a_worker_on_kafka_ends_it_and_loses_nothing(
    tmp_path: Path, broker: Server
) -> None:
    """The state is read anew from the changelogs; the store of SQLite is in that folder, and is filled again from the topics."""
    with Live(tmp_path, broker, FORMAT="combined") as live:
        start(live)
        send_lines(live, 10)
        live.wait_drained()
        shutil.rmtree(live.folder / "worker", ignore_errors=True)
        send_lines(live, 10)
        worker = live.workers["worker"]
        live.wait_until(lambda: worker.text().count("listening on") == 2, "another start", HEALED_S)
        assert worker.exits == [EXIT_CANNOT_GO_ON]
        assert f"the data folder {live.folder / 'worker'} is gone: somebody removed it" in worker.text()
        send_lines(live, 5)
        live.wait_drained()
        assert len(live.raw_ids()[0]) == 25
        mended = app(live, "repair", "--quiet")
        assert mended.returncode == 0, mended.stdout + mended.stderr
        assert_check_is_clean(live)
