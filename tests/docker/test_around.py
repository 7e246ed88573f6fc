"""Logstash, Kibana, Prometheus and systemd: their files are whole and name what there is."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import logstash_pipeline_parser
import pytest
import yaml

from app.flows.deliveries import LINES
from app.flows.registry import TOPICS
from app.process.exit import EXIT_REFUSED
from app.settings import rows
from tests import ROOT
from tests.docker.reading import DOCKER, compose, one_yaml, variables_in
from tests.needs import program

KNOWN = {row.name for row in rows()}
PIPELINE = DOCKER / "logstash" / "pipeline" / "weblogs.conf"
OBJECTS = [json.loads(line) for line in (DOCKER / "kibana" / "objects.ndjson").read_text().splitlines()]
ALERTS = [rule for group in one_yaml(DOCKER / "prometheus" / "alerts.yml")["groups"] for rule in group["rules"]]
CASES = Path(__file__).with_name("alerts_test.yml")
HOW_TO = sorted((ROOT / "docs" / "how-to").glob("ship-with-*.md"))
UNIT = DOCKER / "systemd" / "weblogs-worker.service"


# -- Logstash


def pipeline() -> dict[str, Any]:
    return dict(logstash_pipeline_parser.Pipeline(PIPELINE.read_text()).parse())


def test_the_pipeline_is_read_to_its_end_and_leads_from_files_and_beats_to_the_topic() -> None:
    parts = pipeline()
    assert [name for name, _ in parts["input"]] == ["file", "beats"]
    ((name, options),) = parts["output"]
    given = dict(options)
    assert name == "kafka" and given["topic_id"] == [LINES] and given["acks"] == ["all"]


def test_the_pipeline_listens_and_reads_where_compose_opens_and_mounts() -> None:
    service = compose()["logstash"]
    _, beats = pipeline()["input"]
    assert service["ports"] == [f"127.0.0.1:{dict(beats[1])['port'][0]}:5044"]
    mounted = [re.sub(r"\$\{.*?\}", "", mount).split(":")[1] for mount in service["volumes"]]
    text = PIPELINE.read_text()
    for folder in ("/logs", "/usr/share/logstash/data"):
        assert folder in mounted and f"{folder}/" in text
    assert service["environment"]["QUEUE_TYPE"] == "persisted"
    assert set(re.findall(r"\$\{([A-Z_]+)\}", text)) <= service["environment"].keys()


# -- how-to pages of shippers


@pytest.mark.parametrize("page", HOW_TO, ids=lambda page: page.stem)
def test_the_page_of_a_shipper_says_whether_it_was_run_and_its_yaml_can_be_read(page: Any) -> None:
    text = page.read_text()
    assert ("**Not tested yet**" in text) != ("This one was run" in text)
    assert variables_in(text) <= KNOWN
    for block in re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        assert yaml.safe_load(block)


# -- Kibana


def test_each_index_has_a_data_view_and_a_saved_search() -> None:
    views = {each["id"]: each["attributes"] for each in OBJECTS if each["type"] == "index-pattern"}
    assert {view["title"] for view in views.values()} == {"raw_weblogs", "reduced_weblogs", "usage_monitored"}
    searched = [reference["id"] for each in OBJECTS if each["type"] == "search" for reference in each["references"]]
    assert sorted(searched) == sorted(views)
    for each in OBJECTS:
        if each["type"] == "search":
            source = json.loads(each["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
            assert [reference["name"] for reference in each["references"]] == [source["indexRefName"]]


def test_the_import_asks_for_an_address_and_says_when_nobody_is_there() -> None:
    script = str(DOCKER / "kibana" / "import.sh")
    path = {"PATH": os.environ["PATH"]}
    told = subprocess.run(["sh", script], env=path, capture_output=True, text=True, check=False)
    assert told.returncode == 1 and "KIBANA_URL is not set" in told.stderr
    away = path | {"KIBANA_URL": "http://127.0.0.1:1", "KIBANA_WAIT": "0"}
    told = subprocess.run(["sh", script], env=away, capture_output=True, text=True, check=False)
    assert (
        told.returncode == 1
        and told.stderr.startswith("kibana: http://127.0.0.1:1 is not healthy")
        and told.stderr.count("\n") == 1
    )


# -- Prometheus


def exported() -> set[str]:
    """The names in app/web, as Prometheus sees them: a counter's ends in _total."""
    names = set()
    for path in (ROOT / "app" / "web").rglob("*.py"):
        for kind, name in re.findall(r'_(counter|gauge)\(\s*"(weblogs_\w+)"', path.read_text()):
            names.add(f"{name}_total" if kind == "counter" else name)
    return names


