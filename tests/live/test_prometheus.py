"""Debian's Prometheus runs the shipped rules on a worker whose stores are stopped and started again."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import ROOT
from tests.flow.test_flow import NINE
from tests.live.contents import STORES
from tests.live.running import Live
from tests.live.shipper import of_page
from tests.ports import free_port
from tests.services.server import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
FILES = ROOT / "docker" / "prometheus"
INSTALL = "prometheus is not there: apt-get install prometheus"
INTERVAL = "6s"
"""A scrape takes up to 5 s while a store is silent."""
FOR = "10s"


def shortened(folder: Path, target: str) -> Path:
    """The shipped files with the worker's own port, shorter intervals and a shorter `for:`; nothing else differs."""
    scrape = yaml.safe_load((FILES / "prometheus.yml").read_text())
    scrape["global"] |= {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
    scrape["global"]["scrape_timeout"] = INTERVAL
    scrape["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
    rules = yaml.safe_load((FILES / "alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = FOR
    (folder / "prometheus.yml").write_text(yaml.safe_dump(scrape))
    (folder / "alerts.yml").write_text(yaml.safe_dump(rules))
    return folder / "prometheus.yml"


class Prometheus:
    """A server that answers on `address`."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, path: str) -> Any:
        try:
            with urllib.request.urlopen(f"http://{self.address}/api/v1/{path}", timeout=10) as answer:
                return json.load(answer)["data"]
        except OSError:
            return {}

    def firing(self) -> dict[tuple[str, str], str]:
        """(alert, store) -> its summary."""
        return {
            (alert["labels"]["alertname"], alert["labels"].get("store", "")): alert["annotations"]["summary"]
            for alert in self.ask("alerts").get("alerts", [])
            if alert["state"] == "firing"
        }

    def up(self) -> dict[str, str]:
        """Store -> whether it was up at the last scrape."""
        found = self.ask("query?query=weblogs_store_up").get("result", [])
        return {each["metric"]["store"]: each["value"][1] for each in found}

    def broken_rules(self) -> list[str]:
        """Rules that could not be evaluated, or were not yet."""
        groups = self.ask("rules")["groups"]
        return [rule["name"] for group in groups for rule in group["rules"] if rule["health"] != "ok"]


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """By the commands of the page."""
    assert shutil.which("prometheus"), INSTALL
    configuration, address = shortened(folder, target), f"127.0.0.1:{free_port()}"
    places = {
        "docker/prometheus/prometheus.yml": str(configuration),
        "var/prometheus": str(folder / "data"),
        "127.0.0.1:9090": address,
    }
    install, check, start = of_page("watch-with-prometheus.md", "sh", places).splitlines()
    assert install == INSTALL.partition(": ")[2]
    checked = subprocess.run(shlex.split(check), capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    with (folder / "prometheus.log").open("ab") as printed:
        process = subprocess.Popen(shlex.split(start), stdout=printed, stderr=printed)
    try:
        yield Prometheus(address)
    finally:
        process.kill()
        process.wait()


def _fires(watching: Prometheus, alert: tuple[str, str]) -> bool:
    return alert in watching.firing()


def test_store_down_fires_for_the_store_that_is_away_alone_and_resolves(tmp_path: Path, broker: Server) -> None:
    name = f"t{uuid.uuid4().hex[:8]}"
    options = {"STORES": ",".join(STORES), "ELASTICSEARCH_PREFIX": f"{name}-", "CASSANDRA_KEYSPACE": name}
    with Live(tmp_path / "live", broker, **options) as live:
        worker = live.start_worker()
        live.wait_started()
        target = worker.text().rpartition("listening on http://")[2].split("/")[0]
        live.replay(NINE).wait()
        live.wait_drained()
        with prometheus(tmp_path, target) as watching:
            live.wait_until(lambda: watching.up() == dict.fromkeys(STORES, "1"), "both stores to be scraped", 60)
            for away in STORES:
                server = Server.beside(away)
                server.stop()
                try:
                    down = ("WeblogsStoreDown", away)
                    live.wait_until(partial(_fires, watching, down), "the alert to fire", 90)
                    firing = watching.firing()
                    assert firing["WeblogsStoreDown", away] == f"Store {away} does not answer"
                    assert [store for alert, store in firing if alert == "WeblogsStoreDown"] == [away]
                    assert not {"WeblogsWorkerGone", "WeblogsStoreBacklog"} & {alert for alert, _ in firing}
                finally:
                    server.start()
                    server.wait_ready()
                live.wait_until(lambda: not watching.firing(), "the alert to resolve", 120)
            assert watching.broken_rules() == []
            worker.stop()
            live.wait_until(lambda: ("WeblogsWorkerGone", "") in watching.firing(), "the worker to be missed", 90)
