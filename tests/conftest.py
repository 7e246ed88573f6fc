"""Which live tests may not run beside one another."""

from __future__ import annotations

from pathlib import Path

import pytest

OWN_SERVERS = ("test_kafka_", "test_services")
"""Tests with a broker of their own each."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Elasticsearch and Cassandra are shared, and some tests kill them: what uses them runs in one process."""
    for item in items:
        if item.get_closest_marker("live") and not Path(item.path).name.startswith(OWN_SERVERS):
            item.add_marker(pytest.mark.xdist_group("stores"))
