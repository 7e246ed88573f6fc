"""Each server runs its cases once in a process of tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.certificate import make_certificate
from tests.servers.files import make_files
from tests.servers.folders import public_folder
from tests.servers.running import Run
from tests.servers.web_servers import WebServer

__all__: list[str] = []


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """With the files that servers serve."""
    with public_folder() as folder:
        make_files(folder / "files")
        yield folder


@pytest.fixture(scope="session")
def runs(place: Path) -> Callable[[type[WebServer]], Run]:
    """From a kind of server to what its cases left: started by the first test that asks, and not again if it does not start."""
    certificate = make_certificate(place)
    made: dict[str, Run | str] = {}

    def run_of(kind: type[WebServer]) -> Run:
        if kind.name not in made:
            try:
                made[kind.name] = Run(kind(place / kind.name, place / "files", certificate))
            except AssertionError as error:
                made[kind.name] = str(error)
        found = made[kind.name]
        assert isinstance(found, Run), found
        return found

    return run_of
