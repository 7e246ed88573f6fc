"""The broker of the live tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.server import Server


@pytest.fixture(scope="session")
def broker() -> Server:
    """A Kafka that no other process of tests uses meanwhile."""
    return Server.beside("kafka")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules that may take longest come first: at the end no process is left alone with one of them."""
    longest: dict[Path, float] = {}
    for item in items:
        mark = item.get_closest_marker("timeout")
        longest[item.path] = max(longest.get(item.path, 0.0), mark.args[0] if mark is not None and mark.args else 0.0)
    items.sort(key=lambda item: -longest[item.path])
