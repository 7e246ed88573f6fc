"""Live tests side by side: each process of theirs has servers of its own. Property tests have no clock: a busy machine is slow."""

from __future__ import annotations

import gc
import os
import signal
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadScopeScheduling

from tests.properties import examples
from tests.services.server import KINDS, Server

hypothesis_settings.register_profile(
    "patient", max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("patient")

BY_THEMSELVES = ("test_kafka_kills", "test_flow_into_stores")
"""Files whose tests share nothing with one another: each may run in another process."""
_PLACE = ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT")
_own: list[Server] = []


class FilesTogether(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """The tests of a file run in one process, but for those that share nothing."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].rpartition("/")[2]
        return nodeid if file.startswith(BY_THEMSELVES) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For `--dist loadscope`, which goes by modules otherwise."""
    return FilesTogether(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_configure() -> None:
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # of a job in the background; what tests start would ignore it, too
        signal.signal(signal.SIGINT, signal.default_int_handler)
    start_servers()


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Before the whole run, each process imports the test files from another place on: what one compiled, the others find.

    In one order they would compile every file at the same time, which takes 20 s of two cores in a fresh clone.
    """
    at, of = (int(os.environ.get(name, "0").removeprefix("gw")) for name in _PLACE)
    if of > 1 and session.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        files = sorted(Path(__file__).parent.rglob("test_*.py"))
        first = len(files) * at // of
        for file in files[first:] + files[:first]:
            with suppress(Exception, pytest.skip.Exception):  # the collection tells it
                import_module(".".join(file.relative_to(session.config.rootpath).with_suffix("").parts))


def pytest_collection_finish() -> None:
    """Each look for garbage would go through thousands of tests that stay to the end."""
    gc.collect()
    gc.freeze()


def start_servers() -> None:
    """Start the servers of this process: those that `python -m tests.services run` started belong to the first one."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    if number == 0 or "SERVICES_BASE" not in os.environ:
        return
    beside = [Server.beside(kind) for kind in KINDS]
    base = Path(os.environ["SERVICES_BASE"]) / f"process-{number}"
    _own.extend(Server(each.kind, base, each.port + 10 * number, cache=each.cache) for each in beside)
    for server in _own:
        server.start()
    for server in _own:
        server.wait_ready()
        os.environ |= server.settings()
    os.environ["SERVICES_BASE"] = str(base)


def pytest_unconfigure() -> None:
    """Stop them."""
    for server in _own:
        server.remove()
