"""The runner of the real servers: what tests that kill them rely on, and that logins are asked for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer
from kafka.errors import KafkaError

from tests.services.errors import ServiceError
from tests.services.probes import PROBES
from tests.services.server import CASSANDRA_PASSWORD, KINDS, Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]
PASSWORD = "right-secret"


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    """Not pytest's own folder: that one is closed to the user that Elasticsearch runs as."""
    folder = Path(tempfile.mkdtemp(prefix="weblogs-services-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module", params=list(KINDS))
def server(request: pytest.FixtureRequest, base: Path) -> Iterator[Server]:
    """Each kind once, with logins."""
    made = Server.on_free_ports(request.param, base, password=PASSWORD)
    try:
        made.start()
        made.wait_ready()
        yield made
    finally:
        made.remove()


def test_a_wrong_password_is_refused_and_the_right_one_is_not(server: Server) -> None:
    right, wrong = (CASSANDRA_PASSWORD if server.kind == "cassandra" else PASSWORD), "wrong"
    if server.kind != "kafka":
        assert PROBES[server.kind](server.port, right) and not PROBES[server.kind](server.port, wrong)
        return
    assert kafka_answers(server, right) and not kafka_answers(server, wrong)


def kafka_answers(server: Server, password: str) -> bool:
    settings = server.settings()
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=settings["WEBLOGS_BROKER"].removeprefix("kafka://"),
            security_protocol="SASL_SSL",
            ssl_cafile=settings["WEBLOGS_KAFKA_CA"],
            sasl_mechanism=settings["WEBLOGS_KAFKA_SASL"],
            sasl_plain_username=settings["WEBLOGS_KAFKA_USER"],
            sasl_plain_password=password,
            request_timeout_ms=5000,
            bootstrap_timeout_ms=5000,
        )
    except KafkaError:
        return False
    try:
        consumer.topics()
    except KafkaError:
        return False
    finally:
        consumer.close()
    return True


def test_starting_what_runs_changes_nothing(server: Server) -> None:
    pid = server.pid
    server.start()
    Server(server.kind, server.base, password=PASSWORD).start()
    assert server.pid == pid


def test_another_server_on_a_port_in_use_is_refused_in_one_sentence(server: Server, base: Path) -> None:
    with pytest.raises(ServiceError, match="taken by another program"):
        Server(server.kind, base / "other", server.port).start()


def test_a_paused_server_answers_nobody_until_it_is_resumed(server: Server) -> None:
    server.pause()
    assert server.running() and not server.ready()
    server.resume()
    server.wait_ready()


def test_a_killed_server_is_gone_and_can_be_started_again(server: Server) -> None:
    pid = server.pid
    server.kill()
    assert not server.running() and not server.ready()
    server.start()
    server.wait_ready()
    assert server.pid != pid


def test_a_server_that_was_started_by_another_process_is_found_and_stopped(server: Server) -> None:
    found = Server(server.kind, server.base, password=PASSWORD)
    assert found.port == server.port and found.pid == server.pid
    found.stop()
    assert not server.running()
