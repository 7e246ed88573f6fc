"""docker/compose.yml agrees with the code, the pipeline and itself; no engine is needed to see that."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.settings import Settings, load, rows
from app.web.service.access import open_warning, refuse_open
from tests import ROOT
from tests.docker.reading import DOCKER, compose, one_yaml, settings_problem, variables_in
from tests.together import together

SERVICES = compose()
ONCE = {"init", "kibana-objects"}
WORKERS = {name: service for name, service in SERVICES.items() if service["image"].startswith("weblogs:")}
DEFAULTS = {"kafka": 9092, "elasticsearch": 9200, "cassandra": 9042, "kibana": 5601, "flow": 5000, "logstash": 5044}


def environment(service: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def test_every_image_has_a_version_of_its_own() -> None:
    images = {service["image"] for service in SERVICES.values()}
    images |= set(re.findall(r"^FROM (\S+)", (DOCKER / "Dockerfile").read_text(), re.MULTILINE))
    assert {image for image in images if not re.search(r":\d+\.\d+\.\d+(-[a-z-]+)?$", image)} == set()


def test_the_parts_of_elastic_are_of_one_version() -> None:
    versions = {
        service["image"].rpartition(":")[2] for service in SERVICES.values() if "docker.elastic.co" in service["image"]
    }
    assert len(versions) == 1 and versions.pop().startswith("8.19.")


@together("name", SERVICES)
def test_every_service_has_a_memory_limit(name: str) -> None:
    assert re.fullmatch(r"\d+[mg]", SERVICES[name]["mem_limit"])


@together("name", sorted(SERVICES.keys() - ONCE))
def test_every_service_that_stays_has_a_health_check_and_is_started_again(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(ONCE))
def test_what_runs_once_is_not_started_again(name: str) -> None:
    assert SERVICES[name]["restart"] == "no"


@together("name", SERVICES)
def test_a_service_waits_for_health_or_for_a_finished_job(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how["condition"] == ("service_completed_successfully" if other in ONCE else "service_healthy")
        assert other in SERVICES


def test_every_file_that_is_mounted_exists_and_every_volume_is_declared_and_used() -> None:
    declared, used = set(one_yaml(DOCKER / "compose.yml")["volumes"]), set()
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            source = re.sub(r"\$\{[A-Z_]+:-(.*?)\}", r"\1", mount).split(":")[0]
            if source.startswith("."):
                assert (DOCKER / source).exists(), f"{name} mounts {source}"
            else:
                used.add(source)
    assert declared == used


@pytest.mark.parametrize("name", WORKERS)
def test_the_settings_of_the_workers_are_settings(name: str) -> None:
    assert settings_problem(environment(WORKERS[name])) is None


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_with_the_image_s_address_starts_by_its_settings(name: str) -> None:
    image = dict(re.findall(r"(WEBLOGS_\w+)=(\S+)", (DOCKER / "Dockerfile").read_text()))
    own = load(image | environment(WORKERS[name]))
    assert own.web_host == "0.0.0.0" and open_warning(own)
    refuse_open(own)


def test_each_role_has_one_worker_and_each_worker_a_volume() -> None:
    own = {name: load(environment(service)) for name, service in WORKERS.items() if name not in ONCE}
    roles = [role for settings in own.values() for role in settings.role_names]
    assert sorted(roles) == ["cassandra", "elasticsearch", "flow"]
    assert len({service["volumes"][0] for name, service in WORKERS.items() if name not in ONCE}) == len(own)


def test_the_ports_are_those_of_the_settings_and_open_on_this_machine_only() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {name: [f"127.0.0.1:{port}:{port}"] for name, port in DEFAULTS.items()}
    defaults = Settings()
    assert (defaults.web_port, defaults.cassandra_port) == (DEFAULTS["flow"], DEFAULTS["cassandra"])
    assert defaults.elasticsearch_url.endswith(f":{DEFAULTS['elasticsearch']}")


def test_the_addresses_in_the_settings_are_those_of_the_services() -> None:
    own = load(environment(SERVICES["flow"]))
    kafka = environment(SERVICES["kafka"])
    assert own.broker.removeprefix("kafka://") == "kafka:19092" == environment(SERVICES["logstash"])["KAFKA"]
    assert (
        "PLAINTEXT://kafka:19092" in kafka["KAFKA_ADVERTISED_LISTENERS"]
        and "HOST://127.0.0.1:9092" in kafka["KAFKA_ADVERTISED_LISTENERS"]
    )
    assert (
        own.elasticsearch_url == "http://elasticsearch:9200" == environment(SERVICES["kibana"])["ELASTICSEARCH_HOSTS"]
    )
    assert own.cassandra_hosts in SERVICES and own.cassandra_port == DEFAULTS["cassandra"]
    assert environment(SERVICES["kibana-objects"])["KIBANA_URL"] == f"http://kibana:{DEFAULTS['kibana']}"


def test_kafka_takes_messages_as_large_as_a_changelog_batch() -> None:
    assert int(environment(SERVICES["kafka"])["KAFKA_MESSAGE_MAX_BYTES"]) >= Settings().changelog_batch_bytes * 2


def test_the_image_copies_what_runs_and_is_not_root() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (\S+) ", text, re.MULTILINE)
    assert all((ROOT / name).exists() for name in copied)
    assert {"requirements.txt", "app", "agents", "tables"} <= set(copied)
    kept = {line[1:] for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    assert kept == set(copied)
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE) == ["weblogs"]
    assert "\n# What tests." in (ROOT / "requirements.txt").read_text()
    assert variables_in(text) <= {row.name for row in rows()}
