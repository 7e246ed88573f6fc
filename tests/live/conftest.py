"""The broker of the live tests."""

from __future__ import annotations

import pytest

from tests.services.server import Server


@pytest.fixture(scope="session")
def broker() -> Server:
    """A Kafka that no other process of tests uses meanwhile."""
    return Server.beside("kafka")
