"""What the worker's consumer asks of a broker and makes of its answers; it connects to none here."""

from __future__ import annotations

import os
import subprocess
import sys

from app.settings import Settings
from app.transports.kafka.consumer import FETCH_WAIT_MS

HEADS_BYTES = 1 << 10
"""Of a message of lines: its headers and its batch."""

MADE = """
import asyncio, faust
from faust.types import TP
from yarl import URL
from app.transports.kafka.transport import KafkaTransport

async def make():
    app = faust.App("waits", broker="kafka://127.0.0.1:9", autodiscover=False)
    transport = KafkaTransport([URL("kafka://127.0.0.1:9")], app)
    consumer = transport.create_consumer(lambda message: None, on_partitions_revoked=None, on_partitions_assigned=None)
    {what}

asyncio.run(make())
"""
WAIT = 'print(vars(consumer._new_consumer_thread()._create_worker_consumer(transport))["_fetch_max_wait_ms"])'
FETCH = """
    from app.engine.faust_app import make_app
    from app.engine.outside import Outside
    from app.process.counters import Counters
    from app.settings import settings

    for name in ("a-store", settings().flow_id):
        conf = make_app(name, Outside(settings(), Counters())).conf
        for option in ("consumer_max_fetch_size", "stream_buffer_maxsize"):
            setattr(app.conf, option, getattr(conf, option))
        made = vars(consumer._new_consumer_thread()._create_worker_consumer(transport))
        print(made["_fetch_max_bytes"], made["_max_partition_fetch_bytes"])
"""
COMMITS = """
    tp = TP("weblogs", 0)
    consumer._committed_offset[tp] = 3
    consumer.assignment = lambda: {tp}

    async def answer(offsets):
        return offsets[tp] != 7

    consumer._commit = answer
    for offset in (7, 8):
        print(await consumer._commit_offsets({tp: offset, TP("weblogs", 1): 2}), consumer._committed_offset[tp], end=" ")
"""


def run(what: str, **environment: str) -> list[str]:
    """In a process of its own: what Faust makes along with a consumer ends with it."""
    return subprocess.run(
        [sys.executable, "-c", MADE.replace("{what}", what)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    ).stdout.split()


def test_a_fetch_that_finds_nothing_holds_up_the_others_for_a_moment_only() -> None:
    assert int(run(WAIT)[-1]) == FETCH_WAIT_MS, "Faust's own is 1500"


def test_a_fetch_brings_no_more_than_the_setting_allows() -> None:
    fetched = run(FETCH, WEBLOGS_BROKER="kafka://127.0.0.1:9", WEBLOGS_READ_AHEAD_BYTES=str(16 << 20))
    assert [int(each) for each in fetched[-4:-2]] == [8 << 20, 2 << 20], "aiokafka's own is 50 MiB"
    assert [int(each) for each in fetched[-2:]] == [24 << 20, 12 << 20], "the flow waits for no store"


def test_a_fetch_of_the_flow_brings_three_whole_messages_of_lines() -> None:
    fetched = run(FETCH, WEBLOGS_BROKER="kafka://127.0.0.1:9")
    assert 3 * (Settings().chunk_bytes + HEADS_BYTES) <= int(fetched[-1]) < 4 * Settings().chunk_bytes


def test_offsets_that_were_refused_are_not_taken_for_committed() -> None:
    assert run(COMMITS)[-4:] == ["False", "3", "True", "8"]
