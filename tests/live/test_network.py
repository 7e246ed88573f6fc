"""Faults of the network between a worker, its replay, Kafka, Elasticsearch and Cassandra. HOLE_S: how long the black hole lasts (30; 180)."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.process.exit import EXIT_CANNOT_GO_ON
from tests.flow.test_flow import simulate
from tests.live.contents import STORES
from tests.live.proxy import CLEAR, Fault, Proxy
from tests.live.running import Live
from tests.live.test_flow_into_stores import assert_stores_are_right
from tests.services.server import Server

HOLE_S = float(os.environ.get("HOLE_S", "30"))
FAULT_S = 30.0
PROGRESS_S = 60.0
LINES = 1500
"""In each of three logs: before, during and after the fault. At 50 kB/s more would take minutes, as it should."""
FAULTS = {
    "500 ms of delay": Fault(delay_s=0.5),
    "1 % resets": Fault(reset_share=0.01),
    "50 kB/s": Fault(bytes_per_s=50_000),
    "black hole": Fault(hole=True),
}
pytestmark = [pytest.mark.live, pytest.mark.timeout(900 + 2 * HOLE_S)]


class Network:
    """A proxy before each server."""

    def __init__(self, proxies: dict[str, Proxy]) -> None:
        self.proxies = proxies

    def set(self, fault: Fault, *kinds: str) -> None:
        """Of all links, or of those to these servers."""
        for kind in kinds or self.proxies:
            self.proxies[kind].set(fault)

    @property
    def settings(self) -> dict[str, str]:
        """What leads a worker through the proxies."""
        port = {kind: proxy.port for kind, proxy in self.proxies.items()}
        return {
            "BROKER": f"kafka://127.0.0.1:{port['kafka']}",
            "ELASTICSEARCH_URL": f"http://127.0.0.1:{port['elasticsearch']}",
            "CASSANDRA_PORT": str(port["cassandra"]),
        }


@pytest.fixture
def network(broker: Server) -> Iterator[Network]:
    with ExitStack() as stack:
        proxies = {
            "kafka": Proxy(broker.ports["KAFKA_PROXIED_PORT"], broker.proxy_port),
            **{store: Proxy(Server.beside(store).port) for store in STORES},
        }
        yield Network({kind: stack.enter_context(proxy) for kind, proxy in proxies.items()})


@pytest.fixture
def live(tmp_path: Path, broker: Server) -> Iterator[Live]:
    name = f"t{uuid.uuid4().hex[:8]}"
    options = {"STORES": ",".join(STORES), "ELASTICSEARCH_PREFIX": f"{name}-", "CASSANDRA_KEYSPACE": name}
    with Live(tmp_path / "live", broker, **options) as made:
        yield made


def wait_for_progress(live: Live, since: int) -> None:
    live.wait_until(lambda: live.committed() > since, "progress after the network healed", PROGRESS_S)


@pytest.mark.parametrize(
    ("fault", "links"),
    [*((fault, ()) for fault in FAULTS), ("black hole", ("kafka",)), ("black hole", STORES)],
    ids=[*FAULTS, "black hole to Kafka alone", "black hole to the stores alone"],
)
def test_every_line_counts_once_through_a_fault_of_the_network_and_the_flow_goes_on_within_a_minute(
    live: Live, network: Network, tmp_path: Path, fault: str, links: tuple[str, ...]
) -> None:
    made = [simulate(tmp_path, LINES, seed=seed) for seed in (21, 22, 23)]
    logs, answers = [log for log, _ in made], [answer for _, answer in made]
    worker = live.start_worker(**network.settings)
    live.wait_started()
    live.replay(logs[0], **network.settings).wait()
    live.wait_drained()
    network.set(FAULTS[fault], *links)
    begun = time.monotonic()
    replay = live.replay("--chunk-bytes", 16 << 10, logs[1], **network.settings)
    time.sleep(HOLE_S if FAULTS[fault].hole else FAULT_S)
    before = live.committed()
    network.set(CLEAR)
    healed = time.monotonic()
    live.replay(logs[2], **network.settings).wait()
    wait_for_progress(live, before)
    print(f"{fault}: {healed - begun:.0f} s long, progress seen {time.monotonic() - healed:.1f} s after it")
    replay.wait()
    assert_stores_are_right(live, logs, answers)
    print(f"{fault}: all there {time.monotonic() - healed:.1f} s after healing; exits {worker.exits}")
    print({kind: (proxy.connections, proxy.pieces, proxy.resets) for kind, proxy in network.proxies.items()})
    assert set(worker.exits) <= {EXIT_CANNOT_GO_ON}, worker.text()[-3000:]
    if fault == "1 % resets":
        assert sum(proxy.resets for proxy in network.proxies.values()) > 0
