"""A store that answers, but not as a store: a proxy's page, a login page, cut JSON; a host that has no address. The flow goes on."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.proxy import CLEAR, Fault, Proxy
from tests.live.running import Live
from tests.live.test_kafka_losses import app, ask, problems, send_lines
from tests.services.server import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]


def http(status: str, kind: str, body: str, more: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{more}\r\n"
    )
    return (head + body).encode()


PAGE = "<html><body><h1>Please log in</h1></body></html>"
NO_ANSWERS = {
    "a proxy's page with 502": http("502 Bad Gateway", "text/html", PAGE),
    "a login page with 200": http("200 OK", "text/html", PAGE),
    "JSON that is cut off": http(
        "200 OK", "application/json", '{"took":3,"hits":{"total":', "X-elastic-product: Elasticsearch\r\n"
    ),
    "JSON of somebody else": http("200 OK", "application/json", '{"order":17}', "X-elastic-product: Elasticsearch\r\n"),
    "a redirect to a login": http("302 Found", "text/html", PAGE, "Location: /login\r\n"),
}


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy(Server.beside("elasticsearch").port) as made:
        yield made


def client(live: Live) -> subprocess.CompletedProcess[str]:
    import sys

    from tests import ROOT

    command = [
        sys.executable,
        "-m",
        "app.client",
        "--store",
        "elasticsearch",
        "-i",
        "203.0.113.9",
        "-u",
        "curl/8",
        "-r",
        "GET /a",
    ]
    return subprocess.run(
        command, cwd=ROOT, env=live.environment("worker"), capture_output=True, text=True, check=False
    )


def test_an_answer_that_is_none_is_as_no_answer_for_worker_check_client_and_page(
    tmp_path: Path, broker: Server, proxy: Proxy
) -> None:
    name = f"t{uuid.uuid4().hex[:8]}"
    options = {
        "STORES": "elasticsearch,sqlite",
        "ELASTICSEARCH_PREFIX": f"{name}-",
        "ELASTICSEARCH_URL": f"http://127.0.0.1:{proxy.port}",
        "FORMAT": "combined",
    }
    with Live(tmp_path, broker, **options) as live:
        worker = live.start_worker()
        live.wait_started()
        send_lines(live, 2)
        live.wait_drained()
        assert client(live).returncode in (0, 1, 5)
        for told, answer in NO_ANSWERS.items():
            proxy.set(Fault(answer=answer))
            send_lines(live, 2)
            live.wait_until(lambda: any("elasticsearch" in each for each in problems(live)), f"{told} in /health/", 60)
            checked = app(live, "check", "--quiet")
            assert checked.returncode == 4, told + checked.stdout + checked.stderr
            assert checked.stderr.startswith("Error: ") and checked.stderr.count("\n") == 1, told + checked.stderr
            asked = client(live)
            assert asked.returncode == 4 and asked.stderr.count("\n") == 1, told + asked.stdout + asked.stderr
            status, page = ask(live, "")
            assert status == 200 and "elasticsearch" in page, told
            assert ask(live, "deliveries/")[0] == 503, told
            proxy.set(CLEAR)
            live.wait_drained()
            live.wait_until(lambda: problems(live) == [], "a healthy worker", 60)
        assert worker.exits == [] and "Traceback" not in worker.text()
        checked = app(live, "check", "--quiet")
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_cassandra_host_without_an_address_holds_up_that_store_alone(tmp_path: Path, broker: Server) -> None:
    name = f"t{uuid.uuid4().hex[:8]}"
    with Live(tmp_path, broker, STORES="sqlite,cassandra", CASSANDRA_KEYSPACE=name, FORMAT="combined") as live:
        wrong = live.start_worker(CASSANDRA_HOSTS="no.such.host.invalid")
        live.wait_started()
        send_lines(live, 3)
        live.wait_until(lambda: any("cassandra" in each for each in problems(live)), "the store in /health/", 60)
        right_hosts = live.options["WEBLOGS_CASSANDRA_HOSTS"]
        live.options["WEBLOGS_CASSANDRA_HOSTS"] = "no.such.host.invalid"
        checked = app(live, "check", "--quiet")
        assert checked.returncode == 4 and "no.such.host.invalid" in checked.stderr, checked.stderr
        live.options["WEBLOGS_CASSANDRA_HOSTS"] = right_hosts
        live.wait_until(lambda: "203.0.113.9" in ask(live, "deliveries/")[1], "the line in the other store", 60)
        assert wrong.exits == [] and "Traceback" not in wrong.text()
        wrong.stop()
        live.start_worker()
        live.wait_drained()
        checked = app(live, "check", "--quiet")
        assert checked.returncode == 0, checked.stdout + checked.stderr