def test_the_alerts_name_only_metrics_that_the_worker_has() -> None:
    assert "weblogs_lag_messages" in exported()
    for rule in ALERTS:
        assert set(re.findall(r"\bweblogs_\w+", rule["expr"])) <= exported(), rule["alert"]
        assert variables_in(rule["annotations"]["description"]) <= KNOWN, rule["alert"]


def test_every_alert_fires_in_its_case_and_not_in_the_other(tmp_path: Path) -> None:
    promtool = program("promtool", "apt-get install prometheus")
    cases = one_yaml(CASES)
    tried = [each for case in cases["tests"] for each in case["alert_rule_test"]]
    for rule in ALERTS:
        fires = [bool(each.get("exp_alerts")) for each in tried if each["alertname"] == rule["alert"]]
        assert sorted(set(fires)) == [False, True], rule["alert"]
    rules = one_yaml(DOCKER / "prometheus" / "alerts.yml")
    for group in rules["groups"]:
        for rule in group["rules"]:
            del rule["annotations"]
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump(rules))
    shutil.copy(CASES, tmp_path)
    told = subprocess.run(
        [promtool, "test", "rules", CASES.name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_page_of_metrics_names_those_that_the_worker_has_and_no_others() -> None:
    page = (ROOT / "docs" / "reference" / "http.md").read_text().partition("## GET /metrics")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(weblogs_\w+)", page)) - set(TOPICS) == exported()


def test_other_pages_name_no_metric_that_the_worker_and_the_canary_do_not_have() -> None:
    known = (
        exported()
        | set(TOPICS)
        | set(re.findall(r"weblogs_canary_\w+", (ROOT / "simulator/commands/canary.py").read_text()))
    )
    for page in (ROOT / "docs" / "how-to").glob("*.md"):
        named = set(re.findall(r"\bweblogs_\w+_(?:total|seconds|messages|up|failing)\b", page.read_text()))
        assert named <= known | {f"{name}_total" for name in known}, page.name


def test_the_page_of_prometheus_has_every_alert_and_no_others() -> None:
    page = (ROOT / "docs" / "how-to" / "watch-with-prometheus.md").read_text()
    assert sorted(re.findall(r"^\| `(Weblogs\w+)`", page, re.MULTILINE)) == sorted(rule["alert"] for rule in ALERTS)
    assert set(re.findall(r"Weblogs[A-Z]\w+", page)) == {rule["alert"] for rule in ALERTS}


def test_every_alert_says_how_urgent_it_is_and_what_to_do() -> None:
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"].keys() == {
            "summary",
            "description",
        }
    expressions = " ".join(rule["expr"] for rule in ALERTS)
    for named in ("weblogs_lag_messages", "weblogs_progressing", "weblogs_rejects_total", "weblogs_store_up"):
        assert named in expressions


def test_the_scrape_example_takes_the_rules_and_the_port_of_the_settings() -> None:
    example = one_yaml(DOCKER / "prometheus" / "prometheus.yml")
    assert all((DOCKER / "prometheus" / name).exists() for name in example["rule_files"])
    port = next(row.default for row in rows() if row.name == "WEBLOGS_WEB_PORT")
    (job,) = example["scrape_configs"]
    assert job["static_configs"][0]["targets"] == [f"127.0.0.1:{port}"]
    assert f'job="{job["job_name"]}"' in " ".join(rule["expr"] for rule in ALERTS)


# -- systemd


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, delimiters="=", comment_prefixes="#", interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # documented so: keys keep their case
    parser.read_string(UNIT.read_text())
    return parser


def test_the_unit_starts_the_worker_again_unless_a_person_has_to_change_something() -> None:
    service = unit()["Service"]
    assert service["ExecStart"].split("/.venv/bin/")[1] == "python -m faust -A app worker"
    assert service["Restart"] == "always" and service["RestartPreventExitStatus"] == str(EXIT_REFUSED)
    assert service["User"] != "root" and service["ProtectSystem"] == "strict"
    assert variables_in(UNIT.read_text()) <= KNOWN
    assert f"WEBLOGS_DATA_DIR=/var/lib/{service['StateDirectory']}" in service["Environment"]


def test_systemd_itself_finds_nothing_wrong_with_the_unit() -> None:
    systemd_analyze = program("systemd-analyze", "apt-get install systemd")
    told = subprocess.run([systemd_analyze, "verify", str(UNIT)], capture_output=True, text=True, check=False)
    ours = [line for line in told.stderr.splitlines() if "weblogs-worker" in line and "is not executable" not in line]
    assert ours == []
