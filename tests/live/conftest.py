"""The servers of the live tests. Processes that run tests side by side have a Kafka each, because a topic has one name."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.services.server import Server


@pytest.fixture(scope="session")
def broker() -> Iterator[Server]:
    """A Kafka that no other test uses meanwhile."""
    beside = Server.beside("kafka")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield beside
        return
    number = 1 + int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
    own = Server("kafka", beside.base / f"kafka-{number}", beside.port + 10 * number, cache=beside.cache)
    try:
        own.start()
        own.wait_ready()
        yield own
    finally:
        own.remove()
