"""What the worker's consumer asks of a broker; it connects to none here."""

from __future__ import annotations

import subprocess
import sys

from app.transports.kafka_consumer import FETCH_WAIT_MS

# In a process of its own: what Faust makes along with a consumer ends with it.
MADE = """
import asyncio, faust
from yarl import URL
from app.transports.kafka import Transport

async def make():
    app = faust.App("waits", broker="kafka://127.0.0.1:9", autodiscover=False)
    transport = Transport([URL("kafka://127.0.0.1:9")], app)
    consumer = transport.create_consumer(lambda message: None, on_partitions_revoked=None, on_partitions_assigned=None)
    print(vars(consumer._new_consumer_thread()._create_worker_consumer(transport))["_fetch_max_wait_ms"])

asyncio.run(make())
"""


def test_a_fetch_that_finds_nothing_holds_up_the_others_for_a_moment_only() -> None:
    told = subprocess.run([sys.executable, "-c", MADE], capture_output=True, text=True, check=True).stdout
    assert int(told.split()[-1]) == FETCH_WAIT_MS, "Faust's own is 1500"
