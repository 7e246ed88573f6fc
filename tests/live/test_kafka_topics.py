"""On real Kafka: what is told of topics that somebody changes, and several flows beside one another."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.running import Live
from tests.live.test_kafka_losses import admin, app, problems, send_lines, start
from tests.services.server import Server

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
