"""docker/kubernetes.yml: valid by the schemas of Kubernetes, and in agreement with the settings."""

from __future__ import annotations

import base64
from typing import Any

import kubernetes_validate
import pytest

from app.settings import load
from app.web.service.access import refuse_open
from tests.docker.reading import DOCKER, documents, settings_problem

PARTS = documents(DOCKER / "kubernetes.yml")
NAMED = {(part["kind"], part["metadata"]["name"]): part for part in PARTS}
SETS = {name: part for (kind, name), part in NAMED.items() if kind == "StatefulSet"}
CONFIG = NAMED["ConfigMap", "weblogs"]["data"]


def pods() -> dict[str, dict[str, Any]]:
    return {
        name: part["spec"]["template"]["spec"] for (kind, name), part in NAMED.items() if kind in ("StatefulSet", "Job")
    }


def environment(pod: dict[str, Any], role: str) -> dict[str, str]:
    """What the container gets, with the secrets and the pod's label filled in."""
    (container,) = pod["containers"]
    own = {
        each["name"]: role if "fieldRef" in each["valueFrom"] else "a-secret-of-24-characters"
        for each in container["env"]
    }
    return CONFIG | own


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part['kind']} {part['metadata']['name']}")
def test_each_part_is_valid_and_knows_no_other_fields(part: dict[str, Any]) -> None:
    kubernetes_validate.validate(part, "1.37", strict=True)


@pytest.mark.parametrize("name", pods())
def test_the_settings_of_a_pod_are_settings(name: str) -> None:
    assert settings_problem(environment(pods()[name], name.removeprefix("weblogs-").replace("init", ""))) is None


def test_the_web_face_of_a_pod_needs_a_token_and_knows_the_names_of_its_service() -> None:
    for name in SETS:
        own = load(environment(pods()[name], name.removeprefix("weblogs-")))
        assert own.web_token and not own.web_open
        refuse_open(own)
        assert {"weblogs-flow", "weblogs-flow.weblogs.svc"} <= set(own.web_host_names)


@pytest.mark.parametrize("name", pods())
def test_kubernetes_adds_no_variables_that_look_like_settings(name: str) -> None:
    assert pods()[name]["enableServiceLinks"] is False


@pytest.mark.parametrize("name", pods())
def test_a_pod_is_not_root_and_bounded_and_mounts_what_it_has(name: str) -> None:
    pod = pods()[name]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and container["securityContext"]["readOnlyRootFilesystem"]
    assert container["resources"]["limits"]["memory"]
    claims = [claim["metadata"]["name"] for claim in SETS[name]["spec"]["volumeClaimTemplates"]] if name in SETS else []
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    } | set(claims)
    places = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert CONFIG["WEBLOGS_DATA_DIR"] in places
    assert {CONFIG[setting].rpartition("/")[0] for setting in CONFIG if setting.endswith("_CA")} <= places


def test_there_is_a_set_for_the_flow_and_each_store_and_the_label_is_the_role() -> None:
    stores = load(CONFIG).store_names
    assert {part["spec"]["template"]["metadata"]["labels"]["role"] for part in SETS.values()} == {"flow", *stores}
    for name, part in SETS.items():
        labels = part["spec"]["template"]["metadata"]["labels"]
        assert part["spec"]["selector"]["matchLabels"] == labels and name == f"weblogs-{labels['role']}"
        assert part["spec"]["serviceName"] in {other for kind, other in NAMED if kind == "Service"}


def test_a_store_that_is_down_makes_no_worker_start_again() -> None:
    for part in SETS.values():
        (container,) = part["spec"]["template"]["spec"]["containers"]
        assert container["readinessProbe"]["httpGet"]["path"] == "/health/"
        assert "tcpSocket" in container["livenessProbe"] and "tcpSocket" in container["startupProbe"]
        assert container["ports"] == [{"name": "web", "containerPort": int(CONFIG["WEBLOGS_WEB_PORT"])}]


def test_the_autoscaler_looks_at_cpu_and_lag_and_stops_at_the_number_of_partitions() -> None:
    spec = NAMED["HorizontalPodAutoscaler", "weblogs-flow"]["spec"]
    assert spec["scaleTargetRef"]["name"] in SETS
    assert spec["maxReplicas"] == load(CONFIG).partitions
    cpu, lag = spec["metrics"]
    assert cpu["resource"]["name"] == "cpu" and lag["external"]["metric"]["name"] == "weblogs_lag_messages"
    assert lag["external"]["metric"]["selector"]["matchLabels"] == {"group": load(CONFIG).app_id}


def test_a_disruption_takes_one_worker_of_the_flow_at_a_time() -> None:
    spec = NAMED["PodDisruptionBudget", "weblogs-flow"]["spec"]
    assert spec["maxUnavailable"] == 1
    assert spec["selector"]["matchLabels"] == SETS["weblogs-flow"]["spec"]["selector"]["matchLabels"]


def test_the_cluster_id_of_compose_is_one() -> None:
    from tests.docker.reading import compose

    assert len(base64.urlsafe_b64decode(compose()["kafka"]["environment"]["CLUSTER_ID"] + "==")) == 16
