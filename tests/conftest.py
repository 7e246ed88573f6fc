"""Which live tests may run beside one another."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

OWN_SERVERS = ("test_kafka_", "test_services")
"""Files of tests with a broker of their own each."""


class StoresInOneProcess(LoadScopeScheduling):
    """Elasticsearch and Cassandra are shared, and some tests kill them: what uses them runs in one process, in turn."""

    def _split_scope(self, nodeid: str) -> str:
        """The scope of a test: tests of one scope run in one process."""
        file = nodeid.partition("::")[0].rpartition("/")[2]
        return nodeid if file.startswith(OWN_SERVERS) else "stores"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For `--dist loadscope`; xdist's own groups do not work with this pytest."""
    return StoresInOneProcess(config, log) if config.getvalue("dist") == "loadscope" else None
